"""Durations as people type and read them: `90s`, `15 min`, `6h`, `1d`."""

from __future__ import annotations

import re

from nectar_node.base.errors import BadInput

_DURATION = re.compile(r"(\d{1,9})\s*(s|seconds?|m|min|minutes?|h|hours?|d|days?)", re.IGNORECASE | re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_FEW = 10
"""Below so many of a unit, the next smaller one is told too."""


def parse_duration(text: str) -> int:
    """Return the whole seconds in `text`, which has a unit; raises BadInput."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise BadInput(f"{text!r} is not a duration: expected a number with a unit, such as 30s, 15min, 6h or 1d.")
    return int(match[1]) * _SECONDS[match[2][0].lower()]


def duration_text(seconds: float) -> str:
    """Return a duration for people, rounded down: `42 s`, `5 min 10 s`, `42 min`, `3 h 5 min`, `2 d`."""
    left = max(0, int(seconds))
    unit, size = next((each for each in _UNITS if left >= each[1]), _UNITS[-1])
    count, rest = divmod(left, size)
    for smaller, per in _UNITS[_UNITS.index((unit, size)) + 1 :][:1]:
        if count < _FEW and rest >= per:
            return f"{count} {unit} {rest // per} {smaller}"
    return f"{count} {unit}"
