"""The page of a testnet, `nectar testnet watch --web`, in a real browser: three real nodes, seen and broken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from testnet.testing.browsers import Visitors
from tests.browser import wishful
from tests.browser.conftest import PHONE, VIEWPORT
from tests.commands import nectar
from tests.testnet.cli.lab import Shell
from tests.testnet.web.watching import Browser, watching

NODES = ("ann.nec", "bob.nec", "cleo.nec")
BETWEEN = "ann.nec ⇄ bob.nec"
MAX_BYTES = 150_000
"""Of all that a browser loads for the page."""
REFUSED = "status of 400"
"""What Chromium writes to the console where a form has been filled in wrongly."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands are given; it has the journal of a seed that fails."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / ".nectar" / "sim").mkdir(parents=True)
    journal = folder / ".nectar" / "sim" / "wishful.journal"
    assert nectar("sim", "run", f"{wishful.__file__}:WISHFUL", "--seed", "4", "-o", journal).code == 1
    return folder


@pytest.fixture(scope="module")
def shell(folder: Path) -> Iterator[Shell]:
    shell = Shell(folder / ".nectar")
    shell.say("testnet", "up", "--nodes", ",".join(NODES), "--detach")
    yield shell
    shell.say("testnet", "down")


@pytest.fixture(scope="module")
def served(shell: Shell, folder: Path) -> Iterator[Browser]:
    with watching(shell.folder, folder) as browser:
        yield browser


@pytest.fixture
def visit(shell: Shell, served: Browser, nectar_visitors: Visitors) -> Callable[..., Page]:
    """Open the page with a link of its own, at a testnet without faults."""
    shell.say("testnet", "fault", "remove", "all")

    def visit(**options: object) -> Page:
        page = nectar_visitors.open(served.ask("/api/link", {})[1]["url"], **{"viewport": VIEWPORT, **options})
        expect(page.locator("svg .node")).to_have_count(len(NODES) + 1)
        return page

    return visit


def drag(page: Page, source: str, target: str) -> None:
    """Draw a line from one node to another with the mouse."""
    for name, press in ((source, page.mouse.down), (target, page.mouse.up)):
        disc = page.locator(f'[data-node="{name}"] .disc').bounding_box()
        assert disc is not None
        page.mouse.move(disc["x"] + disc["width"] / 2, disc["y"] + disc["height"] / 2)
        press()


def test_the_whole_page_is_small(visit: Callable[..., Page]) -> None:
    page = visit()
    loaded = "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
    assert page.evaluate(f"{loaded}.reduce((sum, each) => sum + each.transferSize, 0)") < MAX_BYTES


def test_a_fault_set_with_the_mouse_holds_is_seen_and_removed(
    visit: Callable[..., Page], shell: Shell, screenshot: Callable[[Page, str], None]
) -> None:
    page = visit()
    drag(page, "ann.nec", "bob.nec")
    expect(page.get_by_role("heading", level=2)).to_have_text(BETWEEN)
    page.get_by_role("combobox", name="Fault").select_option("partition")
    page.get_by_role("button", name="Add the fault").click()
    expect(page.get_by_role("status")).to_have_text("Holds now: partition ann.nec from bob.nec.")
    expect(page.locator(f'[data-link="{BETWEEN}"]')).to_have_class(re.compile("cut"))
    assert shell.greet("ann.nec", "bob.nec", timeout=1) == "Timeout"
    expect(page.locator('[data-node="ann.nec"] .outcomes')).to_contain_text("◷ 1")
    page.evaluate("scrollTo(0, 0)")
    screenshot(page, "testnet")
    page.get_by_role("button", name=re.compile("^Remove fault")).click()
    expect(page.get_by_text("No fault holds.")).to_be_visible()
    assert shell.greet("ann.nec", "bob.nec") == "Answered"


def test_a_fault_is_set_and_removed_with_the_keyboard_alone(visit: Callable[..., Page], shell: Shell) -> None:
    page = visit()
    page.locator('[data-node="cleo.nec"]').get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_have_text("cleo.nec")
    page.get_by_role("button", name="Break its links…").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Fault")).to_be_focused()
    page.keyboard.type("latency")
    expect(page.get_by_role("textbox", name="jitter")).to_be_visible()
    page.get_by_role("textbox", name="seconds (seconds)").focus()
    page.keyboard.type("0.01")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Holds now: latency of 0.01 s on all links of cleo.nec.")
    page.get_by_role("button", name=re.compile("^Remove fault")).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("No fault holds.")).to_be_visible()
    assert shell.json("testnet", "fault", "list")["faults"] == []


def test_what_is_wrong_stands_beside_its_field(visit: Callable[..., Page], nectar_visitors: Visitors) -> None:
    nectar_visitors.allow(REFUSED)
    page = visit()
    page.get_by_role("combobox", name="Fault").select_option("bandwidth")
    page.get_by_role("combobox", name="Where").select_option("all")
    page.get_by_role("button", name="Add the fault").click()
    field = page.get_by_role("textbox", name=re.compile("^bytes_per_second"))
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#problem-bytes_per_second")).to_contain_text("bandwidth needs the parameter")
    field.fill("fast")
    page.get_by_role("button", name="Add the fault").click()
    expect(page.locator("#problem-bytes_per_second")).to_contain_text("must be a number, and not 'fast'")


def test_a_node_is_paused_and_goes_on(visit: Callable[..., Page], shell: Shell) -> None:
    page = visit()
    node = page.locator('[data-node="bob.nec"]')
    node.click()
    page.get_by_role("button", name="Pause").click()
    expect(node).to_have_class(re.compile("paused"))
    assert shell.node("bob.nec")["state"] == "paused"
    page.get_by_role("button", name="Resume").click()
    expect(node).to_have_class(re.compile("running"))


def test_two_pages_see_the_same_as_it_happens(visit: Callable[..., Page], shell: Shell) -> None:
    pages = [visit(), visit()]
    shell.say("testnet", "fault", "add", "latency", "seconds=0.01", "--between", "bob.nec,cleo.nec")
    for page in pages:
        expect(page.get_by_text("1 fault holds")).to_be_visible()
    pages[0].get_by_role("button", name=re.compile("^Remove fault")).click()
    for page in pages:
        expect(page.get_by_text("No fault holds.")).to_be_visible()


def test_chaos_shows_its_progress_its_promises_and_its_report(visit: Callable[..., Page]) -> None:
    page = visit()
    page.get_by_role("tab", name="Chaos").click()
    page.get_by_role("textbox", name="Minutes").fill("0.1")
    page.get_by_role("textbox", name="Seed").fill("7")
    page.get_by_role("button", name="Start chaos").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_text("not broken so far").first).to_be_visible()
    result = page.locator("details")
    expect(result).to_contain_text("all promises held", timeout=120_000)
    expect(result).to_contain_text("No request is lost (G5)")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="The whole report of seed 7").click()
    expect(opened.value.locator("body")).to_contain_text("Chaos with seed 7")


def test_the_report_of_a_seed_that_fails_opens_at_the_failure_and_without_a_session(visit: Callable[..., Page]) -> None:
    page = visit()
    page.get_by_role("tab", name="Reports").click()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="wishful.journal").click()
    report = opened.value
    expect(report.get_by_role("region", name="How the run failed")).to_contain_text("['bob.nec'] missed a line")
    assert report.evaluate("origin") == "null"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [VIEWPORT, PHONE], ids=["desk", "phone"])
def test_nothing_keeps_people_from_using_the_page(
    visit: Callable[..., Page], shell: Shell, axe: Callable[[Page], None], scheme: str, viewport: dict[str, int]
) -> None:
    page = visit(viewport=viewport, color_scheme=scheme)
    shell.say("testnet", "fault", "add", "partition", "--between", "ann.nec,cleo.nec")
    expect(page.get_by_text("1 fault holds")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for tab in ("Faults", "Chaos", "Nodes and links", "Errors", "Reports"):
        page.get_by_role("tab", name=re.compile(f"^{tab}")).click()
        axe(page)
    page.get_by_role("tab", name="Nodes and links").click()
    page.get_by_role("button", name="ann.nec ⇄ cleo.nec").click()
    axe(page)
    page.get_by_role("button", name="bob.nec", exact=True).click()
    expect(page.get_by_role("heading", level=2)).to_have_text("bob.nec")
    axe(page)
