"""Who may come in, as a real browser has it."""

from __future__ import annotations

from playwright.sync_api import expect

from testnet.testing.browsers import Visitors
from tests.browser.conftest import WebNode


def test_a_link_signs_in_once_and_says_so_the_second_time(web_node: WebNode, nectar_visitors: Visitors) -> None:
    nectar_visitors.allow("404|401|403")
    link = web_node.link()
    page = nectar_visitors.open(link)
    assert page.url == f"{web_node.url}/"
    other = nectar_visitors.open(link)
    expect(other.locator("body")).to_contain_text("link")
    assert other.context.cookies() == []
