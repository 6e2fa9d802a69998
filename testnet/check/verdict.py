"""What a checker says of a history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from testnet.check.operation import Operation

MOST_TOLD = 12
"""Operations that the text of a verdict names."""


class VerdictKind(Enum):
    """Whether a history keeps a promise."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNDECIDED = "not decided"
    """The search has reached its bound, or the history says too little."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of checking one promise."""

    ruling: VerdictKind
    text: str
    """A sentence: what is violated, why it is not decided, or what was measured."""
    operations: tuple[Operation, ...] = ()
    """The shortest sub-history found that cannot be explained, by the times of calls."""

    def __bool__(self) -> bool:
        """Whether the promise holds."""
        return self.ruling is VerdictKind.HOLDS

    def words(self) -> str:
        """Return the sentence and the operations below it, a line each."""
        more = len(self.operations) - MOST_TOLD
        lines = [self.text, *(f"  {each.line()}" for each in self.operations[:MOST_TOLD])]
        return "\n".join([*lines, *([f"  and {more} more"] if more > 0 else [])])


class Guarantee(Protocol):
    """A promise of an application."""

    @property
    def name(self) -> str:
        """What it is called, such as "linearizable"."""

    def check(self, operations: Sequence[Operation], calm: float | None = None) -> Verdict:
        """Say whether these operations, by the times of their calls, keep the promise; `calm` is when the faults had
        ended, in seconds, if that is known."""


def holds(text: str = "") -> Verdict:
    """Return the verdict that the promise holds."""
    return Verdict(VerdictKind.HOLDS, text)


def violated(text: str, *operations: Operation) -> Verdict:
    """Return the verdict that the promise is violated by these operations."""
    return Verdict(VerdictKind.VIOLATED, text, tuple(sorted(set(operations), key=lambda each: each.number)))


def undecided(why: str) -> Verdict:
    """Return the verdict that nobody knows, and why."""
    return Verdict(VerdictKind.UNDECIDED, f"not decided: {why}")
