"""What is computed from names, kept for the next time: names come again and again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

REMEMBERED = 16384
"""Results that are kept of one function. When a message goes round through more processes than these, each name is
computed anew each time, which takes a third of a message's way longer."""
LARGEST = 512
"""Bytes of names for which a result is kept: more than any valid address has, and guests may pass ten times as many.
So what is kept of one function stays below 20 MiB, whatever guests pass."""


class Remembered(dict[K, V], Generic[K, V]):
    """The results of a function as a dictionary, which computes what it lacks; the oldest go first. (The look-up of a
    dictionary costs less than that of a cache that knows what was used last, most of all when there are many.)"""

    __slots__ = ("_compute", "_most", "_order", "_weigh")

    def __init__(self, compute: Callable[[K], V], weigh: Callable[[K, V], int], most: int = REMEMBERED) -> None:
        """`weigh` returns the bytes of the names in an item; what `compute` raises leaves the look-up."""
        self._compute = compute
        self._weigh = weigh
        self._most = most
        self._order = deque[K]()

    def __missing__(self, key: K) -> V:
        """Compute the value of `key`, and keep it. Threads may do so at the same time."""
        value = self._compute(key)
        if self._weigh(key, value) <= LARGEST:
            if len(self._order) >= self._most:
                self.pop(self._order.popleft(), None)
            self[key] = value
            self._order.append(key)
        return value
