"""What one guest asks of servers: requests whose bodies are being written, and answers that are awaited.

A request leaves as a `SendAndHear` when its body is complete; until then nothing of it leaves the guest's record. What
becomes of it is told from outside, perhaps while the guest runs on another thread (`hear`), and looked at when the
guest asks (`listen`). Each exchange has an end: at its deadline at the latest it has failed. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from kernel.contract.guest import Arrival, Failure, HttpMessenger, SendAndHear, StopHearing
from kernel.contract.http import HttpCall, HttpFailure, HttpFields, ServerAnswer
from kernel.contract.limits import MAX_BLOB_BYTES
from kernel.contract.message import Request

NANOSECONDS = 1_000_000_000

NO_CLIENT = HttpFailure("HTTP-request-denied", "this node has no HTTP client")
DROPPED = HttpFailure("HTTP-request-body-size", "the body was dropped before it was finished")
LATE = HttpFailure("HTTP-response-timeout", "it has run out of time")
UNREAD = HttpFailure("internal-error", f"more than {MAX_BLOB_BYTES} bytes of answers have not been taken")


@dataclass(slots=True, eq=False)
class Exchange:
    """One request, and what came of it."""

    number: int
    deadline: int
    """In nanoseconds of the monotonic clock."""
    outcome: ServerAnswer | HttpFailure | None = None
    size: int = 0
    """Bytes of an answer that nobody has taken."""
    is_sent: bool = False
    is_taken: bool = False

    @property
    def is_over(self) -> bool:
        """Whether its outcome is known."""
        return self.outcome is not None


@dataclass(slots=True, eq=False)
class OutgoingContent:
    """A request's body while it is written, shared by its resources."""

    expected: int | None
    """Bytes that its header content-length says."""
    data: bytearray
    is_open: bool = True
    failure: HttpFailure | None = None
    """What was wrong with it."""
    call: tuple[HttpCall, Exchange] | None = None
    """The request that waits for it, without a body."""
    is_wanted: bool = True
    """Whether there is a request that it may become the body of."""


class Exchanges:
    """Those of one guest."""

    def __init__(self, client: HttpMessenger | None, ask: Callable[[SendAndHear | StopHearing], object]) -> None:
        """`ask` sends a request, or says that nobody wants its outcome any more."""
        self._client = client
        self._ask = ask
        self._number = 0
        self._awaited: dict[int, Exchange] = {}
        self._told: deque[tuple[int, Arrival | HttpFailure, int]] = deque()
        """Outcomes that nobody has looked at, with their bytes: of an error, the guest's own request is not kept."""
        self._told_bytes = 0
        """Of all answers so far; changed by who tells alone."""
        self._heard_bytes = 0
        """Of those that were taken; changed by the guest alone."""

    @property
    def unheard_bytes(self) -> int:
        """Bytes of answers that the guest has not taken."""
        return self._told_bytes - self._heard_bytes

    def begin(self, deadline: int) -> Exchange:
        """Return an exchange that has not failed yet, unless there is nobody to ask."""
        self._number += 1
        exchange = Exchange(self._number, deadline)
        if self._client is None:
            exchange.outcome = NO_CLIENT
        return exchange

    def send(self, call: HttpCall, exchange: Exchange, now: int) -> None:
        """Send a request that is complete, for what is left of its time."""
        if self._client is None or exchange.is_over:
            return
        target, body, blob = self._client.request(call)
        seconds = max(1, -(-(exchange.deadline - now) // NANOSECONDS))
        self._awaited[exchange.number] = exchange
        exchange.is_sent = True
        self._ask(SendAndHear(exchange.number, target, Request(False, seconds, body), blob))

    def end(self, exchange: Exchange, failure: HttpFailure) -> None:
        """Let an exchange fail, if it is not over."""
        self.listen()
        self._awaited.pop(exchange.number, None)
        if not exchange.is_over:
            exchange.outcome = failure

    def taken(self, exchange: Exchange) -> None:
        """Note that the answer is the guest's business, or nobody's."""
        if exchange.is_sent and not exchange.is_taken:
            self._ask(StopHearing(exchange.number))
        exchange.is_taken = True
        self._heard_bytes += exchange.size
        exchange.size = 0

    def hear(self, number: int, outcome: Arrival | Failure) -> None:
        """Note an outcome; from any thread."""
        if number not in self._awaited:
            return
        if isinstance(outcome, Failure):
            assert self._client is not None
            failure = self._client.answer(outcome)
            assert isinstance(failure, HttpFailure)
            self._told.append((number, failure, 0))
            return
        size = len(outcome.message.body) + (0 if outcome.blob is None else len(outcome.blob.bytes))
        if self.unheard_bytes + size > MAX_BLOB_BYTES:
            self._told.append((number, UNREAD, 0))
            return
        self._told_bytes += size
        self._told.append((number, outcome, size))

    def listen(self) -> None:
        """Look at what has been told."""
        while self._told:
            number, outcome, size = self._told.popleft()
            exchange = self._awaited.pop(number, None)
            if exchange is None or exchange.is_over:
                self._heard_bytes += size
                continue
            assert self._client is not None
            exchange.size = size
            exchange.outcome = self._client.answer(outcome) if isinstance(outcome, Arrival) else outcome


def size_of_fields(fields: HttpFields) -> int:
    """Return what headers count as."""
    return sum(len(name) + len(value) + FIELD_BYTES for name, value in fields)


FIELD_BYTES = 64
"""What one header takes beside its bytes."""
