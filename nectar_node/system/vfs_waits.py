"""How long requesters wait for the vfs's long operations.

A requester waits until it gets Timeout, or ends, in whatever way. Where the request continues another's (G10), that
one's time counts. What was sent without waiting for an answer is awaited as long as its sender runs; a `Write` is done
even then, because all of it was sent and is bounded.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

from kernel.contract.address import ProcessId
from kernel.contract.message import Envelope, ReplyTo, Request
from nectar_node.system.vfs_queue import Pending

AwaitedUntil = Callable[[ReplyTo], float | None]
"""Returns when the requester there gets Timeout; None: that is not known, or nobody waits any more."""

T = TypeVar("T")


class Waits(Generic[T]):
    """Long operations, by who waits for them and until when."""

    def __init__(self, awaited_until: AwaitedUntil) -> None:
        self._awaited_until = awaited_until
        self._tickets = count(1)
        self._awaited: dict[int, Pending[T]] = {}
        self._of_process: dict[ProcessId, dict[int, None]] = {}
        self._deadlines: list[tuple[float, int]] = []
        """A heap of deadlines; finished operations are still in it."""

    def add(self, pending: Pending[T], envelope: Envelope, now: float, *, sent_is_done: bool = False) -> None:
        """Watch an operation, which gets its ticket here.

        With `sent_is_done`, its sender's end does not give it up if no answer was wanted.
        """
        pending.ticket = ticket = next(self._tickets)
        self._awaited[ticket] = pending
        if envelope.reply_to is not None or not sent_is_done:
            self._of_process.setdefault(pending.caller, {})[ticket] = None
        deadline = self._deadline(envelope, now)
        if deadline is not None:
            if len(self._deadlines) > 2 * len(self._awaited) + 64:
                self._deadlines = [each for each in self._deadlines if each[1] in self._awaited]
                heapq.heapify(self._deadlines)
            heapq.heappush(self._deadlines, (deadline, ticket))

    def _deadline(self, envelope: Envelope, now: float) -> float | None:
        if envelope.reply_to is None:
            return None
        known = self._awaited_until(envelope.reply_to)
        request = envelope.message
        if known is not None or not isinstance(request, Request) or request.expects_response is None:
            return known
        return now + request.expects_response

    def over(self, pending: Pending[T]) -> None:
        """Stop watching an operation that has been done, or will not be."""
        ticket = pending.ticket
        if self._awaited.pop(ticket, None) is None:
            return
        of_process = self._of_process.get(pending.caller)
        if of_process is not None:
            of_process.pop(ticket, None)
            if not of_process:
                del self._of_process[pending.caller]

    def next_deadline(self) -> float | None:
        """Return when `expired` has something to return, or None."""
        while self._deadlines and self._deadlines[0][1] not in self._awaited:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def expired(self, now: float) -> list[Pending[T]]:
        """Return the operations whose requesters have run out of time, and stop watching them."""
        found = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            found.append(self._awaited[self._deadlines[0][1]])
            self.over(found[-1])
        return found

    def ended(self, process: ProcessId) -> list[Pending[T]]:
        """Return the operations whose requester has ended, and stop watching them."""
        found = [self._awaited[ticket] for ticket in self._of_process.get(process, ())]
        for pending in found:
            self.over(pending)
        return found
