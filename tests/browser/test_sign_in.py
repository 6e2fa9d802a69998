"""Who may come in, as a real browser has it: it keeps cookies and says where it comes from as browsers do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest
from playwright.sync_api import Page, expect

from nectar_node.console.browser import leading_page
from nectar_node.contract.config import LOOPBACK
from testnet.real.local import LocalTestnet
from testnet.testing.browsers import Visitors
from tests.browser.conftest import WebNode
from tests.web_site import write_site

SECRET = "<!doctype html><title>Secret</title><h1>For those who have signed in</h1>"


@pytest.fixture
def secret(web_node: WebNode) -> str:
    """Where a page is that only those see who have signed in."""
    return web_node.bind("/secret", SECRET, authenticated=True)


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(text)


def test_a_link_signs_in_and_leads_to_the_pages_of_a_package(signed_in: Page, secret: str) -> None:
    assert "link=" not in signed_in.url
    signed_in.goto(secret)
    heading(signed_in, "For those who have signed in")


def test_a_link_that_has_been_used_signs_nobody_in_and_says_so(web_node: WebNode, nectar_visitors: Visitors) -> None:
    link = web_node.link("site:local")
    nectar_visitors.open(link)
    nectar_visitors.allow("status of 40[13]")
    other = nectar_visitors.open(link)
    expect(other.locator("p")).to_have_text("This link has been used, or is too old: `nectar open` gives another.")
    assert other.context.cookies() == []


@pytest.fixture(scope="module")
def safe(boot_web_nodes: Callable[..., LocalTestnet], tmp_path_factory: pytest.TempPathFactory) -> WebNode:
    """A node with a password, and a page for its user."""
    package = write_site(tmp_path_factory.mktemp("safe") / "site")
    node = WebNode(boot_web_nodes({"safe.nec": (package,)}, password=b"sesame"), "safe.nec")
    node.bind("/secret", SECRET, authenticated=True)
    return node


def test_a_link_in_a_file_signs_in_and_leads_on(web_node: WebNode, nectar_visitors: Visitors, tmp_path: Path) -> None:
    file = tmp_path / "open.html"
    file.write_text(leading_page(web_node.link("site:local")))
    page = nectar_visitors.open(file.as_uri())
    heading(page, "The front page")
    assert page.url.endswith(".localhost:" + web_node.url.rpartition(":")[2] + "/web:site:local/")


PARTS = ("#a=b", "#//evil.example", "#javascript:alert(1)", "#%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("begins", ["at the node", "at the package"])
def test_what_follows_the_hash_of_an_address_is_kept_by_signing_in(
    safe: WebNode, nectar_visitors: Visitors, part: str, begins: str
) -> None:
    nectar_visitors.allow("status of 401")
    there = f"{safe.url.replace('//', '//web--site--local.')}/web:site:local/secret"
    page = nectar_visitors.open((there if begins == "at the package" else f"{safe.url}/web:site:local/secret") + part)
    if begins == "at the package":
        page.get_by_role("link", name="Sign in").click()
    for word in ("simsim", "sesame"):
        page.get_by_label("Password of its key").fill(word)
        page.keyboard.press("Enter")
        if word == "simsim":
            expect(page.get_by_role("alert")).to_have_text("That is not the password.")
    heading(page, "For those who have signed in")
    assert page.url == there + part
    again = page.context.new_page()
    again.goto(f"{safe.url}/web:site:local/secret{part}")
    heading(again, "For those who have signed in")
    assert again.url == there + part, "who is signed in is led there, too"


def test_the_password_is_all_that_is_asked_for_and_signs_in(
    safe: WebNode, nectar_visitors: Visitors, axe: Callable[[Page], None]
) -> None:
    nectar_visitors.allow("status of 401")
    page = nectar_visitors.open(f"{safe.url}/")
    heading(page, "Sign in to safe.nec")
    expect(page.get_by_label("Password of its key")).to_be_focused()
    expect(page.locator("input:visible")).to_have_count(1)
    axe(page)
    for word in ("simsim", "sesame"):
        page.get_by_label("Password of its key").fill(word)
        page.keyboard.press("Enter")
        if word == "simsim":
            expect(page.get_by_role("alert")).to_have_text("That is not the password.")
    expect(page.locator("#state")).to_have_text("live")


def test_who_has_not_signed_in_is_told_how_to(
    nectar_visitors: Visitors, secret: str, axe: Callable[[Page], None]
) -> None:
    nectar_visitors.allow("status of 401")
    page = nectar_visitors.open()
    answer = page.goto(secret)
    assert answer is not None
    assert answer.status == 401
    expect(page.locator("body")).to_contain_text("nectar open")
    axe(page)


@pytest.fixture
def nobody_signed_in(web_node: WebNode) -> None:
    """No session of another test goes on."""
    web_node.nectar("sessions", "revoke", "--all")


def test_a_session_that_is_revoked_ends_at_once(
    web_node: WebNode, nectar_visitors: Visitors, nobody_signed_in: None, signed_in: Page, secret: str
) -> None:
    page = signed_in
    page.goto(secret)
    heading(page, "For those who have signed in")
    (session,) = web_node.nectar("sessions", "list", "--json").json["sessions"]
    assert web_node.nectar("sessions", "revoke", session["id"]).code == 0
    nectar_visitors.allow("status of 401")
    answer = page.reload()
    assert answer is not None
    assert answer.status == 401


def test_no_script_reads_the_cookie_of_a_session(signed_in: Page, secret: str) -> None:
    page = signed_in
    page.goto(secret)
    heading(page, "For those who have signed in")
    cookies = page.context.cookies()
    assert cookies
    assert {(cookie.get("httpOnly"), cookie.get("sameSite")) for cookie in cookies} == {(True, "Strict")}
    assert page.evaluate("document.cookie") == ""


@pytest.fixture
def stranger() -> Iterator[ThreadingHTTPServer]:
    """A server with a page that would have its visitors send a form to `target`."""

    class Prizes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            target = parse_qs(urlsplit(self.path).query).get("target", [""])[0]
            page = (
                f"<!doctype html><title>Prizes</title><form method=post action={target!r}><button>Win</button></form>"
            )
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Prizes) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("host", ["prizes.example", "127.0.0.1", "localhost"])
def test_a_form_of_another_origin_is_refused(
    web_node: WebNode,
    nectar_visitors: Visitors,
    signed_in: Page,
    secret: str,
    stranger: ThreadingHTTPServer,
    host: str,
) -> None:
    # Another port makes another origin, but no other site: the browser sends the cookie along from there.
    web_node.bind("/never", authenticated=True)
    page = signed_in
    target = urljoin(page.url, "never")
    page.goto(f"http://{host}:{stranger.server_port}/?{urlencode({'target': target})}")
    nectar_visitors.allow("status of 40[13]")
    with page.expect_response(target) as answer:
        page.get_by_role("button", name="Win").click()
    assert answer.value.status in (401, 403)
    assert "asked for /never" not in web_node.network.log(web_node.name)
    page.goto(secret)
    heading(page, "For those who have signed in")
