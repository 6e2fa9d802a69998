"""What waits for one process: bounded, and in order from each node (G4, G24); nodes take turns.

Requests count against the bounds. Responses and errors do not: refusing one would break G5. They are bounded from the
other end: a process whose outstanding requests and waiting outcomes reach `limits.MAX_OUTSTANDING` may send no more.
The bytes of errors are its own requests' and count with those; when the bytes of answers, which others chose, are too
many, further requests end as Timeout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from kernel.contract import limits
from kernel.contract.fair_queue import FairQueue
from kernel.contract.guest import Arrival, Failure
from kernel.contract.memory import UNMETERED, Account
from kernel.contract.message import LazyLoadBlob, ReplyTo, size_of


class Delivery(NamedTuple):
    """One thing to hand to a process."""

    answer: Arrival | Failure
    prompt: ReplyTo | None
    """The prompt after this delivery."""
    keeps_prompt: bool
    """Whether the prompt stays as it is: a request that expects no response (G9)."""
    blob: LazyLoadBlob | None
    """The process's current blob after this delivery (G11)."""
    weight: int
    """Bytes that it counts against the mailbox; 0 for responses and errors."""

    @property
    def is_request(self) -> bool:
        """Whether it is a request."""
        return self.weight > 0


class Mailbox:
    """A bounded queue of deliveries."""

    __slots__ = ("_account", "_queue", "answer_bytes", "bytes", "error_bytes", "outcomes", "requests")

    def __init__(self, account: Account = UNMETERED) -> None:
        """`account` pays for what waits."""
        self._account = account
        self._queue: FairQueue[Delivery] = FairQueue()
        self.requests = 0
        """Requests that wait."""
        self.bytes = 0
        """Bytes of these requests."""
        self.outcomes = 0
        """Responses and errors that wait."""
        self.answer_bytes = 0
        """Bytes of the responses among them."""
        self.error_bytes = 0
        """Bytes of the errors among them."""

    def __len__(self) -> int:
        return len(self._queue)

    def has_room(self) -> bool:
        """Whether one more request, of any size, may come in: one that is too large for the rest of the capacity is
        still taken, or it could never be."""
        if not self._queue:
            return True  # also without memory: nothing that the process takes could make capacity for what waits
        if self.requests >= limits.MAX_INBOX_MESSAGES or self.bytes >= limits.MAX_INBOX_BYTES:
            return False
        return self._account.has_room()

    def has_memory(self, size: int) -> bool:
        """Return whether there is memory for one more message, of `size` bytes."""
        return size < limits.SMALL_MESSAGE_BYTES or self._account.may_add(size + limits.MESSAGE_MEMORY_BYTES)

    def has_room_for_answer(self, size: int) -> bool:
        """Return whether one more answer, of `size` bytes, may come in."""
        return self.answer_bytes < limits.MAX_ANSWER_BYTES and self._account.has_room() and self.has_memory(size)

    def put(self, delivery: Delivery, node: str | None = None) -> None:
        """Add a delivery at the end of what has come from a node; None: this one."""
        self._queue.put(node, delivery)
        self._count(delivery, 1)

    def take(self) -> Delivery:
        """Remove the next delivery and return it. Raises IndexError if there is none."""
        delivery = self._queue.take()
        self._count(delivery, -1)
        return delivery

    def _count(self, delivery: Delivery, sign: int) -> None:
        """Count a delivery that comes (1) or goes (-1)."""
        size = delivery.weight
        if size:
            self.bytes += sign * size
            self.requests += sign
        else:
            answer = delivery.answer
            self.outcomes += sign
            if isinstance(answer, Arrival):
                size = size_of(answer.message, delivery.blob)
                self.answer_bytes += sign * size
            else:
                size = size_of(answer.error.message, delivery.blob)
                self.error_bytes += sign * size
        if sign > 0:
            self._account.add(size + limits.MESSAGE_MEMORY_BYTES)
        else:
            self._account.remove(size + limits.MESSAGE_MEMORY_BYTES)

    def deliveries(self) -> Iterable[Delivery]:
        """All deliveries, in order from each node; not to be kept."""
        return self._queue

    def replace(self, change: Callable[[Delivery], Delivery]) -> None:
        """Replace each delivery with another one of the same kind."""

        def replaced(delivery: Delivery) -> Delivery:
            other = change(delivery)
            if other is not delivery:
                self._count(delivery, -1)
                self._count(other, 1)
            return other

        self._queue.replace(replaced)
