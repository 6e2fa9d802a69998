"""What waits for one process: bounded and in order (G4, G24).

Requests count against the bounds. Responses and errors do not: refusing one would break G5. They are bounded from the
other end: a process whose outstanding requests and waiting outcomes reach `limits.MAX_OUTSTANDING` may send no more.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from kernel import limits
from kernel.guest import Arrival, Failure
from kernel.message import LazyLoadBlob, ReplyTo


class Delivery(NamedTuple):
    """One thing to hand to a process."""

    answer: Arrival | Failure
    prompt: ReplyTo | None
    """The prompt from then on."""
    keeps_prompt: bool
    """The prompt stays as it is: a request that nobody waits for (G9)."""
    blob: LazyLoadBlob | None
    """The process's current blob from then on (G11)."""
    weight: int
    """Bytes that it counts against the mailbox; 0 for responses and errors."""


def size_of(delivery: Delivery) -> int:
    """Bytes of body and blob that a delivery keeps alive."""
    answer, blob = delivery.answer, delivery.blob
    message = answer.message if isinstance(answer, Arrival) else answer.error.message
    return len(message.body) + (len(blob.bytes) if blob is not None else 0)


class Mailbox:
    """A bounded queue of deliveries."""

    __slots__ = ("_queue", "bytes", "outcome_bytes", "outcomes", "requests")

    def __init__(self) -> None:
        self._queue: deque[Delivery] = deque()
        self.requests = 0
        """Requests that wait."""
        self.bytes = 0
        """Of those."""
        self.outcomes = 0
        """Responses and errors that wait."""
        self.outcome_bytes = 0
        """Of those."""

    def __len__(self) -> int:
        return len(self._queue)

    def has_room(self) -> bool:
        """Whether one more request, of any size, may come in: one that is too large for the rest of the room is
        still taken, or it could never be."""
        return self.requests < limits.MAX_INBOX_MESSAGES and self.bytes < limits.MAX_INBOX_BYTES

    def put(self, delivery: Delivery) -> None:
        """Add at the end."""
        self._queue.append(delivery)
        if delivery.weight:
            self.bytes += delivery.weight
            self.requests += 1
        else:
            self.outcome_bytes += size_of(delivery)
            self.outcomes += 1

    def take(self) -> Delivery:
        """Remove the first; raises IndexError if there is none."""
        delivery = self._queue.popleft()
        if delivery.weight:
            self.bytes -= delivery.weight
            self.requests -= 1
        else:
            self.outcome_bytes -= size_of(delivery)
            self.outcomes -= 1
        return delivery
