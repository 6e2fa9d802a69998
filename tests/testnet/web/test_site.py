"""Who may come in, and what may be ordered."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar_node.base.errors import BadInput
from nectar_node.contract.http import HttpRequest
from nectar_node.http.pages import PageAnswer
from nectar_node.http.sessions import LINK_SECONDS, WebSessions
from testnet.web.asked import MAX_BYTES, ORDERS, FaultAsked, order_untrusted
from testnet.web.files import page_files
from testnet.web.site import EVENTS, Follows, PageOrder, PageSite, PageView

PORT = 8123
OUR = f"localhost:{PORT}"
FILES = page_files()
JSON = {"content-type": "application/json"}


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
_WORDS = ["kind", "parameters", "between", "seconds", "number", "name", "order", "minutes", "seed", "x"]


def _objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(_WORDS), values)


@pytest.fixture
def site() -> PageSite:
    numbers = count(1)
    return PageSite(PORT, FILES, WebSessions(lambda: next(numbers)))


def asked(path: str, method: str = "GET", body: bytes = b"", **headers: str) -> HttpRequest:
    path, _, query = path.partition("?")
    told = {"host": OUR, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return HttpRequest(None, method, path, query, tuple(told.items()), body, ("127.0.0.1", 1))


def signed_in(site: PageSite) -> str:
    """The cookie of somebody who has opened a link."""
    answer = site.take(asked(site.link("", 0.0)), 0.0)
    assert isinstance(answer, PageAnswer)
    assert (answer.status, dict(answer.headers)["location"]) == (303, "/")
    return dict(answer.headers)["set-cookie"]


def status(answer: object) -> int:
    assert isinstance(answer, PageAnswer), answer
    return answer.status


def test_a_link_signs_in_once_and_not_for_long(site: PageSite) -> None:
    link, late = site.link("", 0.0), site.link("", 0.0)
    assert status(site.take(asked(link), LINK_SECONDS)) == 303
    assert status(site.take(asked(link), LINK_SECONDS)) == 401
    assert status(site.take(asked(late), LINK_SECONDS + 0.1)) == 401
    assert status(site.take(asked("/login?link="), 0.0)) == 401


def test_the_cookie_is_out_of_reach_for_scripts_other_sites_and_pages_at_other_ports(site: PageSite) -> None:
    name, *rest = signed_in(site).split("; ")
    assert name.startswith(f"nectar-testnet-{PORT}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(rest)


@pytest.mark.parametrize("path", ["/", EVENTS, "/api/faults", "/api/journals", "/report/journal/x.journal"])
def test_nothing_of_the_testnet_is_shown_without_a_session(site: PageSite, path: str) -> None:
    assert status(site.take(asked(path), 0.0)) == 401
    assert status(site.take(asked(path, cookie=f"nectar-testnet-{PORT}=guess"), 0.0)) == 401


@pytest.mark.parametrize("name", ORDERS)
def test_no_order_is_taken_without_a_session(site: PageSite, name: str) -> None:
    assert status(site.take(asked(f"/api/{name}", "POST", b"{}", **JSON), 0.0)) == 401


def test_who_is_signed_in_follows_looks_and_orders(site: PageSite) -> None:
    cookie = signed_in(site)
    assert status(site.take(asked("/", cookie=cookie), 0.0)) == 200
    assert site.take(asked(EVENTS, cookie=cookie), 0.0) == Follows()
    assert site.take(asked("/api/faults", cookie=cookie), 0.0) == PageView("faults", "")
    assert site.take(asked("/report/journal/a%20b.journal", cookie=cookie), 0.0) == PageView("journal", "a b.journal")
    order = asked("/api/fault", "POST", b'{"kind": "loss"}', cookie=cookie, origin=f"http://{OUR}", **JSON)
    assert site.take(order, 0.0) == PageOrder("fault", FaultAsked("loss"))


STRANGERS: dict[str, Callable[[str], HttpRequest]] = {
    "another origin": lambda cookie: asked(
        "/api/remove", "POST", b"{}", cookie=cookie, origin="http://localhost:9", **JSON
    ),
    "another site": lambda cookie: asked(
        "/api/remove", "POST", b"{}", cookie=cookie, sec_fetch_site="cross-site", **JSON
    ),
    "another port": lambda cookie: asked(EVENTS, cookie=cookie, sec_fetch_site="same-site"),
}


@pytest.mark.parametrize("who", STRANGERS)
def test_a_page_of_a_stranger_neither_orders_nor_follows(site: PageSite, who: str) -> None:
    assert status(site.take(STRANGERS[who](signed_in(site)), 0.0)) == 403


def test_a_name_of_a_strangers_dns_is_refused(site: PageSite) -> None:
    request = asked("/", cookie=signed_in(site), host="rebound.example")
    assert status(site.take(request, 0.0)) == 421


def test_a_form_of_html_is_no_order(site: PageSite) -> None:
    request = asked("/api/remove", "POST", b"{}", cookie=signed_in(site), content_type="text/plain")
    assert status(site.take(request, 0.0)) == 415


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("fault", b"{"),
        ("fault", b"{}"),
        ("fault", b'{"kind": 3}'),
        ("fault", b'{"kind": "loss", "more": 1}'),
        ("fault", b'{"kind": "loss", "parameters": {"a": 1}}'),
        ("fault", json.dumps({"kind": "loss", "parameters": {f"p{each}": "" for each in range(33)}}).encode()),
        ("fault", b" " * (MAX_BYTES + 1)),
        ("fault", b"[" * MAX_BYTES),
        ("remove", b'{"number": -1}'),
        ("node", b'{"name": "a.nec"}'),
        ("chaos", b'{"minutes": "1"}'),
        ("chaos", b'{"minutes": 1, "seed": 1.5}'),
        ("chaos-end", b'{"now": true}'),
    ],
)
def test_what_is_no_order_is_answered_with_a_sentence(site: PageSite, name: str, body: bytes) -> None:
    answer = site.take(asked(f"/api/{name}", "POST", body, cookie=signed_in(site), **JSON), 0.0)
    assert status(answer) == 400
    assert isinstance(answer, PageAnswer)
    error: dict[str, Any] = json.loads(bytes(answer.body))["error"]
    assert error["kind"] == "BadInput"
    assert error["sentence"].endswith(".")


@given(
    path=st.text(st.characters(max_codepoint=255), max_size=40).map(lambda text: f"/{text}"),
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "brew"]),
    headers=st.lists(st.tuples(st.sampled_from(["host", "cookie", "origin", "content-type"]), st.text(max_size=20))),
    body=st.binary(max_size=200),
)
def test_whatever_comes_in_is_answered_and_lets_nobody_in(
    path: str, method: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    site = PageSite(PORT, FILES, WebSessions(lambda: 1))
    answer = site.take(HttpRequest(None, method, path, "", (("host", OUR), *headers), body, ("::1", 1)), 0.0)
    assert status(answer) >= 400 or path in FILES


@given(name=st.sampled_from(list(ORDERS)), value=st.recursive(_SCALARS, lambda each: st.lists(each) | _objects(each)))
def test_an_order_of_any_shape_is_read_or_refused(name: str, value: object) -> None:
    refused = "."
    try:
        order_untrusted(name, json.dumps(value).encode())
    except BadInput as refusal:
        refused = str(refusal)
    assert refused.endswith(".")


def test_a_page_that_has_opened_this_one_has_no_hand_on_it(site: PageSite) -> None:
    answer = site.take(asked("/", cookie=signed_in(site)), 0.0)
    assert isinstance(answer, PageAnswer)
    assert dict(answer.headers)["cross-origin-opener-policy"] == "same-origin"


def test_the_page_lets_no_script_run_but_its_own(site: PageSite) -> None:
    answer = site.take(asked("/", cookie=signed_in(site)), 0.0)
    assert isinstance(answer, PageAnswer)
    policies = [value for name, value in answer.headers if name == "content-security-policy"]
    assert any("default-src 'none'; script-src 'self'" in each for each in policies)
    assert b"<script>" not in answer.body
    assert b" style=" not in answer.body


def test_all_that_the_page_names_is_there_and_small() -> None:
    page = bytes(FILES["/"].bytes).decode()
    named = [part.split('"')[0] for part in page.replace('src="/', 'href="/').split('href="')[1:]]
    assert {path for path in named if path.startswith("/")} <= set(FILES)
    assert sum(len(file.bytes) for file in FILES.values()) < 150_000
