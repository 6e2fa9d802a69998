"""Deadlines of many keys under one `next`: a heap with one entry per key, adjusted lazily.

Timers can be part of others, which then know the earliest deadline of all of them without asking each.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Timers(Generic[K]):
    """At most one deadline per key. Equal deadlines fire in the order in which they were set."""

    def __init__(self, whole: Timers[Any] | None = None) -> None:
        """With `whole`, the earliest of these deadlines is one of its own."""
        self._whole = whole
        self._parts: list[Any] = []
        if whole is not None:
            whole._parts.append(self)
        self._deadlines: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0

    def set(self, key: K, when: float | None) -> None:
        """Give `key` the deadline `when` in seconds, or none, in place of any it had."""
        current = self._deadlines.get(key)
        if when is None:
            if current is None:
                return
            del self._deadlines[key]
        elif current is not None and current[0] == when:
            return  # whoever is part of `_whole` has told it so before
        else:
            self._count += 1
            heapq.heappush(self._heap, (when, self._count, key))
            self._deadlines[key] = (when, self._count)
        if len(self._heap) > 64 + 4 * len(self._deadlines):
            self._heap = [(when, count, key) for key, (when, count) in self._deadlines.items()]
            heapq.heapify(self._heap)
        if self._whole is not None:
            self._whole.set(self, self.next())

    def when(self, key: K) -> float | None:
        """Return the deadline of `key`, or None if it has none."""
        deadline = self._deadlines.get(key)
        return None if deadline is None else deadline[0]

    def __contains__(self, key: K) -> bool:
        """Return whether `key` has a deadline."""
        return key in self._deadlines

    def next(self) -> float | None:
        """Return the earliest deadline, or None if there is none."""
        while self._heap:
            when, count, key = self._heap[0]
            if self._deadlines.get(key) == (when, count):
                return when
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: float) -> K | None:
        """Take out and return a key whose deadline has come, earliest first, or None if there is none."""
        when = self.next()
        if when is None or when > now:
            return None
        key = heapq.heappop(self._heap)[2]
        self.set(key, None)
        return key

    def mend(self) -> None:
        """Learn the earliest deadline of each part anew, after our own code has failed anywhere."""
        for part in self._parts:
            self.set(part, part.next())
