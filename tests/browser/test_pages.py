"""Pages of processes: those that are served without waking them, and their own answers."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from testnet.testing.browsers import Visitors
from tests.browser.conftest import WebNode

PAGE = """<!doctype html><html lang=en><title>Page</title><h1>A page</h1><output></output>
<script type=module>
const answer = await fetch("dynamic?x=1", {method: "POST", body: "sent"});
document.querySelector("output").textContent = await answer.text();
</script></html>"""


def test_a_page_loads_and_its_script_asks_the_process(
    web_node: WebNode, signed_in: Page, axe: Callable[[Page], None]
) -> None:
    web_node.bind("/dynamic", authenticated=True)
    page = signed_in
    page.goto(web_node.bind("/page", PAGE, authenticated=True))
    expect(page.locator("output")).to_contain_text('"query_params":{"x":"1"}')
    expect(page.locator("output")).to_contain_text('"method":"POST"')
    axe(page)


def test_a_page_that_has_not_changed_is_not_sent_again(web_node: WebNode, nectar_visitors: Visitors) -> None:
    page = nectar_visitors.open()
    where = web_node.bind("/kept", "<!doctype html><title>Kept</title><h1>Kept</h1>" + "<p>and long" * 1000)
    first = page.goto(where)
    assert first is not None
    again = page.goto(where)
    assert again is not None
    assert (first.status, first.headers["etag"]) == (200, again.headers["etag"])
    assert again.request.all_headers()["if-none-match"] == first.headers["etag"]
    assert first.request.sizes()["responseBodySize"] > 10_000
    assert again.request.sizes()["responseBodySize"] < 10
    web_node.bind("/kept", "<!doctype html><title>Kept</title><h1>Another</h1>")
    page.goto(where)
    expect(page.get_by_role("heading")).to_have_text("Another")


def test_what_is_not_there_is_said_in_a_sentence(
    web_node: WebNode, nectar_visitors: Visitors, axe: Callable[[Page], None]
) -> None:
    nectar_visitors.allow("status of 404")
    page = nectar_visitors.open(f"{web_node.url}/nothing:site:local/")
    expect(page.get_by_role("heading")).to_have_text("404 Not Found")
    axe(page)


def test_an_error_of_a_script_fails_its_test(web_node: WebNode, nectar_visitors: Visitors) -> None:
    page = nectar_visitors.open(web_node.bind("/broken", "<script>console.error('bad'); nothing.at.all</script>"))
    expect(page.locator("body")).to_be_attached()
    said, thrown = nectar_visitors.errors()
    assert said.startswith("bad [http://")
    assert "nothing is not defined" in thrown
    nectar_visitors.allow("^bad ")
    assert nectar_visitors.errors() == [thrown]
    nectar_visitors.allow("is not defined")
