"""Curves of a cost against a size, and how fast they rise. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

LINEAR = 1.1
"""The exponent up to which growth counts as linear: what lies above it is explained in docs/performance.md."""

Point = tuple[float, float]
"""A size, and what it costs."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured at many sizes, and what is asked about each."""

    title: str
    unit: str
    """What is counted, as the axis of the sizes says it."""
    sizes: tuple[int, ...]
    """Ascending."""
    seconds: tuple[str, ...]
    """The costs in seconds of processor time, by their names."""
    mebibytes: tuple[str, ...]
    """The costs in MiB of resident memory, by their names."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What a subject has cost at each size that was measured."""

    taken: str
    """The day, as ISO 8601 writes it."""
    machine: str
    costs: dict[int, dict[str, float]] = field(default_factory=dict)
    """By size, then by name."""
    left_out: dict[int, str] = field(default_factory=dict)
    """Why a size has not been measured."""

    def curve(self, name: str) -> list[Point]:
        """Return the points of a cost, by ascending size; those of no cost, which no logarithm has, are not among
        them."""
        return [(size, costs[name]) for size, costs in sorted(self.costs.items()) if costs.get(name, 0) > 0]


def exponent(points: Sequence[Point]) -> float | None:
    """Return k of the power law c·nᵏ that fits the upper half of the sizes' logarithms best, by least squares of
    logarithms: below it, what a cost begins with hides how it grows. None: fewer than two points lie there."""
    if not points:
        return None
    middle = math.sqrt(points[0][0] * points[-1][0])
    upper = [(math.log(size), math.log(cost)) for size, cost in points if size >= middle]
    if len(upper) < 2:
        return None
    mean_x, mean_y = (sum(values) / len(upper) for values in zip(*upper, strict=True))
    spread: float = sum((x - mean_x) ** 2 for x, _ in upper)
    rise: float = sum((x - mean_x) * (y - mean_y) for x, y in upper)
    return rise / spread
