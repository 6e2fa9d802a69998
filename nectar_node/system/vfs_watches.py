"""Which processes are told of which changes in drives.

A watch is on one path, of a file or folder, which need not be there. Its process is told that something has changed
there, below it or above it, by a request that it answers. Until it has answered, and for a moment after it was told,
changes are gathered, so that a process that writes in a loop sends nobody more than one message in that time, however
much it writes. What there was no room to gather is told as `more`. Nobody is told of what it has changed itself.

Watches are bounded for each process, each package and in all, and paid for by the process's account of the node's
memory (G23).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.memory import UNMETERED, Account, Memory
from nectar_node.storage.operations import Location

MAX_OF_PROCESS = 64
"""Watches of one process."""
MAX_OF_PACKAGE = 256
"""Watches of the processes of one package, children included."""
MAX_ALL = 4096
"""Watches of all processes."""
MAX_CHANGES = 32
"""Paths that are gathered for one message; there is more to be seen than can be told."""
MAX_CHANGE_BYTES = 4096
"""Bytes of those paths together, without the watched one that each begins with."""
PAUSE_SECONDS = 0.1
"""Seconds between two messages for one watch: soon enough for people, and seldom enough for who is told."""
MAX_MISSED = 10
"""Messages one after the other that a process may leave unanswered before its watch ends: they pile up in its inbox."""
ANSWER_SECONDS = 60
"""Seconds after which a message is given up that has not been answered, and changes are told again; doubled with each
one that is missed in a row.
"""
_WEIGHT = 16 << 10
"""Bytes of memory that a watch takes at most, with what is gathered for it, but without its place in the index."""
_WEIGHT_OF_NAME = 1 << 10
"""Bytes of memory that each name of its path takes there: those above it are found by their whole paths."""


@dataclass(slots=True, eq=False)
class DriveWatch:
    """One watch."""

    watcher: ProcessId
    path: str
    """As it was asked for."""
    location: Location
    account: Account
    """What pays for it."""
    weight: int
    """Bytes of memory that it takes at most."""
    changes: dict[str, None] = field(default_factory=dict)
    """Paths below it that have changed since it was told; empty: itself, or something above it."""
    bytes: int = 0
    more: bool = False
    """Whether something has changed that there was no room for."""
    number: int = 0
    """Tells it from all others."""
    told: float = float("-inf")
    """When its process was told last."""
    unanswered: bool = False
    """Whether its process has not answered yet."""
    missed: int = 0
    """How many messages were not answered since one was."""
    due: bool = False
    """Whether its process will be told at some time that is known."""


class Watches:
    """All watches of one node."""

    def __init__(self, memory: Memory = UNMETERED) -> None:
        """`memory` pays for them."""
        self._memory = memory
        self._numbers = count(1)
        self._by_number: dict[int, DriveWatch] = {}
        self._of: dict[ProcessId, dict[Location, DriveWatch]] = {}
        self._of_package: Counter[PackageId] = Counter()
        self._at: dict[Location, dict[DriveWatch, None]] = {}
        self._below: dict[Location, dict[DriveWatch, None]] = {}
        """The watches somewhere below each location."""
        self._due: list[tuple[float, int]] = []
        """A heap of the times at which processes are told; watches that are gone are still in it."""

    def add(self, watcher: ProcessId, path: str, location: Location) -> str | None:
        """Add a watch, if the process has none there; return why there can be none."""
        own = self._of.get(watcher, {})
        if location in own:
            return None
        if len(own) >= MAX_OF_PROCESS:
            return f"the process watches {MAX_OF_PROCESS} paths already"
        if self._of_package[watcher.package_id] >= MAX_OF_PACKAGE:
            return f"the package's processes watch {MAX_OF_PACKAGE} paths already"
        account, weight = self._memory.of_process(watcher), _WEIGHT + _WEIGHT_OF_NAME * len(location.parts)
        if len(self._by_number) >= MAX_ALL or not account.may_add(weight):
            return "too much is watched already"
        account.add(weight)
        watch = DriveWatch(watcher, path, location, account, weight, number=next(self._numbers))
        self._by_number[watch.number] = watch
        self._of.setdefault(watcher, {})[location] = watch
        self._of_package[watcher.package_id] += 1
        self._at.setdefault(location, {})[watch] = None
        for above in _above(location):
            self._below.setdefault(above, {})[watch] = None
        return None

    def remove(self, watcher: ProcessId, location: Location) -> bool:
        """Remove a watch; False: there was none."""
        watch = self._of.get(watcher, {}).get(location)
        if watch is None:
            return False
        watch.account.remove(watch.weight)
        del self._by_number[watch.number]
        del self._of[watcher][location]
        if not self._of[watcher]:
            del self._of[watcher]
        self._of_package -= Counter([watcher.package_id])  # which forgets those without any
        _discard(self._at, location, watch)
        for above in _above(location):
            _discard(self._below, above, watch)
        return True

    def ended(self, process: ProcessId) -> None:
        """Remove the watches of a process."""
        for location in tuple(self._of.get(process, ())):
            self.remove(process, location)
        if len(self._due) > 2 * len(self._by_number) + 64:  # else processes that come and go would fill it
            self._due = [each for each in self._due if each[1] in self._by_number]
            heapq.heapify(self._due)

    def changed(self, location: Location, by: ProcessId, now: float) -> None:
        """Note that a process has changed something there, or below it."""
        if not self._by_number:
            return
        for above in (*_above(location), location):
            for watch in self._at.get(above, ()):
                self._gather(watch, location.parts[len(above.parts) :], by, now)
        for watch in self._below.get(location, ()):
            self._gather(watch, (), by, now)

    def _gather(self, watch: DriveWatch, below: tuple[str, ...], by: ProcessId, now: float) -> None:
        if by == watch.watcher:
            return
        path = "".join(f"/{part}" for part in below)
        if path not in watch.changes:
            size = len(path.encode(errors="replace"))
            if len(watch.changes) < MAX_CHANGES and watch.bytes + size <= MAX_CHANGE_BYTES:
                watch.changes[path] = None
                watch.bytes += size
            else:
                watch.more = True
        self._schedule(watch, now)

    def _schedule(self, watch: DriveWatch, now: float) -> None:
        if not watch.due and not watch.unanswered:
            watch.due = True
            heapq.heappush(self._due, (max(now, watch.told + PAUSE_SECONDS), watch.number))

    def next_deadline(self) -> float | None:
        """Return when `take` has something to return, or None."""
        while self._due and self._due[0][1] not in self._by_number:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def take(self, now: float) -> DriveWatch | None:
        """Return a watch whose process is to be told now, or None."""
        due = self.next_deadline()
        if due is None or due > now:
            return None
        watch = self._by_number[heapq.heappop(self._due)[1]]
        watch.due = False
        return watch

    def tell(self, watch: DriveWatch, now: float) -> dict[str, object]:
        """Return what the process is told, and gather anew."""
        base = watch.path.rstrip("/")
        changes = [f"{base}{below}" for below in watch.changes]
        told: dict[str, object] = {"path": watch.path, "changes": changes, "more": watch.more}
        watch.changes, watch.bytes, watch.more = {}, 0, False
        watch.told, watch.unanswered = now, True
        return told

    def answered(self, number: int, now: float, *, missed: bool) -> DriveWatch | None:
        """Note that the process has answered, or has `missed` to; return its watch if that is to end because of it."""
        watch = self._by_number.get(number)
        if watch is None:
            return None
        watch.unanswered = False
        watch.missed = watch.missed + 1 if missed else 0
        if watch.missed == MAX_MISSED:
            return watch
        if watch.changes or watch.more:
            self._schedule(watch, now)
        return None

    def patience(self, watch: DriveWatch) -> int:
        """Return how many seconds the process has to answer what it is told now."""
        return ANSWER_SECONDS << watch.missed


def _above(location: Location) -> Iterator[Location]:
    return (Location(location.root, location.parts[:length]) for length in range(1, len(location.parts)))


def _discard(index: dict[Location, dict[DriveWatch, None]], location: Location, watch: DriveWatch) -> None:
    index[location].pop(watch)
    if not index[location]:
        del index[location]
