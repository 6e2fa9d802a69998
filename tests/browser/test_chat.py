"""Two people talk: their browsers with their nodes by WebSocket, the nodes with each other by messages.

The first two tests are those of docs/testing-in-a-browser.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from testnet.faults.partition import Partition
from testnet.real.socket_lab import SocketLab
from testnet.testing.browsers import Visitors
from testnet.testing.package_lab import PackageLab
from tests.browser.conftest import PHONE, VIEWPORT

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "testing-in-a-browser.md"

CHAT = "/web_chat:web_chat:sys/"


def visit(testnet: PackageLab, visitors: Visitors, node: str, **options: object) -> Page:
    page = visitors.open(testnet.link(node, CHAT), **options)
    expect(page.get_by_role("status")).to_have_text("Connected")
    return page


def say(page: Page, to: str, text: str) -> None:
    page.get_by_label("To").fill(to)
    page.get_by_label("Line").fill(text)
    page.keyboard.press("Enter")


def test_a_line_reaches_the_other_person(testnet: PackageLab, nectar_visitors: Visitors) -> None:
    testnet.boot("one.nec", "two.nec", packages=["web_chat"], http=True)
    ann = visit(testnet, nectar_visitors, "one.nec")
    ben = visit(testnet, nectar_visitors, "two.nec")
    say(ann, "two.nec", "Hello, Ben")
    expect(ben.get_by_role("listitem")).to_contain_text(["Hello, Ben"])
    expect(ann.get_by_role("listitem")).to_contain_text(["to two.nec, delivered"])
    say(ben, "one.nec", "Hello, Ann")
    expect(ann.get_by_role("listitem")).to_contain_text(["Hello, Ben", "Hello, Ann"])


def test_a_line_that_cannot_get_there_is_sent_again_and_comes_once(
    testnet: PackageLab, nectar_visitors: Visitors, screenshot: Callable[[Page, str], None]
) -> None:
    testnet.boot("one.nec", "two.nec", packages=["web_chat"], http=True)
    ann = visit(testnet, nectar_visitors, "one.nec")
    ben = visit(testnet, nectar_visitors, "two.nec")
    say(ann, "two.nec", "Before")
    expect(ben.get_by_role("listitem")).to_contain_text(["Before"])
    with testnet.apply(Partition()):
        testnet.cut("one.nec")
        say(ann, "two.nec", "Cut off")
        expect(ann.get_by_role("listitem").last).to_contain_text("not delivered: two.nec is offline")
        expect(ben.get_by_role("listitem")).to_have_count(1)
        screenshot(ann, "web-chat")
    ann.get_by_role("button", name="Send again").click()
    expect(ben.get_by_role("listitem")).to_contain_text(["Before", "Cut off"])
    expect(ann.get_by_role("listitem").last).to_contain_text("to two.nec, delivered")


def test_the_homepage_leads_to_the_chat_by_one_question(testnet: PackageLab, nectar_visitors: Visitors) -> None:
    nectar_visitors.allow("status of 401")  # browsers do not say who they are when another origin leads them
    testnet.boot("one.nec", packages=["homepage", "web_chat"], http=True)
    page = nectar_visitors.open(testnet.link("one.nec", "/homepage:homepage:sys/"))
    page.get_by_role("link", name="Chat").click()
    expect(page.get_by_role("heading", name="Go on to web_chat:web_chat:sys?")).to_be_visible()
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_role("status")).to_have_text("Connected")


def test_every_browser_of_a_node_sees_the_same_and_what_was_said_before_it_came(
    testnet: PackageLab, nectar_visitors: Visitors, axe: Callable[[Page], None]
) -> None:
    testnet.boot("one.nec", packages=["web_chat"], http=True)
    desk = visit(testnet, nectar_visitors, "one.nec", viewport=VIEWPORT)
    say(desk, "nobody.nec", "Is there anybody?")
    expect(desk.get_by_role("listitem")).to_contain_text("nobody.nec is offline")
    phone = visit(testnet, nectar_visitors, "one.nec", viewport=PHONE, color_scheme="dark")
    expect(phone.get_by_role("listitem")).to_contain_text("nobody.nec is offline")
    for page in (desk, phone):
        axe(page)
    phone.get_by_role("button", name="Send again").focus()
    phone.keyboard.press("Enter")
    say(phone, "one.nec", "To myself")
    expect(phone.get_by_role("status")).to_have_text("That is this node itself: name another one.")
    say(phone, "other.nec", "<img src=x onerror=alert(1)>")
    for page in (desk, phone):
        expect(page.get_by_role("listitem").last).to_contain_text("<img src=x onerror=alert(1)>")


def test_a_page_whose_session_has_ended_says_so_and_goes_on_when_somebody_has_signed_in(
    testnet: PackageLab, nectar_visitors: Visitors
) -> None:
    testnet.boot("one.nec", packages=["web_chat"], http=True)
    page = visit(testnet, nectar_visitors, "one.nec")
    nectar_visitors.allow("WebSocket connection to .* failed")
    assert isinstance(testnet.lab, SocketLab)
    with testnet.lab.nodes.connect("one.nec") as client:
        client.ask("revoke_session", name="")
    expect(page.get_by_role("status")).to_contain_text("you have to sign in again")
    other = page.context.new_page()
    other.goto(testnet.link("one.nec", CHAT))
    expect(page.get_by_role("status")).to_have_text("Connected")


def test_the_document_shows_these_tests() -> None:
    """Without the annotations that only the project's own tests need."""
    source = Path(__file__).read_text()
    for block in re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            assert not line.startswith("    ") or line in source, line
