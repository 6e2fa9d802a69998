"""Requests that wait for an answer, and the deadlines that end them (G5, G7).

An entry leaves this table exactly once: by `resolve`, by `expire` or by `release`. The caller that takes it out owes
its owner the outcome. Requests with the same timeout run out in the order in which they were sent, so their deadlines
lie in a queue for each timeout, and a heap has the queues by their first. All of it is cleaned lazily: answers come far
more often than time-outs, so removing an answered request's deadline at once would cost a search on the hot path;
everything is rebuilt when most of it is stale. (One heap of all deadlines: 0.7 microseconds more for a round trip.)
"""

from __future__ import annotations

import heapq
from collections import deque

from kernel.contract import limits
from kernel.contract.events import Ancestor
from kernel.contract.guest import Arrival
from kernel.contract.message import Request
from kernel.contract.process import Outstanding, Process

_STALE_SLACK = 1024
"""Stale deadlines that are tolerated beyond the number of live ones."""


def _pay(owner: Process) -> None:
    """Charge the owner's account for what is outstanding. This is not done at every request: that would cost a fiftieth
    of a round trip, for what is mostly gone at once."""
    more = owner.outstanding_bytes - owner.outstanding_paid
    if more > 0:
        owner.account.add(more)
    else:
        owner.account.remove(-more)
    owner.outstanding_paid = owner.outstanding_bytes


class OutstandingTable:
    """Outstanding requests by id."""

    def __init__(self) -> None:
        self._by_id: dict[int, Outstanding] = {}
        self.ids = self._by_id.keys()
        """The ids that are taken."""
        self._queues: dict[int, deque[tuple[float, int]]] = {}
        """Deadlines and ids, by timeout."""
        self._fronts: list[tuple[float, int]] = []
        """Heap of the queues' first deadlines, or of earlier ones, with their timeouts; one for each queue."""
        self._queued = 0
        """Deadlines in all queues."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, id: int) -> bool:
        return id in self._by_id

    def get(self, id: int) -> Outstanding | None:
        """Return the entry, which stays in the table."""
        return self._by_id.get(id)

    def add(self, entry: Outstanding) -> None:
        """Add a request that expects a response."""
        self._by_id[entry.id] = entry
        owner = entry.owner
        if owner is not None:
            owner.outstanding.add(entry.id)
            owner.outstanding_bytes += entry.size
            if owner.outstanding_bytes > owner.outstanding_paid + limits.UNPAID_OUTSTANDING_BYTES:
                _pay(owner)
        self._queue(entry)
        if self._queued > 2 * len(self._by_id) + _STALE_SLACK:
            self._queues, self._fronts, self._queued = {}, [], 0
            for live in self._by_id.values():
                self._queue(live)

    def resolve(self, id: int) -> Outstanding | None:
        """Take the entry out, since its outcome is there; return None if no request waits under this id (any more)."""
        entry = self._by_id.pop(id, None)
        if entry is None:
            return None
        owner = entry.owner
        if owner is not None:
            owner.outstanding.discard(id)
            owner.outstanding_bytes -= entry.size
            if (
                owner.outstanding_paid
                and owner.outstanding_bytes + limits.UNPAID_OUTSTANDING_BYTES < owner.outstanding_paid
            ):
                _pay(owner)
        for holder in entry.holders:
            holder.owes.discard(id)
        return entry

    def entrust(self, id: int, holder: Process | None, previous: Process | None) -> None:
        """Note that the answer to `id` is now owed by `holder` (None: one that cannot end, or whose end is not seen
        here), and no longer by `previous`, which passed the request on. Once the holder was None, a process that is
        handed the request here as well is not the only one that may answer (G14)."""
        entry = self._by_id.get(id)
        if entry is None:
            return
        if previous is not None and id in previous.owes:
            previous.owes.discard(id)
            entry.holders.remove(previous)
        if holder is None:
            self._release_all(entry)
        elif not entry.untracked and id not in holder.owes:
            holder.owes.add(id)
            entry.holders.append(holder)

    def lineage(self, process: Process) -> tuple[Ancestor, ...]:
        """Return the requests that wait for what a process is handling, the nearest first, without that itself."""
        handled, prompt, found = process.handled, process.prompt, list[Ancestor]()
        if isinstance(handled, Arrival):
            message = handled.message
            if isinstance(message, Request) and message.expects_response is None and not message.inherit:
                return ()  # nobody waits; the prompt is of an earlier one
        elif handled is None:
            return ()
        while prompt is not None and len(found) < limits.MAX_LINEAGE:
            entry = self._by_id.get(prompt.id)
            if entry is None:  # of another node, or nobody waits for it any more
                target = found[-1].source if found else process.address
                found.append(Ancestor(prompt.address, target, b""))
                break
            source = prompt.address if entry.owner is None else entry.owner.address
            found.append(Ancestor(source, entry.target, entry.request.body))
            prompt = entry.prompt if entry.owner is not None else None
        is_handled = isinstance(handled, Arrival) and isinstance(handled.message, Request)
        return tuple(found[1:] if is_handled and found and found[0].target == process.address else found)

    def orphans(self, ended: Process) -> list[int]:
        """Return the ids of the requests that only `ended` could have answered (G14); they stay in the table."""
        orphaned = []
        for id in sorted(ended.owes):
            entry = self._by_id.get(id)
            if entry is not None:
                entry.holders.remove(ended)
                if not entry.holders:
                    orphaned.append(id)
        ended.owes.clear()
        return orphaned

    def release(self, owner: Process) -> None:
        """Remove the requests of an owner that has ended: nobody wants their outcomes any more."""
        for id in sorted(owner.outstanding):
            self.resolve(id)
        _pay(owner)

    def next_deadline(self) -> float | None:
        """Return when `expire` has something to return, or None."""
        queue = self._first()
        return queue[0][0] if queue is not None else None

    def expire(self, now: float) -> Outstanding | None:
        """Take out the request whose deadline came first; return None if no deadline has come.

        One at a time: telling one owner can let others move, and they must find their own requests still outstanding.
        """
        queue = self._first()
        if queue is None or queue[0][0] > now:
            return None
        self._queued -= 1
        return self.resolve(queue.popleft()[1])

    def _queue(self, entry: Outstanding) -> None:
        timeout = entry.request.expects_response
        assert timeout is not None
        queue = self._queues.get(timeout)
        if queue is None:
            queue = self._queues[timeout] = deque()
            heapq.heappush(self._fronts, (entry.deadline, timeout))
        queue.append((entry.deadline, entry.id))
        self._queued += 1

    def _first(self) -> deque[tuple[float, int]] | None:
        """Return the queue whose first live deadline is the earliest of all, or None if no request waits."""
        fronts = self._fronts
        while fronts:
            deadline, timeout = fronts[0]
            queue = self._queues[timeout]
            while queue and queue[0][1] not in self._by_id:
                queue.popleft()
                self._queued -= 1
            if not queue:
                heapq.heappop(fronts)
                del self._queues[timeout]
            elif queue[0][0] != deadline:
                heapq.heapreplace(fronts, (queue[0][0], timeout))
            else:
                return queue
        return None

    @staticmethod
    def _release_all(entry: Outstanding) -> None:
        # An answer may now come from where no end is ever seen, so no local end makes it certain that none will.
        entry.untracked = True
        for holder in entry.holders:
            holder.owes.discard(entry.id)
        entry.holders.clear()
