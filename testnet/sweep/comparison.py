"""Compares two runs of one plan, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

LINES_AROUND = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference between two journals."""

    number: int
    """The number of the event, from 1."""
    before: tuple[str, ...]
    """The last events that both have."""
    then: tuple[str, ...]
    """The next events of the first journal; empty if it is over."""
    now: tuple[str, ...]
    """The next events of the second journal."""

    def lines(self) -> Iterator[str]:
        """Yield lines for people."""
        yield from (f"  {line}" for line in self.before)
        yield from (f"- {line}" for line in self.then or ("(no more events)",))
        yield from (f"+ {line}" for line in self.now or ("(no more events)",))


def first_difference(then: Sequence[str], now: Sequence[str]) -> Difference | None:
    """Return where the events of two runs first differ, or None."""
    for index, (old, new) in enumerate(zip_longest(then, now)):
        if old != new:
            around = slice(index, index + LINES_AROUND)
            before = then[max(0, index - LINES_AROUND) : index]
            return Difference(index + 1, tuple(before), tuple(then[around]), tuple(now[around]))
    return None
