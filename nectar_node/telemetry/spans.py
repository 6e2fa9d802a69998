"""Turns records of messages into spans, as OpenTelemetry knows them, named by its conventions for messaging.

A request is a span on each node that it comes to: one that sends it, one that handles it. Both nodes derive the same
ids from what both know of a request: its id, which is random, its source, whose node the session has authenticated, and
its target. So their spans join in one trace, and nothing more goes over the wire.

The wire does not say what a request followed from on its sender's node, so a trace reaches from a request to whatever
followed from it on the two nodes that it is between. A request to another node that followed from an earlier one is in
two traces: in that of the lineage here, and at the root of its own, which the other node knows too. Each links to the
other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from kernel.contract.address import Address
from kernel.router.trace import TraceRecord, TraceStep

MAX_REQUESTS = 4096
"""Requests that are remembered; the oldest is told, as far as it is known, when there are more."""
STALE_SECONDS = 600.0
"""Seconds after which a request without an outcome is told."""
PRODUCER, CONSUMER, INTERNAL = "producer", "consumer", "internal"
"""Kinds of spans."""


class SpanId(NamedTuple):
    """What names a span."""

    trace: bytes
    """16 bytes."""
    span: bytes
    """8 bytes."""


class Span(NamedTuple):
    """What one node knows of one request."""

    id: SpanId
    parent: bytes | None
    """The id of the span above it, 8 bytes; None: it is the root of its trace."""
    name: str
    kind: str
    start: float
    """The kernel's time, in seconds."""
    end: float
    attributes: dict[str, str | int]
    events: tuple[tuple[str, float], ...]
    """What happened in between, and when."""
    error: str | None
    """Why it failed; None: it did not."""
    link: SpanId | None
    """A span in another trace that belongs to it."""


def span_id(side: str, record: TraceRecord) -> SpanId:
    """Return the id of the span of a request, and of the trace whose root it is.

    `side` is that of the node that has the span: PRODUCER sends the request to another node.
    """
    told = f"{record.id} {record.source} {record.target}".encode()
    hashed = blake2b(told, digest_size=16, person=b"nectar trace").digest()
    return SpanId(hashed, _span(side, told))


def _span(side: str, told: bytes) -> bytes:
    return blake2b(told, digest_size=8, person=side.encode()).digest()


@dataclass(slots=True)
class _Request:
    sent: TraceRecord
    kind: str
    id: SpanId
    """In the trace of its lineage."""
    parent: bytes | None
    own: SpanId | None
    """In the trace whose root it is, if that is another one."""
    followed: bool
    """Whether its lineage is followed; else only its own trace is."""
    events: list[tuple[str, float]] = field(default_factory=list)
    told: bool = False


class Spans:
    """The spans of one node's requests."""

    def __init__(self, our: str, below: int) -> None:
        """`below`: lineages are followed whose root has a lower id (`kernel.router.sampled_trace`)."""
        self._our = our
        self._below = below
        self._requests: OrderedDict[int, _Request] = OrderedDict()

    def add(self, record: TraceRecord) -> Iterator[Span]:
        """Take a record. Yield the spans of requests that have ended, of which nothing more is told."""
        step = record.step
        if step is TraceStep.SENT:
            yield from self._sent(record)
            return
        request = self._requests.get(record.id)
        if request is None or request.told:
            return
        if step is TraceStep.ANSWERED:
            yield from _told(request, record.at, None)
        elif step is TraceStep.FAILED or step is TraceStep.DROPPED:
            yield from _told(request, record.at, record.reason or step.value)
        else:
            request.events.append((step.value, record.at))
            last = TraceStep.ARRIVED if request.kind is PRODUCER else TraceStep.HANDED
            if step is last and not request.sent.expects:
                yield from _told(request, record.at, None)

    def expire(self, now: float) -> Iterator[Span]:
        """Yield the spans of requests that have waited for too long, without an end, and forget old ones."""
        while self._requests:
            request = next(iter(self._requests.values()))
            if request.sent.at > now - STALE_SECONDS:
                return
            yield from self._forget()

    def close(self) -> Iterator[Span]:
        """Yield the spans of all requests that have no outcome yet: the node goes down."""
        while self._requests:
            yield from self._forget()

    def _forget(self) -> Iterator[Span]:
        _, request = self._requests.popitem(last=False)
        if not request.told:
            yield from _told(request, request.events[-1][1] if request.events else request.sent.at, None, ended=False)

    def _sent(self, record: TraceRecord) -> Iterator[Span]:
        if record.id in self._requests:
            return  # a peer that uses an id twice, of which the first counts
        follows = self._requests.get(record.parent) if record.parent is not None else None
        above = follows if follows is not None and follows.followed else None
        crosses = not record.claimed and record.target.node != self._our
        kind = CONSUMER if record.claimed else PRODUCER if crosses else INTERNAL
        followed = above is not None or (record.parent is None and record.id < self._below)
        if not followed and not (crosses and record.id < self._below):
            return
        first = span_id(kind, record)
        if above is not None:
            own = first if crosses and record.id < self._below else None
            request = _Request(record, kind, SpanId(above.id.trace, first.span), above.id.span, own, True)
        else:
            # What another node has sent is below that node's span, whose id follows from the same facts.
            parent = span_id(PRODUCER, record).span if kind is CONSUMER else None
            request = _Request(record, kind, first, parent, None, followed)
        self._requests[record.id] = request
        if len(self._requests) > MAX_REQUESTS:
            yield from self._forget()


def _told(request: _Request, end: float, error: str | None, *, ended: bool = True) -> Iterator[Span]:
    """Yield the spans of a request, once."""
    request.told = True
    sent, kind, own = request.sent, request.kind, request.own
    handles = kind is CONSUMER
    verb = "process" if handles else "send"
    attributes: dict[str, str | int] = {
        "messaging.system": "nectar",
        "messaging.operation.name": verb,
        "messaging.operation.type": verb,
        "messaging.destination.name": str(sent.target.process),
        "messaging.message.id": str(sent.id),
        "messaging.message.conversation_id": str(sent.root),
        "messaging.message.body.size": sent.body_bytes,
        "nectar.source": str(sent.source),
        "nectar.target": str(sent.target),
    }
    if kind is PRODUCER:
        attributes["server.address"] = sent.target.node
    if error is not None:
        attributes["error.type"] = error.replace(" ", "_")
    if not ended:
        attributes["nectar.outcome"] = "unknown"
    name = f"{verb} {_package(sent.target)}"
    span = Span(
        request.id,
        request.parent,
        name,
        kind,
        sent.at,
        max(end, sent.at),
        attributes,
        tuple(request.events),
        error,
        own,
    )
    yield span
    if own is not None:
        yield span._replace(id=own, parent=None, link=request.id)


def _package(address: Address) -> str:
    """Return what a span is named after: packages are few, and processes may have any names."""
    return str(address.process.package_id)
