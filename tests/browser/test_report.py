"""The report of a run, as `nectar sim report` writes it, in a real browser."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from testnet.journal.journal import Journal
from testnet.report import write_report
from testnet.testing.browsers import Visitors
from tests.browser import wishful
from tests.browser.conftest import PHONE, VIEWPORT
from tests.commands import nectar
from tests.testnet.report.small import hostile, small

SEED = 4
"""With which the scenario `wishful` fails."""


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a seed that fails, made with the commands with which people make it."""
    folder = tmp_path_factory.mktemp("failed")
    shutil.copy(wishful.__file__, folder)
    with contextlib.chdir(folder):
        ran = nectar("sim", "run", "wishful.py:WISHFUL", "--seed", str(SEED), "-o", "failed.journal")
        assert (ran.code, "['bob.nec'] missed a line" in ran.out) == (1, True), (SEED, ran)
        assert nectar("sim", "report", "failed.journal", "-o", "failed.html").code == 0
    return folder / "failed.html"


@pytest.fixture
def show(nectar_visitors: Visitors, tmp_path: Path) -> Callable[[Journal], Page]:
    """Show the report of a journal."""

    def write_and_open(journal: Journal) -> Page:
        write_report(journal, tmp_path / "report.html")
        return nectar_visitors.open((tmp_path / "report.html").as_uri(), viewport=VIEWPORT)

    return write_and_open


def test_the_report_of_a_seed_that_fails_begins_with_what_does_not_hold(
    nectar_visitors: Visitors, failed: Path, screenshot: Callable[[Page, str], None]
) -> None:
    page = nectar_visitors.open(failed.as_uri(), viewport=VIEWPORT)
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"seed {SEED}")
    expect(page.locator("#result")).to_have_text("violated")
    page.get_by_role("button", name="Failed at").click()
    details = page.get_by_role("complementary", name="Details")
    expect(details).to_contain_text("['bob.nec'] missed a line")
    expect(page.locator("#replay code")).to_have_text("nectar sim replay failed.journal")
    page.keyboard.press("Escape")
    screenshot(page, "report")


def test_the_whole_report_can_be_used_from_the_keyboard(nectar_visitors: Visitors, failed: Path) -> None:
    page = nectar_visitors.open(failed.as_uri(), viewport=VIEWPORT)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("line 7")
    expect(page.locator("#count")).to_have_text(re.compile("^[1-9][0-9]? of"))
    page.get_by_role("application").focus()
    details = page.get_by_role("complementary", name="Details")
    for _ in range(40):  # it begins at the failure, at the end
        page.keyboard.press("ArrowUp")
    for _ in range(20):  # what gives events their place, such as boots, is shown in any case
        if "line 7" in details.inner_text():
            break
        page.keyboard.press("ArrowDown")
    expect(details).to_contain_text("line 7")
    first = page.locator("#said").text_content()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#said")).not_to_have_text(str(first))
    page.keyboard.press("Escape")
    expect(page.locator("#said")).to_have_text("Nothing selected")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [VIEWPORT, PHONE], ids=["desk", "phone"])
def test_nothing_keeps_people_from_using_the_report(
    nectar_visitors: Visitors, failed: Path, axe: Callable[[Page], None], scheme: str, viewport: dict[str, int]
) -> None:
    page = nectar_visitors.open(failed.as_uri(), viewport=viewport, color_scheme=scheme)
    axe(page)
    page.get_by_role("button", name="Failed at").click()
    axe(page)
    page.get_by_text("Options, faults, digest").click()
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    axe(page)


@pytest.mark.parametrize("width", [500, 1400])
def test_there_is_room_to_drag_over_the_whole_run(show: Callable[[Journal], Page], width: int) -> None:
    page = show(small())
    page.set_viewport_size({"width": width, "height": 900})
    strip = page.locator("#overview canvas").bounding_box()
    assert strip is not None
    assert strip["width"] > width / 2


def test_an_empty_run_is_drawn_too(show: Callable[[Journal], Page]) -> None:
    expect(show(small(nodes=())).locator("#count")).to_have_text("0 of 0 shown")


def test_hostile_texts_are_shown_and_run_nothing(show: Callable[[Journal], Page]) -> None:
    page = show(hostile())
    expect(page.get_by_role("heading", level=1)).to_contain_text("</script><script>alert(1)</script>")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
