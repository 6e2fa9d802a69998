"""One operation of a history: who called what when, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

MAX_DEPTH = 20
"""How deep a value of an operation may be nested; what is deeper counts as one text."""
MAX_WORDS = 120
"""Characters of an operation in a text for people."""

Value: TypeAlias = Hashable
"""An argument or a result: a JSON value in which lists are tuples, and objects are tuples of pairs in the order of
their keys."""


class _Unknown(Enum):
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = _Unknown.UNKNOWN
"""The result of an operation of which nobody knows what came of it."""


class Status(Enum):
    """What came of an operation."""

    OK = "ok"
    """It happened between its call and its return, with its result."""
    FAILED = "failed"
    """It is known not to have happened, and never will."""
    UNKNOWN = "unknown"
    """It may have happened, may yet happen at any time, or may never: Timeout and Offline."""


class Instant(NamedTuple):
    """A point of a history. Times are equal where virtual time has not moved; the second number tells such points
    apart."""

    time: float
    """Seconds since the network began; infinite for the return of what is unknown."""
    order: float
    """Which of the moments with this time: a later one has a larger number."""


NEVER: Final = Instant(math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation."""

    number: int
    """Its position in the history, from 0, by the time of its call."""
    client: str
    """Who called it: a client calls one after the other. Mostly the name of the node whose user asks."""
    name: str
    """What was called, such as "put"."""
    arguments: tuple[Value, ...]
    status: Status
    result: Value
    """The result of an operation that is OK, and UNKNOWN otherwise."""
    called: Instant
    returned: Instant
    """NEVER, if its status is unknown."""

    def words(self) -> str:
        """Describe it in a line, such as `put('a', 1) → 'Ok'`."""
        inner = ", ".join(map(text_of, self.arguments))
        after = f" → {text_of(self.result)}" if self.status is Status.OK else f" ({self.status.value})"
        found = f"{self.name}({inner}){after}"
        return found if len(found) <= MAX_WORDS else f"{found[: MAX_WORDS - 1]}…"

    def line(self) -> str:
        """Describe it with its client and its times."""
        until = "…" if self.returned == NEVER else f"{self.returned.time:.6f}"
        return f"{self.client}: {self.words()} [{self.called.time:.6f} to {until} s]"

    def is_before(self, other: Operation) -> bool:
        """Whether it had returned when `other` was called."""
        return self.returned < other.called


def text_of(value: Value) -> str:
    """Return a value in a few characters."""
    found = repr(value)
    return found if len(found) <= MAX_WORDS else f"{found[: MAX_WORDS - 1]}…"


def frozen(value: object, depth: int = 0) -> Value:
    """Return a value with lists as tuples and objects as tuples of pairs, so that it can be compared and kept in
    sets."""
    if depth > MAX_DEPTH:
        return text_of(repr(value)[:MAX_WORDS])
    match value:
        case str() | bytes() | int() | float() | None:
            return value
        case list() | tuple():
            return tuple(frozen(each, depth + 1) for each in value)
        case Mapping():
            return tuple(sorted((str(name), frozen(each, depth + 1)) for name, each in value.items()))
        case set() | frozenset():
            return frozenset(frozen(each, depth + 1) for each in value)
        case Hashable():
            return value
    return text_of(repr(value)[:MAX_WORDS])


def exact(value: Value) -> Value:
    """Return what equals only what is the same value in JSON: Python's True equals 1, and false is no number."""
    if isinstance(value, bool):
        return bool, str(value)
    if isinstance(value, tuple):
        return tuple(map(exact, value))
    return frozenset(map(exact, value)) if isinstance(value, frozenset) else value


def same(one: Value, other: Value) -> bool:
    """Whether two values are the same in JSON."""
    return one == other and exact(one) == exact(other)
