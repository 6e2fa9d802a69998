"""Each package has an origin of its own: what a browser keeps apart because of that."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from testnet.testing.browsers import Visitors
from tests.browser.conftest import WebNode

SECRET = "<!doctype html><title>Other</title><h1>The other package's secret</h1>"


@pytest.fixture
def other(web_node: WebNode, signed_in: Page) -> str:
    """Where the page of another package is, at its own origin; the visitor is signed in there, too."""
    page = signed_in.context.new_page()
    page.goto(web_node.bind("/secret", SECRET, "other", authenticated=True))
    expect(page.get_by_role("heading")).to_have_text("The other package's secret")
    return page.url


def test_packages_are_at_origins_of_their_own(signed_in: Page, other: str) -> None:
    assert "//web--site--local.localhost:" in signed_in.url
    assert "//web--other--local.localhost:" in other


def test_a_script_of_one_package_cannot_read_the_page_of_another(
    nectar_visitors: Visitors, signed_in: Page, other: str
) -> None:
    nectar_visitors.allow("CORS policy|net::ERR_FAILED|status of 40[13]")
    read = "(url) => fetch(url, {credentials: 'include'}).then((answer) => answer.text(), () => 'refused')"
    assert signed_in.evaluate(read, other) == "refused"
    assert "secret" in signed_in.context.pages[-1].evaluate(read, other), "its own can"


def test_a_script_of_one_package_cannot_make_another_do_anything(
    web_node: WebNode, nectar_visitors: Visitors, signed_in: Page, other: str
) -> None:
    web_node.bind("/never", None, "other", authenticated=True)
    nectar_visitors.allow("status of 40[13]")
    send = "(url) => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include'}).then(() => 'answered')"
    with signed_in.expect_response(other.replace("secret", "never")) as answer:
        assert signed_in.evaluate(send, other.replace("secret", "never")) == "answered"
    assert answer.value.status in (401, 403)
    assert "asked for /never" not in web_node.network.log(web_node.name)


def test_a_page_of_one_package_cannot_frame_another(nectar_visitors: Visitors, signed_in: Page, other: str) -> None:
    nectar_visitors.allow("frame-ancestors|status of 40[13]")
    signed_in.evaluate("(url) => { document.body.innerHTML = `<iframe title=Other src=${url}></iframe>`; }", other)
    expect(signed_in.locator("iframe")).to_be_attached()
    frame = signed_in.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="secret")).to_have_count(0)
