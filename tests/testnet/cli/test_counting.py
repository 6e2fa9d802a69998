"""A bar where there is room for one, its text alone where there is none, and a line now and then without a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from testnet.cli.counting import counting

TEXT = "3 of 9 seeds, 1 failed, 1.5/s, 4.0 s left"


def drawn(width: int) -> list[str]:
    """The lines, in the order in which they are drawn."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, color_system=None, legacy_windows=False)
    with counting(console, "file_transfer") as display:
        display.show(3, 9, TEXT)
    return re.sub(r"\x1b\[[?0-9]*[A-Za-z]", "", stream.getvalue()).splitlines()


@pytest.mark.parametrize("width", [100, 200])
def test_a_terminal_has_a_bar_that_leaves_room_for_a_ctrl_c(width: int) -> None:
    lines = drawn(width)
    assert any("file_transfer ━" in line and TEXT in line for line in lines)
    assert max(len(line.rstrip()) for line in lines) <= width - len("^C")


def test_a_narrow_terminal_has_the_text_alone() -> None:
    text = "\n".join(drawn(60))
    assert "━" not in text
    assert TEXT in text


def test_without_a_terminal_there_is_a_line_every_five_seconds() -> None:
    stream, now = io.StringIO(), 0.0
    with counting(Console(file=stream), "file_transfer", lambda: now) as display:
        for second in range(12):
            now = float(second)
            display.show(second, 100, f"{second} of 100")
    assert stream.getvalue().splitlines() == ["file_transfer: 5 of 100", "file_transfer: 10 of 100"]
