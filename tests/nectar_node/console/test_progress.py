"""What the progress displays promise, in virtual time."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from nectar_node.console.output import console
from nectar_node.console.progress import RateMeter, TransferDisplay, describe, display

MIB = 1024 * 1024
TEXT = "3 of 9 seeds, 1 failed, 1.5/s, 4.0 s left"


class Clock:
    """Time that stands still unless told otherwise."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rate_is_the_average_over_the_window() -> None:
    meter = RateMeter()
    for second in range(4):
        meter.update(second * 10, float(second))
    assert meter.rate() == 10.0
    assert meter.time_left(130) == 10.0
    meter = RateMeter()
    for now, count in ((0.0, 0), (1.0, 1000), (2.0, 1000), (3.0, 1000), (4.0, 1000), (5.0, 1000)):
        meter.update(count, now)
    assert meter.rate() == 0.0
    assert meter.time_left(2000) is None
    meter = RateMeter()
    meter.update(5, 1.0)
    assert meter.rate() == 0.0


def test_a_description_has_bytes_share_rate_and_time_left() -> None:
    meter = RateMeter()
    meter.update(0, 0.0)
    meter.update(64 * MIB, 1.0)
    assert describe(meter, 64 * MIB, 256 * MIB) == "64.0 MiB of 256.0 MiB (25%), 64.0 MiB/s, 3.0 s left"
    assert describe(RateMeter(), 0, 0) == "0 B"


def drawn(width: int) -> list[str]:
    """The lines on a terminal of that width, in the order in which they are drawn."""
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=width, color_system=None, legacy_windows=False)
    with display(terminal, "file_transfer") as shown:
        shown.show(3, 9, TEXT)
    return re.sub(r"\x1b\[[?0-9]*[A-Za-z]", "", stream.getvalue()).splitlines()


@pytest.mark.parametrize("width", [64, 100, 200])
def test_a_terminal_has_a_bar_that_leaves_room_for_a_ctrl_c(width: int) -> None:
    lines = drawn(width)
    assert any("file_transfer ━" in line and TEXT in line for line in lines)
    assert max(len(line.rstrip()) for line in lines) <= width - len("^C")


@pytest.mark.parametrize(("width", "line"), [(60, f"file_transfer {TEXT}"), (50, TEXT)])
def test_a_narrow_terminal_has_no_bar_and_a_narrower_one_no_title(width: int, line: str) -> None:
    assert drawn(width)[-1].rstrip() == line


def test_without_a_terminal_there_is_a_line_every_five_seconds() -> None:
    clock, stream = Clock(), io.StringIO()
    with display(console(stream), "file_transfer", clock=clock) as shown:
        for second in range(12):
            clock.now = 100.0 + second
            shown.show(second, 100, f"{second} of 100")
    assert stream.getvalue().splitlines() == ["file_transfer: 5 of 100", "file_transfer: 10 of 100"]


def test_without_a_terminal_a_transfer_has_a_line_each_second_and_at_each_change() -> None:
    clock, stream = Clock(), io.StringIO()
    with display(console(stream), "a → b", 1.0, clock) as shown:
        transfer = TransferDisplay(shown, clock)
        for step in range(21):
            clock.now = 100 + step / 10
            transfer.show("sending", step * MIB, 100 * MIB)
        transfer.show("checking", 100 * MIB, 100 * MIB)
        transfer.note("That is all.")
    assert stream.getvalue().splitlines() == [
        "a → b: sending, 0 B of 100.0 MiB (0%), 0 B/s, waiting",
        "a → b: sending, 10.0 MiB of 100.0 MiB (10%), 10.0 MiB/s, 9.0 s left",
        "a → b: sending, 20.0 MiB of 100.0 MiB (20%), 10.0 MiB/s, 8.0 s left",
        "a → b: checking, 100.0 MiB of 100.0 MiB (100%)",
        "That is all.",
    ]


def test_on_a_terminal_a_transfer_has_title_bytes_and_rate() -> None:
    clock, stream = Clock(), io.StringIO()
    with display(Console(file=stream, force_terminal=True, width=120, color_system=None), "a → b") as shown:
        transfer = TransferDisplay(shown, clock)
        transfer.show("sending", 0, 4 * MIB)
        clock.now += 1.0
        transfer.show("sending", MIB, 4 * MIB)
    # The cursor is shown again after the last picture of the bar.
    last = stream.getvalue().splitlines()[-2]
    assert "a → b ━" in last
    assert "1.0 MiB of 4.0 MiB (25%), 1.0 MiB/s, 3.0 s left" in last


def test_control_characters_of_a_file_name_do_not_reach_the_terminal() -> None:
    stream = io.StringIO()
    with display(console(stream), "\x1b]0;x", clock=Clock()) as shown:
        shown.show(0, 1, "nothing yet", "sending")
    assert "\x1b" not in stream.getvalue()
