"""Who may come in, as a real browser has it: it keeps cookies and says where it comes from as browsers do."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from testnet.testing.browsers import Visitors
from tests.browser.conftest import WebNode

SECRET = "<!doctype html><title>Secret</title><h1>For those who have signed in</h1>"


@pytest.fixture
def secret(web_node: WebNode) -> str:
    """Where a page is that only those see who have signed in."""
    return web_node.bind("/secret", SECRET, authenticated=True)


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(text)


def test_a_link_signs_in(web_node: WebNode, nectar_visitors: Visitors, secret: str) -> None:
    page = nectar_visitors.open(web_node.link("site:local"))
    page.goto(secret)
    heading(page, "For those who have signed in")


def test_a_link_leads_to_the_pages_of_a_package(web_node: WebNode, nectar_visitors: Visitors) -> None:
    page = nectar_visitors.open(web_node.link("site:local"))
    heading(page, "The front page")
    assert "link=" not in page.url


def test_a_link_that_has_been_used_signs_nobody_in_and_says_so(web_node: WebNode, nectar_visitors: Visitors) -> None:
    link = web_node.link("site:local")
    nectar_visitors.open(link)
    nectar_visitors.allow("status of 40[13]")
    other = nectar_visitors.open(link)
    expect(other.locator("p")).to_have_text("This link has been used, or is too old: `nectar open` gives another.")
    assert other.context.cookies() == []


def test_who_has_not_signed_in_is_told_how_to(nectar_visitors: Visitors, secret: str) -> None:
    nectar_visitors.allow("status of 401")
    page = nectar_visitors.open(secret)
    expect(page.locator("p")).to_contain_text("`nectar open`")


def test_a_session_that_is_revoked_ends_at_once(web_node: WebNode, nectar_visitors: Visitors, secret: str) -> None:
    web_node.nectar("sessions", "revoke", "--all")
    page = nectar_visitors.open(web_node.link("site:local"))
    page.goto(secret)
    heading(page, "For those who have signed in")
    (session,) = web_node.nectar("sessions", "list", "--json").json["sessions"]
    assert web_node.nectar("sessions", "revoke", session["id"]).code == 0
    nectar_visitors.allow("status of 401")
    page.reload()
    heading(page, "401")


def test_no_script_reads_the_cookie_of_a_session(web_node: WebNode, nectar_visitors: Visitors, secret: str) -> None:
    page = nectar_visitors.open(web_node.link("site:local"))
    page.goto(secret)
    cookies = page.context.cookies()
    assert cookies
    assert {(cookie.get("httpOnly"), cookie.get("sameSite")) for cookie in cookies} == {(True, "Strict")}
    assert page.evaluate("document.cookie") == ""


FORM = """<!doctype html><title>Prizes</title>
<form method=post action="{target}"><button>Win</button></form>
<iframe name=unseen title=Frame></iframe>"""


@pytest.mark.parametrize("stranger", ["http://prizes.example", "http://127.0.0.1:9", "http://localhost:9"])
def test_a_form_of_another_origin_is_refused(
    web_node: WebNode, nectar_visitors: Visitors, secret: str, stranger: str
) -> None:
    # A port makes another origin, but no other site: to a page of 127.0.0.1:9 the browser does send the cookie.
    target = web_node.bind("/never", authenticated=True)
    page = nectar_visitors.open(web_node.link("site:local"))

    def serve(route: Route) -> None:
        route.fulfill(body=FORM.format(target=target), content_type="text/html")

    page.route(f"{stranger}/**", serve)
    page.goto(f"{stranger}/")
    nectar_visitors.allow("status of 40[13]")
    page.get_by_role("button", name="Win").click()
    heading(page, "40")
    assert "asked for /never" not in web_node.network.log(web_node.name)
    page.goto(secret)
    heading(page, "For those who have signed in")
