"""Compares two runs of one plan, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

LINES_AROUND = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """The first one between two journals."""

    number: int
    """Of the event, from 1."""
    before: tuple[str, ...]
    """The last events that are the same in both."""
    then: tuple[str, ...]
    """What comes next in the first one; nothing: it is over."""
    now: tuple[str, ...]
    """In the second one."""

    def lines(self) -> Iterator[str]:
        """For people."""
        yield from (f"  {line}" for line in self.before)
        yield from (f"- {line}" for line in self.then or ("(no more events)",))
        yield from (f"+ {line}" for line in self.now or ("(no more events)",))


def first_difference(then: Sequence[str], now: Sequence[str]) -> Difference | None:
    """Where the events of two runs part; None: they do not."""
    for index, (old, new) in enumerate(zip_longest(then, now)):
        if old != new:
            around = slice(index, index + LINES_AROUND)
            before = then[max(0, index - LINES_AROUND) : index]
            return Difference(index + 1, tuple(before), tuple(then[around]), tuple(now[around]))
    return None
