"""Two journals are the same, or the first event that differs is shown with what is around it."""

from __future__ import annotations

import pytest

from testnet.sweep.comparison import first_difference

LINES = [f"{number}" for number in range(10)]


def test_the_first_difference_is_shown_with_three_lines_around_it() -> None:
    assert first_difference(LINES, list(LINES)) is None
    assert first_difference([], []) is None
    difference = first_difference(LINES, [*LINES[:5], "other", *LINES[6:9], "another"])
    assert difference is not None
    assert difference.number == 6
    assert list(difference.lines()) == ["  2", "  3", "  4", "- 5", "- 6", "- 7", "+ other", "+ 6", "+ 7"]


@pytest.mark.parametrize(("then", "now"), [(LINES, LINES[:4]), (LINES[:4], LINES)])
def test_a_journal_that_ends_before_the_other_says_so(then: list[str], now: list[str]) -> None:
    difference = first_difference(then, now)
    assert difference is not None
    assert difference.number == 5
    assert ("- (no more events)" in difference.lines()) == (then is not LINES)
    assert ("+ (no more events)" in difference.lines()) == (now is not LINES)
