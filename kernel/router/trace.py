"""What happens to messages, written down for people: only while a tracer is set (`Kernel.tracer`).

A trace is made of records. Those with one `root` belong together: the root is a request that was injected (by the
node's user, or from another node) or that a process sent while it handled nothing; every request that is sent while a
request, or an outcome of one, is handled continues the same lineage, `inherit` or not, and says which. The tracer knows
nothing but what it is told; what it remembers of each request is bounded.

A request from another node continues the lineage whose root that node tells (`Envelope.root`), a claim: it decides
which lineage the request belongs to, and nothing else. The id of a request is a claim as well, and may be one of this
node's own requests, or of another peer's: the first source with an id is the one whose requests are written down, each
time that they come, and of the other nothing is.
"""

from __future__ import annotations

import enum
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from kernel.contract import limits
from kernel.contract.address import Address, ProcessId
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import UNFOLLOWED, Envelope, LazyLoadBlob, Reason, Request, Response, is_claim

BEGINNING_BYTES = 60
"""Bytes of a body that a record has."""


class TraceStep(enum.Enum):
    """What happened to a message; the values are texts for people."""

    SENT = "sent"
    """A request was sent here, or came from another node."""
    HANDED = "handed over"
    """Its target has taken it; if that is on another node, this node's net has."""
    ARRIVED = "arrived there"
    """The node of its target has taken it."""
    ANSWERED = "answered"
    """A response has reached the requester, or has left for the requester's node."""
    FAILED = "failed"
    """The requester was told Offline or Timeout."""
    DROPPED = "dropped"
    """It reached nobody, and nobody is told."""


class TraceRecord(NamedTuple):
    """One step of one message."""

    at: float
    """The kernel's time, in seconds."""
    step: TraceStep
    id: int
    """The id of the request; of a response, the id of the request that it answers."""
    parent: int | None
    """The request during whose handling this one was sent; None: this is a root. For a response to a request that has
    never been here, since another one inherited from it (G10), that other one."""
    root: int
    """The first ancestor of the request: itself if it has none. It may be on another node, as that one says."""
    inherits: bool
    """Whether it was sent with `inherit` (G10, G11)."""
    expects: bool
    """Whether it is a request that expects a response: an outcome will follow (G5)."""
    source: Address
    target: Address
    claimed: bool
    """Whether the source's process is only claimed by another node (G3)."""
    body_bytes: int
    blob_bytes: int | None
    """The blob's size; None: there is no blob."""
    reason: str | None
    """With FAILED and DROPPED, the reason (G16)."""
    beginning: bytes
    """The first bytes of the body."""


class _Queued(NamedTuple):
    """Something that waits in a mailbox, or is about to be handed over."""

    answer: Arrival | Failure
    """The message itself, kept alive so that its identity stays its own."""
    id: int
    is_request: bool


class Tracer:
    """Turns what the router tells it into records."""

    def __init__(self, our: str, clock: Callable[[], float] | None = None) -> None:
        """`clock` gives finer times than those of the kernel's events, of which one serves many messages."""
        self._our = our
        self._clock = clock
        self.records: deque[TraceRecord] = deque(maxlen=limits.MAX_TRACE_RECORDS)
        """The records, in order; the reader empties the queue."""
        self._sent: OrderedDict[int, TraceRecord] = OrderedDict()
        """Requests that may still have an outcome, by id."""
        self._handling: dict[ProcessId, int] = {}
        """The request that each process handles."""
        self._queued: OrderedDict[int, _Queued] = OrderedDict()
        """What is queued, by identity of the answer."""

    # --- what the router tells --------------------------------------------------------------------------------------

    def sent(self, envelope: Envelope, now: float) -> None:
        """Record a request that a process or the user sent, or that has come from another node."""
        told, above = envelope.root, None
        if envelope.claimed:
            first = self._sent.get(envelope.id)
            if first is not None and first.source != envelope.source:
                return
        elif (parent := self._handling.get(envelope.source.process)) is not None:
            above = self._sent.get(parent)
        root = envelope.id if told is None or told == UNFOLLOWED else told
        lineage = (None, root) if above is None else (above.id, above.root)
        record = _record(self._time(now), TraceStep.SENT, envelope, lineage)
        self._sent[envelope.id] = record
        if len(self._sent) > limits.MAX_TRACED_REQUESTS:
            self._sent.popitem(last=False)
        self.records.append(record)

    def queued(self, answer: Arrival | Failure, id: int, *, is_request: bool) -> None:
        """Remember a request, or the outcome of one, that is about to be handed to a process or put into its
        mailbox.
        """
        self._queued[_identity(answer)] = _Queued(answer, id, is_request)
        if len(self._queued) > limits.MAX_TRACED_REQUESTS:
            self._queued.popitem(last=False)

    def handed(self, process: ProcessId, answer: Arrival | Failure, now: float) -> None:
        """Record what a process takes. From now on it handles that request, or the one during whose handling it sent
        the request whose outcome this is."""
        queued = self._queued.pop(_identity(answer), None)
        record = self._sent.get(queued.id) if queued is not None else None
        self._handling.pop(process, None)
        if queued is None or record is None:
            return
        if queued.is_request:
            if type(answer) is Arrival and answer.source != record.source:
                return
            self._handling[process] = queued.id
            self.records.append(_next(record, self._time(now), TraceStep.HANDED))
        elif record.parent is not None:
            self._handling[process] = record.parent

    def passed_on(self, envelope: Envelope, now: float) -> None:
        """Record a request that was given to a system process, or to the net."""
        record = self._sent.get(envelope.id)
        if record is not None and record.source == envelope.source:
            self.records.append(_next(record, self._time(now), TraceStep.HANDED))

    def arrived(self, envelope: Envelope, now: float) -> None:
        """Record that another node has taken a request that was given to the net."""
        record = self._sent.get(envelope.id)
        if record is not None and isinstance(envelope.message, Request):
            self.records.append(_next(record, self._time(now), TraceStep.ARRIVED))

    def left(self, response: Envelope, now: float) -> None:
        """Record a response that has left for the node of the requester. If its request has never been here, one that
        inherited from it (G10) has, and is being handled."""
        request, handled = self._sent.get(response.id), self._handling.get(response.source.process)
        if request is not None and request.source.node == response.target.node:
            lineage = request.parent, request.root
            self.records.append(_record(self._time(now), TraceStep.ANSWERED, response, lineage))
        elif handled is not None and (above := self._sent.get(handled)) is not None:
            self.records.append(_record(self._time(now), TraceStep.ANSWERED, response, (above.id, above.root)))

    def answered(self, id: int, source: Address, answer: Response, blob: LazyLoadBlob | None, now: float) -> None:
        """Record a response that has reached the requester, on this node."""
        request = self._sent.get(id)
        if request is not None:
            response = Envelope(id, source, request.source, None, answer, blob, is_claim(source, self._our))
            lineage = request.parent, request.root
            self.records.append(_record(self._time(now), TraceStep.ANSWERED, response, lineage))

    def failed(self, id: int, reason: Reason, now: float) -> None:
        """Record that the requester is told Offline or Timeout."""
        record = self._sent.get(id)
        if record is not None:
            self.records.append(record._replace(at=self._time(now), step=TraceStep.FAILED, reason=reason.value))

    def dropped(self, envelope: Envelope, reason: Reason, now: float) -> None:
        """Record a message that has reached nobody. Nothing is written of a request whose sender is told: it has
        FAILED."""
        message = envelope.message
        if isinstance(message, Request) and message.expects_response is not None:
            return
        request = self._sent.get(envelope.id)
        lineage = (None, envelope.id) if request is None else (request.parent, request.root)
        record = _record(self._time(now), TraceStep.DROPPED, envelope, lineage)
        self.records.append(record._replace(reason=reason.value))

    def root_of(self, request: Envelope) -> int | None:
        """Return what to tell another node of the lineage of a request to it: its root. None: the request is the root,
        as far as is known here, so its id says it."""
        record = self._sent.get(request.id)
        return None if record is None or record.parent is None else record.root

    def _time(self, now: float) -> float:
        return now if self._clock is None else self._clock()

    def forget(self, answer: Arrival | Failure) -> None:
        """Forget something in a mailbox that will not be handed over."""
        self._queued.pop(_identity(answer), None)

    def ended(self, process: ProcessId) -> None:
        """Note that a process has ended and handles nothing any more."""
        self._handling.pop(process, None)


_identity = id
_made = TraceRecord._make


def _next(record: TraceRecord, now: float, step: TraceStep) -> TraceRecord:
    """Return a further step of the same message; `_replace` takes three times as long."""
    return _made((now, step, *record[2:]))


def _record(now: float, step: TraceStep, envelope: Envelope, lineage: tuple[int | None, int]) -> TraceRecord:
    """Return a step of a message; `lineage` has its parent and its root."""
    id, source, target, _, message, blob, claimed, _ = envelope
    return TraceRecord(
        now,
        step,
        id,
        *lineage,
        message.inherit,
        isinstance(message, Request) and message.expects_response is not None,
        source,
        target,
        claimed,
        len(message.body),
        None if blob is None else len(blob.bytes),
        None,
        bytes(message.body[:BEGINNING_BYTES]),
    )
