"""The order of the vfs's work: requests that wait for the disk, or for each other.

Requests for one place are done in the order in which they came. Most may be on their way to the disk together, since
the disk keeps their order. Some must go alone: those that use a cursor, because their position is known only when the
request before is done, and those that concern two places. The queue is bounded for each caller and in all (G23), and
paid for by the caller's account of the node's memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kernel.contract.address import ProcessId
from kernel.contract.memory import UNMETERED, Account, Memory
from nectar_node.storage.operations import NO_TICKET

MAX_REQUESTS = 4096
"""Requests of one process that wait or are being done."""
MAX_BYTES = 256 << 20
"""Bytes of bodies, metadata and blobs in those; below it, one more of any size is taken."""
MAX_ALL_BYTES = 1 << 30
"""The same for all processes together."""

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Pending(Generic[T]):
    """One request."""

    task: T
    places: tuple[str, ...]
    alone: bool
    """Whether nothing else may be done at these places at the same time."""
    caller: ProcessId
    weight: int
    """Bytes that it keeps alive."""
    ticket: int = NO_TICKET
    """The ticket by which its job can be stopped."""
    stopped: bool = False
    """Whether nobody waits for it any more."""
    goes: bool = False
    """Whether it may be done now."""
    given: bool = False
    """Whether `VfsQueue.next` has returned it."""


@dataclass(slots=True)
class _Place(Generic[T]):
    waiting: deque[Pending[T]] = field(default_factory=deque)
    going: int = 0
    alone: bool = False


@dataclass(slots=True)
class _Usage:
    account: Account
    requests: int = 0
    bytes: int = 0
    told: bool = False


class VfsQueue(Generic[T]):
    """Requests in order, and which of them may be done now."""

    def __init__(self, memory: Memory = UNMETERED) -> None:
        """`memory` pays for what waits."""
        self._memory = memory
        self._all: dict[Pending[T], None] = {}
        """All requests, in the order in which they came."""
        self._places: dict[str, _Place[T]] = {}
        self._usage: dict[ProcessId, _Usage] = {}
        self._bytes = 0
        self._ready: deque[Pending[T]] = deque()

    def has_room(self, caller: ProcessId, weight: int = 0) -> bool:
        """Whether the queue takes one more request of `caller`, which keeps `weight` bytes alive."""
        usage = self._usage.get(caller)
        account = self._memory.of_process(caller) if usage is None else usage.account
        if not account.may_add(weight):
            return False
        if usage is None:
            return self._bytes < MAX_ALL_BYTES
        return usage.requests < MAX_REQUESTS and usage.bytes < MAX_BYTES and self._bytes < MAX_ALL_BYTES

    def first_refusal(self, caller: ProcessId) -> bool:
        """Whether this is the first refusal of `caller` since it had nothing waiting."""
        usage = self._usage.get(caller)
        if usage is None or usage.told:
            return usage is None
        usage.told = True
        return True

    def put(self, pending: Pending[T]) -> None:
        """Append a request, to be done after those at its places."""
        self._all[pending] = None
        self._count(pending)
        for name in pending.places:
            self._places.setdefault(name, _Place()).waiting.append(pending)
        self._advance(pending.places)

    def _count(self, pending: Pending[T]) -> None:
        usage = self._usage.get(pending.caller)
        if usage is None:
            usage = self._usage[pending.caller] = _Usage(self._memory.of_process(pending.caller))
        usage.requests += 1
        usage.bytes += pending.weight
        usage.account.add(pending.weight)
        self._bytes += pending.weight

    def next(self) -> Pending[T] | None:
        """Return a request that may be done now, or None. Each is returned once, and is `finished` some time later."""
        if not self._ready:
            return None
        pending = self._ready.popleft()
        pending.given = True
        return pending

    def __contains__(self, pending: Pending[T]) -> bool:
        """Whether a request waits or is being done."""
        return pending in self._all

    def mend(self, failed: Callable[[T], bool]) -> list[Pending[T]]:
        """Forget the requests at which our own code has failed, count the others again, and return the
        forgotten ones.
        """
        left: list[Pending[T]] = []
        forgotten: list[Pending[T]] = []
        for each in self._all:
            (forgotten if failed(each.task) else left).append(each)
        self._all = dict.fromkeys(left)
        for usage in self._usage.values():
            usage.account.remove(usage.bytes)
        self._places, self._usage, self._bytes = {}, {}, 0
        for pending in left:
            self._count(pending)
            for name in pending.places:
                place = self._places.setdefault(name, _Place())
                if pending.goes:
                    place.going, place.alone = place.going + 1, pending.alone
                else:
                    place.waiting.append(pending)
        self._ready = deque(each for each in left if each.goes and not each.given)
        self._advance(tuple(self._places))
        return forgotten

    def finished(self, pending: Pending[T]) -> None:
        """Remove a request that is done, or will not be."""
        del self._all[pending]
        usage = self._usage[pending.caller]
        usage.requests -= 1
        usage.bytes -= pending.weight
        usage.account.remove(pending.weight)
        self._bytes -= pending.weight
        if not usage.requests:
            del self._usage[pending.caller]
        for name in pending.places:
            place = self._places[name]
            place.going -= 1
            place.alone = False
        self._advance(pending.places)
        for name in pending.places:
            if not self._places[name].going and not self._places[name].waiting:
                del self._places[name]

    def _advance(self, names: tuple[str, ...]) -> None:
        unseen = deque(names)
        while unseen:
            waiting = self._places[unseen[0]].waiting
            if waiting and self._may_go(waiting[0]):
                first = waiting[0]
                self._go(first)
                unseen.extend(first.places)
            else:
                unseen.popleft()

    def _may_go(self, pending: Pending[T]) -> bool:
        places = [self._places[name] for name in pending.places]
        return all(
            place.waiting[0] is pending and not place.alone and not (pending.alone and place.going) for place in places
        )

    def _go(self, pending: Pending[T]) -> None:
        pending.goes = True
        for name in pending.places:
            place = self._places[name]
            place.waiting.popleft()
            place.going += 1
            place.alone = pending.alone
        self._ready.append(pending)
