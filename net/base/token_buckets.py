"""Token buckets: how often something may happen over time, for many keys, in bounded memory. Pure; times are Unix
times.

Each key has one number, as in the generic cell rate algorithm (ITU-T I.371): the time at which its bucket is full
again. A key whose bucket is full need not be remembered.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Allowance(Generic[K]):
    """The token buckets of all keys."""

    def __init__(self, burst: int, seconds: float, most: int) -> None:
        """`burst` is how often at once; `seconds` how long until once more; `most` how many keys are remembered: those
        that were used longest ago go first."""
        self._room = burst * seconds
        self._seconds = seconds
        self._most = most
        self._full_at: dict[K, float] = {}
        """When each key's bucket is full, in the order of their last use."""

    def wait(self, key: K, at: float) -> float:
        """Return the seconds from the time `at` until `key` may do it; 0: it may now."""
        return max(0.0, self._debt(key, at) + self._seconds - self._room)

    def take(self, key: K, at: float, count: int = 1) -> None:
        """Take that many tokens of `key`, or all that it has."""
        full_at = at + min(self._room, self._debt(key, at) + count * self._seconds)
        self._full_at.pop(key, None)
        self._full_at[key] = full_at
        while self._full_at:
            oldest = next(iter(self._full_at))
            if len(self._full_at) <= self._most and self._full_at[oldest] > at:
                break
            del self._full_at[oldest]

    def _debt(self, key: K, at: float) -> float:
        """Return the seconds until the key's bucket is full; never more than an empty one takes, though the clock may
        be set back."""
        return min(self._room, max(0.0, self._full_at.get(key, at) - at))

    def __len__(self) -> int:
        return len(self._full_at)
