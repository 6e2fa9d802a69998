"""A queue in which lanes take turns: first in, first out within each, and none waits for another to be empty.

So a sender that floods a process from another node delays its messages by one of its own at a time, and not by all of
them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """A queue of items in lanes that take turns."""

    __slots__ = ("_lanes", "_turns", "size")

    def __init__(self) -> None:
        self._lanes: dict[str | None, deque[T]] = {}
        """The lanes that are not empty, and the one that became so last: most queues never have another."""
        self._turns: deque[str | None] = deque()
        """The lanes, the next one first."""
        self.size = 0
        """How many items there are: `len`, for what asks at every message."""

    def put(self, lane: str | None, item: T) -> None:
        """Add an item at the end of a lane."""
        queue = self._lanes.get(lane)
        if queue is None:
            queue = self._lanes[lane] = deque()
            self._turns.append(lane)
        elif not queue and len(self._turns) > 1:
            self._turns.rotate(-1)  # this lane is the first, and comes after those that were here before it
        queue.append(item)
        self.size += 1

    def take(self) -> T:
        """Remove the first item of the lane whose turn it is, and return it. Raises IndexError if there is none."""
        turns = self._turns
        queue = self._lanes[turns[0]]
        if not queue and len(turns) > 1:
            del self._lanes[turns.popleft()]
            queue = self._lanes[turns[0]]
        item = queue.popleft()
        self.size -= 1
        if len(turns) > 1:
            if queue:
                turns.rotate(-1)
            else:
                del self._lanes[turns.popleft()]
        return item

    def discard(self, lane: str | None, item: T) -> None:
        """Remove an item from a lane, if it is in it."""
        queue = self._lanes.get(lane)
        if queue is None or item not in queue:
            return
        queue.remove(item)
        self.size -= 1
        if not queue:
            del self._lanes[lane]
            self._turns.remove(lane)

    def last_is_first(self, lane: str | None) -> None:
        """Put the last item of a lane back to the place that it had before it was taken."""
        if lane in self._lanes:
            self._lanes[lane].rotate(1)

    def replace(self, change: Callable[[T], T]) -> None:
        """Replace each item with what `change` returns for it."""
        for lane, queue in self._lanes.items():
            self._lanes[lane] = deque(map(change, queue))

    def drain(self) -> Iterator[T]:
        """Take and yield all items, until there is none."""
        while self.size:
            yield self.take()

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[T]:
        """Yield all items, lane by lane."""
        for queue in self._lanes.values():
            yield from queue
