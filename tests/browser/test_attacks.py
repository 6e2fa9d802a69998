"""What the page of a package tries against the node, other packages and its own visitor, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from testnet.testing.browsers import Visitors
from tests.browser.conftest import WebNode
from tests.web_site import LATE

LOADED = """(url) => new Promise((done) => {
  const script = document.createElement("script");
  delete window.our;
  script.onload = () => done(window.our?.node ?? "nothing");
  script.onerror = () => done("refused");
  script.src = url;
  document.head.append(script);
})"""
REGISTERED = """([script, scope]) => navigator.serviceWorker.register(script, {scope}).then(
  (made) => new URL(made.scope).pathname, (error) => error.name)"""
OPENED = """(url) => new Promise((done) => {
  const opened = window.open(url);
  const look = () => (opened.closed ? done("cut off") : setTimeout(look, 50));
  look();
})"""


@pytest.fixture
def home(web_node: WebNode) -> str:
    return web_node.url


def origin(page: Page) -> str:
    text: str = page.evaluate("location.origin")
    return text


def test_a_page_learns_the_nodes_name_at_its_own_origin_alone(
    nectar_visitors: Visitors, signed_in: Page, home: str
) -> None:
    nectar_visitors.allow("status of 403|net::ERR_")
    assert signed_in.evaluate(LOADED, "/our.js") == "web.nec"
    for elsewhere in (home, home.replace("localhost", "127.0.0.1"), origin(signed_in).replace("--site", "--other")):
        assert signed_in.evaluate(LOADED, f"{elsewhere}/our.js") == "refused"


def test_a_page_has_no_hand_on_the_nodes_page_that_it_has_opened(
    nectar_visitors: Visitors, signed_in: Page, home: str
) -> None:
    """Neither to lead it elsewhere, where a form could ask for the password, nor to count its frames."""
    nectar_visitors.allow("status of 401")
    for path in ("/", "/login", "/logout"):
        with signed_in.context.expect_page() as opened:
            assert signed_in.evaluate(OPENED, f"{home}{path}") == "cut off"
        assert opened.value.evaluate("window.opener") is None


def test_no_page_stands_between_its_visitor_and_where_the_node_signs_in(
    web_node: WebNode, nectar_visitors: Visitors, signed_in: Page
) -> None:
    """A service worker would see the code at `/login`; it gets no further than the paths of its own process."""
    nectar_visitors.allow("not under the max scope")
    bind = {"Bind": {"path": "/worker.js", "authenticated": False, "local_only": False, "cache": True}}
    tell = {"to": f"{web_node.name}@{LATE}", "body": json.dumps(bind), "mime": "text/javascript", "blob": "0"}
    web_node.network.message(web_node.name, "our@web:site:local", json.dumps({"Tell": tell}))
    worker = "/web:site:local/worker.js"
    for scope in ("/", "/login", "/our.js", "/web:"):
        assert signed_in.evaluate(REGISTERED, [worker, scope]) == "SecurityError", scope
    assert signed_in.evaluate(REGISTERED, [worker, "/web:site:local/"]) == "/web:site:local/"


def test_a_cookie_that_a_page_sets_for_others_signs_nobody_out_or_in(signed_in: Page, home: str) -> None:
    before = {(each["name"], each["domain"]) for each in signed_in.context.cookies()}
    for name in ("kinode-auth_web.nec", "hyperware-auth_web.nec", ""):
        for where in ("; domain=localhost", "; domain=.localhost", "; path=/login", ""):
            signed_in.evaluate("(text) => { document.cookie = text; }", f"{name}=kinode-auth_web.nec=x{where}")
    ours = {each for each in before if each[1] == "localhost"}
    assert {(e["name"], e["domain"]) for e in signed_in.context.cookies() if e["domain"] == "localhost"} == ours
    signed_in.reload()
    expect(signed_in.get_by_role("heading")).to_have_text("The front page")
    signed_in.goto(home)
    expect(signed_in.locator("#state")).to_have_text("live")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json"])
def test_a_page_gives_the_node_no_command(
    web_node: WebNode, nectar_visitors: Visitors, signed_in: Page, home: str, kind: str
) -> None:
    nectar_visitors.allow("status of 40[135]|CORS policy|net::ERR_")
    send = """([url, kind]) => fetch(url, {method: "POST", credentials: "include", body: '{"address": "other:local"}',
      headers: {"content-type": kind}, mode: kind === "application/json" ? "cors" : "no-cors"}).then(
      (answer) => answer.type, () => "refused")"""
    told = signed_in.evaluate(send, [f"{home}/api/kill", kind])
    assert told in ("opaque", "refused"), "the page sees nothing of it"
    assert web_node.nectar("ps", "web:other:local").code == 0, "it still runs"
    message = signed_in.evaluate(send, [f"{home}/rpc:distro:sys/message", kind])
    assert message in ("opaque", "refused")


def test_a_link_for_the_nodes_page_shows_a_part_of_it_and_nothing_else(
    web_node: WebNode, nectar_visitors: Visitors, axe: Callable[[Page], None]
) -> None:
    page = nectar_visitors.open(web_node.link())
    for part in ("constructor", "__proto__/x", "javascript:alert(1)", "<img src=x onerror=alert(1)>", "logs/<b>x"):
        page.evaluate("(part) => { location.hash = 'peers'; location.hash = part; }", part)
        expect(page.get_by_role("heading", level=2)).to_have_text("Logs" if part[0] == "l" else "Packages")
    assert page.locator("main img, main b").count() == 0
    axe(page)
