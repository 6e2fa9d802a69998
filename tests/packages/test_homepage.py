"""homepage:homepage:sys: icons and widgets of packages, whatever they hold, on one page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from testnet.model.lab import PACKAGES
from testnet.sim.programs import Programs
from tests.compatibility.browser import Browser, Page
from tests.compatibility.guest import GUESTS, Guest, guests

HOMEPAGE = "homepage:homepage:sys"
PNG = "data:image/png;base64,iVBORw0KGgo="
NASTY = "<script>alert(1)</script>\"'&\u00e9"


@pytest.fixture
def guest(tmp_path: Path, nectar_programs: Programs) -> Iterator[Guest]:
    with guests(tmp_path, nectar_programs, (PACKAGES / "homepage",), ("nectar-0.7.0",)) as (guest,):
        yield guest


def told(guest: Guest, request: object) -> Any:
    """What the page's process answers a guest that waits for it."""
    return json.loads(guest.ask(HOMEPAGE, json.dumps(request).encode()).body)


def add(guest: Guest, label: str = "Tester", **fields: object) -> Any:
    return told(guest, {"Add": {"label": label, **fields}})


def apps(guest: Guest) -> list[dict[str, Any]]:
    answer = told(guest, "GetApps")
    assert isinstance(answer, dict)
    return list(answer["GetApps"])


def asked_by_user(guest: Guest, request: object) -> Any:
    outcome = guest.lab.ask(guest.node, f"our@{HOMEPAGE}", request, 20)
    assert outcome.kind == "response", outcome
    return outcome.body


def opened(guest: Guest, path: str = f"/{HOMEPAGE}/", **named: str) -> Page:
    browser = Browser(guest.lab, guest.node)
    browser.sign_in()
    return browser.open(path, **named)  # type: ignore[arg-type]


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_the_page_shows_icons_and_widgets_to_who_has_signed_in(guest: Guest) -> None:
    assert add(guest, icon=PNG, path="/", widget="<p>hello</p>") == "Ok"
    stranger = Browser(guest.lab, guest.node).open(f"/{HOMEPAGE}/")
    assert b"Tester" not in stranger.body
    page = opened(guest)
    elements = Elements(page)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    (link,), (icon,), (frame,) = elements.all("a"), elements.all("img"), elements.all("iframe")
    assert str(link["href"]).endswith(f"/main:{guest.package}/")
    assert (icon["src"], icon["alt"]) == (PNG, ""), "the link has the label's text already"
    assert (frame["srcdoc"], frame["title"]) == ("<p>hello</p>", "Tester")
    assert elements.all("html") == [{"lang": "en"}]
    assert "Tester" in elements.text


def test_a_widget_runs_in_an_origin_that_is_nobodys_and_reaches_nothing(guest: Guest) -> None:
    add(guest, widget="<script>fetch('/')</script>")
    page = opened(guest)
    assert Elements(page).all("iframe")[0]["sandbox"] == "allow-scripts"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'none'" in policy
    assert "connect-src" not in policy


def test_what_packages_say_is_text_and_nothing_else(guest: Guest) -> None:
    assert add(guest, NASTY, path=f"/a b/{NASTY}?x=1&y=2", widget=NASTY) == "Ok"
    page = opened(guest)
    elements = Elements(page)
    assert not elements.all("script")
    assert NASTY in elements.text
    assert elements.all("iframe")[0]["srcdoc"] == NASTY
    href = str(elements.all("a")[0]["href"])
    assert href.endswith("/a%20b/%3Cscript%3Ealert(1)%3C/script%3E%22%27&%C3%A9?x=1&y=2")


@pytest.mark.parametrize(
    "icon",
    [
        "https://example.com/a.png",
        "javascript:alert(1)",
        "data:text/html;base64,PGI+",
        "data:image/png,plain",
        'data:image/png;base64,a" onload="alert(1)',
        "data:image/" + "x" * 1000 + ";base64,",
    ],
)
def test_an_icon_is_a_data_url_of_an_image(guest: Guest, icon: str) -> None:
    assert "icon is a data URL" in add(guest, icon=icon)["Err"]
    assert apps(guest) == []


@pytest.mark.parametrize("path", ["/../login", "/a/%2e%2E/..", "a/./b", "\\..\\x", "/a\n/b"])
def test_a_path_stays_below_its_process(guest: Guest, path: str) -> None:
    assert "leads out" in add(guest, path=path)["Err"]


def test_a_process_has_one_entry_which_it_replaces_and_removes(guest: Guest) -> None:
    add(guest, "One", path="/one")
    assert add(guest, "Two", icon=PNG) == "Ok"
    (app,) = apps(guest)
    assert (app["id"], app["label"], app["path"], app["base64_icon"]) == (f"main:{guest.package}", "Two", None, PNG)
    assert told(guest, "Remove") == "Ok"
    assert told(guest, "Remove") == "Ok"
    assert apps(guest) == []


def test_entries_outlive_the_node(guest: Guest) -> None:
    add(guest, "Kept", icon=PNG, path="/x", widget="w")
    before = apps(guest)
    guest.lab.restart(guest.node)
    guest.lab.wait(lambda: guest.lab.ready(guest.node), 60.0)
    assert apps(guest) == before


def test_the_entry_of_a_process_that_is_gone_is_not_shown(guest: Guest) -> None:
    add(guest, path="/")
    kill = json.dumps({"KillProcess": f"main:{guest.package}"})
    guest.send("kernel:distro:sys", kill.encode())
    guest.lab.rest(1)
    assert Elements(opened(guest)).all("a") == []
    assert asked_by_user(guest, "GetApps") == {"GetApps": []}


def sibling(guest: Guest, name: str) -> Guest:
    """Another process of the guest's package, with the same code."""
    made = Guest(guest.lab, guest.interface, guest.next_node, name)
    messaging = {"issuer": f"{guest.node}@{HOMEPAGE}", "params": '"messaging"'}
    asked = {"id": made.id, "on_exit": "None", "initial_capabilities": [messaging], "public": False}
    code = (GUESTS / f"tester.{guest.interface}.wasm").read_bytes()
    for request, blob in (({"InitializeProcess": asked}, code), ({"RunProcess": made.id}, None)):
        answer = guest.ask("kernel:distro:sys", json.dumps(request).encode(), blob)
        assert b"Error" not in answer.body
    return made


def test_a_package_has_sixteen_entries_and_those_of_what_is_gone_make_room(guest: Guest) -> None:
    siblings = [sibling(guest, f"other{number}") for number in range(16)]
    assert [add(each, each.id) for each in siblings] == ["Ok"] * 16
    assert "16 entries" in add(guest)["Err"]
    guest.send("kernel:distro:sys", json.dumps({"KillProcess": siblings[3].id}).encode())
    guest.lab.rest(1)
    assert add(guest) == "Ok"
    assert {app["id"] for app in apps(guest)} == {each.id for each in siblings} - {siblings[3].id} | {guest.id}


def test_the_process_that_reads_what_others_write_has_no_power_over_them(guest: Guest) -> None:
    answer = guest.ask("kernel:distro:sys", json.dumps({"Debug": {"Process": HOMEPAGE}}).encode())
    held = json.loads(answer.body)["Debug"]["Process"]["capabilities"]
    issuers = {each["issuer"].partition("@")[2] for each in held}
    assert "http_server:distro:sys" in issuers
    assert "kernel:distro:sys" not in issuers


def test_only_the_user_and_holders_of_a_capability_remove_what_others_have_added(guest: Guest) -> None:
    add(guest)
    asked = {"RemoveOther": f"main:{guest.package}"}
    assert "capability" in told(guest, asked)["Err"]
    assert len(apps(guest)) == 1
    assert asked_by_user(guest, asked) == "Ok"
    assert apps(guest) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"label": ""},
        {"label": "x" * 257},
        {"icon": "data:image/png;base64," + "A" * (256 << 10)},
        {"widget": "x" * ((256 << 10) + 1)},
        {"path": "x" * 1025},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_an_entry_is_bounded(guest: Guest, fields: dict[str, str]) -> None:
    assert list(add(guest, **{"label": "Tester", **fields})) == ["Err"]
    assert apps(guest) == []


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b'"Nothing"', b'{"Add":{}}', b'{"SetStylesheet":"*{}"}', b"[" * 10_000]
)
def test_what_is_no_request_is_refused(guest: Guest, body: bytes) -> None:
    assert list(json.loads(guest.ask(HOMEPAGE, body).body)) == ["Err"]
    assert apps(guest) == []


def test_nobody_waits_for_a_subscription_to_notifications(guest: Guest) -> None:
    assert told(guest, "GetPushSubscription") == {"PushSubscription": None}


def test_the_page_is_only_read(guest: Guest) -> None:
    browser = Browser(guest.lab, guest.node)
    browser.sign_in()
    page = browser.open(f"/{HOMEPAGE}/")
    assert browser.open(f"/{HOMEPAGE}/", method="POST", body=b"x", host=page.host).status == 405


def test_the_page_is_at_the_root_of_its_origin_and_its_links_lead_to_pages_of_packages(guest: Guest) -> None:
    add(guest, path="/games?of=all")
    bind = {"Bind": {"path": "/games", "authenticated": True, "local_only": False, "cache": True}}
    guest.ask("http_server:distro:sys", json.dumps(bind).encode(), b"all games", "text/html")
    browser = Browser(guest.lab, guest.node)
    browser.sign_in()
    page = browser.open("/", host=browser.open(f"/{HOMEPAGE}/").host)
    (link,) = Elements(page).all("a")
    where = urlsplit(str(link["href"]))
    assert browser.open(f"{where.path}?{where.query}", host=where.netloc or page.host).body == b"all games"
