"""Durations as people type and read them."""

from __future__ import annotations

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.console.durations import duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("2 min", 120), ("15m", 900), ("6h", 21600), ("1d", 86400), ("2 Days", 172800), ("1 second", 1)],
)
def test_a_number_with_a_unit_is_a_duration(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1.5h", "1 month", "1h30", "9999999999s", "٣s"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(BadInput, match="expected a number with a unit"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (310, "5 min 10 s"),
        (2559, "42 min"),
        (11100, "3 h 5 min"),
        (86399, "23 h"),
        (90000, "1 d 1 h"),
        (1e6, "11 d"),
    ],
)
def test_a_duration_is_told_in_the_units_that_matter(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
