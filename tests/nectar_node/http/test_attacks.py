"""What attackers try who know how browsers work: a whole simulated node with a real guest, in virtual time."""

from __future__ import annotations

import tracemalloc

import pytest

from nectar_node.contract.http import HttpRequest
from nectar_node.http.entrance import Entrance
from nectar_node.http.origins import OurNames, place_untrusted
from nectar_node.http.pages import PageAnswer
from nectar_node.http.requests import HttpRefused, read_untrusted
from nectar_node.http.sessions import WebSessions
from tests.nectar_node.http.test_entrance import HOME, OTHER, WEB, entered, opens, said, signed_in
from tests.nectar_node.http.test_entrance import web as web
from tests.nectar_node.system.test_http_server import BASE, NODE, Site

HERE = OurNames(frozenset({"my.lan"}))
OLD = {"user-agent": "Mozilla/5.0"}
"""What a browser says of itself where it sends no Fetch Metadata: by plain HTTP, over a network."""


def test_a_script_that_asks_for_html_opens_no_page(web: Site) -> None:
    """A script chooses `Accept`, but not whether `Origin` is sent."""
    web.bind("/x", authenticated=True)
    _, cookie = entered(web, signed_in(web), f"{BASE}/x")
    asked = {**OLD, "host": WEB, "cookie": cookie, "accept": "text/html"}
    assert web.browse("GET", f"{BASE}/x", asked).status == 200, "somebody has opened it"
    assert web.browse("GET", f"{BASE}/x", {**asked, "origin": f"http://{OTHER}"}).status == 403
    assert web.browse("GET", f"{BASE}/x", {**asked, "origin": "null"}).status == 403


@pytest.mark.parametrize("node", [NODE, "another-node-of-the-host.nec"])
@pytest.mark.parametrize("name", ["kinode-auth", "hyperware-auth"])
def test_no_process_sees_a_cookie_of_a_session_of_any_node(web: Site, name: str, node: str) -> None:
    """Cookies do not know of ports: a browser sends here what the node at the next port has given it."""
    web.bind("/open")
    _, seen = web.seen(f"{BASE}/open", host=WEB, cookie=f"a=1; {name}_{node}=secret;{name}_{node}=x; b=2")
    assert seen["headers"]["cookie"] == "a=1; b=2"
    _, seen = web.seen(f"{BASE}/open", host=WEB, cookie=f"{name}_{node}=secret")
    assert "cookie" not in seen["headers"]


@pytest.mark.parametrize("path", ["/our", "/our.js"])
@pytest.mark.parametrize("host", [HOME, WEB, "127.0.0.1:8080"])
def test_a_page_of_another_site_does_not_learn_who_its_visitor_is(web: Site, host: str, path: str) -> None:
    script = {"host": host, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"}
    for site in ("cross-site", "same-site"):
        answer = web.get(path, **script, **{"sec-fetch-site": site})
        assert answer.status == 403
        assert NODE not in said(answer)
    assert NODE in said(web.get(path, **script, **{"sec-fetch-site": "same-origin"}))


def test_cookies_that_another_host_has_set_neither_open_nor_hide_anything(web: Site) -> None:
    """Cookie tossing: they come first, and as many as there are (RFC 6265, 8.6)."""
    web.bind("/x", authenticated=True)
    _, cookie = entered(web, signed_in(web), f"{BASE}/x")
    name = cookie.partition("=")[0]
    tossed = "; ".join(f"{name}={each}" for each in ("", "x", ".", "0" * 80, f"{'a' * 8}.{'0' * 64}", "é"))
    assert opens(web, WEB, f"{BASE}/x", cookie=f"{tossed}; {cookie}").status == 200
    assert opens(web, WEB, f"{BASE}/x", cookie=f"{cookie}; {tossed}").status == 200
    assert opens(web, WEB, f"{BASE}/x", cookie=tossed).status == 401


def test_a_session_is_never_one_that_the_browser_has_brought_along(web: Site) -> None:
    """Session fixation: who signs in gets a fresh one, whatever cookie was there before."""
    before = signed_in(web)
    after = opens(web, HOME, f"/login?link={web.link()}", cookie=before)
    assert dict(after.headers)["set-cookie"].partition(";")[0] != before
    assert opens(web, HOME, "/logout", cookie=before).status == 200


@pytest.mark.parametrize(
    "host",
    [
        *(
            "localhost@evil.example",
            "evil.example:80@localhost",
            "localhost#",
            "localhost/",
            "localhost\\",
            "localhost ",
        ),
        *(
            "localhost:",
            "localhost:+80",
            "localhost:80:80",
            "localhost:8080.evil.example",
            "localhost:\u0668\u0660",
            "localhost:999999",
        ),
        *("[::1%eth0]", "[::1%25eth0]", "[::1%'><script>]:80", "fe80::1%lo", "::1", "[127.0.0.1]x", "[", "[]", "]:80"),
        *("127.1", "0x7f000001", "2130706433", "0177.0.0.1", "localhost..", ".localhost", "a..localhost"),
        *(
            "LOCALHOST.EVIL.EXAMPLE",
            "xn--localhost",
            "\u217cocalhost",
            "loca\u00adlhost",
            "a.b.localhost",
            "*.localhost",
        ),
        *("my.lan.localhost", "localhost.my.lan", "web--site--local.evil.my.lan", "web--site--local.localhost.my.lan"),
        *(
            "web--site--local_.localhost",
            "Web--site--local.lan",
            "web-0-0site--local.localhost",
            "192.0.2.1",
            "0.0.0.0",
        ),
    ],
)
def test_a_host_that_is_not_exactly_one_of_ours_is_refused(host: str) -> None:
    request = HttpRequest(0, "GET", "/", "", (("host", host),), b"", ("127.0.0.1", 1))
    with pytest.raises(HttpRefused):
        read_untrusted(request, HERE)


def test_a_name_is_the_same_package_however_it_is_written() -> None:
    """Names have no case, and the root's dot may stand behind them (RFC 4343; RFC 1034, 3.1)."""
    places = {
        place_untrusted(host, HERE.hosts)
        for host in ("web--site--local.localhost", "WEB--Site--local.LOCALHOST", "web--site--local.localhost.")
    }
    assert len(places) == 1


def test_names_that_nobody_has_fill_no_memory() -> None:
    """What is remembered of names is of those that could be a package's."""
    tracemalloc.start()
    try:
        for number in range(500):
            label = f"{'a' * 30_000}{number}--b--c"
            request = HttpRequest(0, "GET", "/", "", (("host", f"{label}.localhost"),), b"", ("127.0.0.1", 1))
            with pytest.raises(HttpRefused):
                read_untrusted(request, HERE)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1 << 20


@pytest.mark.parametrize(
    "path", ["//evil.example/x", "/\\evil.example", "/web:site:local/..;/x", "/%2f%2fevil.example"]
)
@pytest.mark.parametrize("host", [HOME, WEB, "127.0.0.1:8080"])
def test_no_path_leads_to_another_site(web: Site, host: str, path: str) -> None:
    web.bind("/", authenticated=True)
    answer = opens(web, host, path, cookie=signed_in(web))
    to = dict(answer.headers).get("location", "/")
    assert not to.startswith(("//", "/\\"))
    assert to.startswith("/") or to.split("/")[2].endswith("localhost:8080")


def test_the_link_of_a_code_is_not_told_to_other_sites_and_works_once() -> None:
    sessions = WebSessions(iter(range(1, 100)).__next__)
    cookie = sessions.begin("127.0.0.1", 0.0)
    code = sessions.make_code(cookie, "web--site--local", 0.0)
    entrance = Entrance(NODE, HERE, sessions, has_password=False)
    headers = (("host", WEB),)
    read = read_untrusted(HttpRequest(0, "GET", "/login", f"code={code}", headers, b"", ("127.0.0.1", 1)), HERE)
    first, second = (entrance.own(0, read, b"", 1.0) for _ in range(2))
    assert isinstance(first, PageAnswer)
    assert isinstance(second, PageAnswer)
    assert "set-cookie" in dict(first.headers)
    assert "set-cookie" not in dict(second.headers)
    assert dict(first.headers)["referrer-policy"] == "same-origin"
    assert dict(first.headers)["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "header",
    ["x-forwarded-server", "x-forwarded", "forwarded", "via", "cf-connecting-ip", "true-client-ip", "x-real-ip"],
)
def test_what_a_tunnel_has_brought_here_is_not_of_this_machine(header: str) -> None:
    headers = (("host", "localhost"), (header, ""))
    assert not read_untrusted(HttpRequest(0, "GET", "/", "", headers, b"", ("127.0.0.1", 1)), HERE).is_local
