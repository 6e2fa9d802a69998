"""The page in a real browser, where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from testnet.journal.journal import Journal
from testnet.report import write_report
from tests.testnet.report.conftest import SEED
from tests.testnet.report.small import hostile, small

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--log-level=0"),
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here: the page is not loaded in a browser")


def load(page: Path, profile: Path, width: int = 1400) -> tuple[str, list[str]]:
    """The document when its script has run in a window that many pixels wide, and what the console has."""
    assert BROWSER is not None
    size = f"--window-size={width},900"
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", size, "--dump-dom", page.as_uri()]
    ran = subprocess.run(command, capture_output=True, timeout=120, check=True)
    console = [line for line in ran.stderr.decode(errors="replace").splitlines() if "CONSOLE" in line]
    return ran.stdout.decode(errors="replace"), console


def test_a_real_run_is_drawn_without_a_word_on_the_console(journal: Journal, tmp_path: Path) -> None:
    write_report(journal, tmp_path / "page.html")
    document, console = load(tmp_path / "page.html", tmp_path / "profile")
    assert console == [], SEED
    assert f"file_transfer, seed {SEED}</h1>" in document
    assert re.search(r'id="count">\d+ of \d+ shown<', document)


@pytest.mark.parametrize("width", [500, 1400])
def test_there_is_room_to_drag_over_the_whole_run(tmp_path: Path, width: int) -> None:
    write_report(small(), tmp_path / "page.html")
    document, _ = load(tmp_path / "page.html", tmp_path / "profile", width)
    strip = re.search(r'<section id="overview".*?<canvas[^>]* width="(\d+)"', document, re.DOTALL)
    assert strip is not None
    assert int(strip[1]) > width / 2


def test_an_empty_run_is_drawn_too(tmp_path: Path) -> None:
    write_report(small(nodes=()), tmp_path / "page.html")
    document, console = load(tmp_path / "page.html", tmp_path / "profile")
    assert console == []
    assert "0 of 0 shown" in document


def test_hostile_texts_are_shown_and_run_nothing(tmp_path: Path) -> None:
    write_report(hostile(), tmp_path / "page.html")
    document, console = load(tmp_path / "page.html", tmp_path / "profile")
    assert console == []
    assert "<img" not in document
    assert document.count("<script") == 2
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in document


def test_a_script_that_fails_would_be_seen_on_the_console(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<script>nobody.knows(this)</script>")
    _, console = load(tmp_path / "page.html", tmp_path / "profile")
    assert len(console) == 1
    assert "ReferenceError" in console[0]
