"""How many seeds a test plays: a few in the default run, and the rest in `make soak`."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
"""Hypothesis draws as many examples as `make soak` wants."""

_DEFAULT = 100
"""Of Hypothesis."""


def examples(soak: int = _DEFAULT) -> int:
    """How many examples Hypothesis draws: `soak` of them in `make soak`, else a quarter, but not fewer than ten."""
    return soak if SOAK else max(10, soak // 4)


long_ones = True
"""Whether tests that are `long` may run; what nobody runs is not made: a test for each of thousands of seeds takes
seconds of each process that collects them."""


def sample(values: Iterable[object], default: int = 1) -> list[object]:
    """For `parametrize`: all values, of which those behind the first `default` are `long`."""
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*row, marks=() if place < default else pytest.mark.long) for place, row in enumerate(rows)]


def seeds(default: int, soak: int) -> list[object]:
    """For `parametrize`: the seeds below `soak`, of which those from `default` on are `long`."""
    return [
        *range(default),
        *(pytest.param(seed, marks=pytest.mark.long) for seed in range(default, soak) if long_ones),
    ]
