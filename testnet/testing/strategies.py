"""Schedules of faults for tests with Hypothesis, which draws and shrinks them.

Needs Hypothesis, which the project does not depend on. A schedule shrinks to fewer faults, then to earlier and rounder
times, then to the first of the nodes and of the values that `testnet.faults.draw` draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar, cast

from nectar_node.base.errors import BadInput
from testnet.faults.draw import LINKS, MAX_DRAWN, NODES, Drawer
from testnet.faults.schedule import Schedule, Step, ordered

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError("testnet.testing.strategies needs Hypothesis: pip install hypothesis.") from error

T = TypeVar("T")

TENTHS = 10
"""The grain of times, in tenths of a second, so that people can read them."""


class _Choices:
    """A source of randomness for drawers, in which Hypothesis makes each choice; the first alternative is the
    simplest."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def choice(self, values: Sequence[T]) -> T:
        return self._draw(st.sampled_from(list(values)))

    def sample(self, values: Sequence[T], count: int) -> list[T]:
        left = list(values)
        return [left.pop(self._draw(st.integers(0, len(left) - 1))) for _ in range(count)]

    def random(self) -> float:
        return self._draw(st.sampled_from((0.0, 0.9)))


def schedules(
    nodes: Sequence[str],
    kinds: Sequence[Drawer] = (*LINKS, *NODES),
    until: float = 20.0,
    most: int = MAX_DRAWN,
) -> st.SearchStrategy[Schedule]:
    """Draw up to `most` faults of these kinds (drawers of `testnet.faults.draw`) between these nodes, all over when
    `until` seconds have passed. Raises BadInput for fewer than two nodes, no kind, or less than a second."""
    if len(nodes) < 2 or not kinds or until < 1.0:
        raise BadInput("`schedules` needs two nodes or more, a kind of fault or more, and a second or more.")
    return _schedules(tuple(nodes), tuple(kinds), until, most)


@st.composite
def _schedules(draw: st.DrawFn, nodes: Sequence[str], kinds: Sequence[Drawer], until: float, most: int) -> Schedule:
    # Not `lists`: with it Hypothesis sometimes keeps a simplest fault beside the one that matters.
    count = draw(st.integers(0, most))
    return ordered([draw(_steps(nodes, kinds, until)) for _ in range(count)])


@st.composite
def _steps(draw: st.DrawFn, nodes: Sequence[str], kinds: Sequence[Drawer], until: float) -> Step:
    last = int(until * TENTHS)
    fault = draw(st.sampled_from(kinds))(nodes, cast(Random, _Choices(draw)))
    at = draw(st.integers(0, last - 1))
    lasts = draw(st.integers(1, last - at))
    return Step(at / TENTHS, (at + lasts) / TENTHS, fault)
