"""Turns records of messages into spans, as OpenTelemetry knows them, named by its conventions for messaging.

A request is a span on each node that it comes to: one that sends it, one that handles it. Both nodes derive the same
ids of these spans from what both know of a request: its id, which is random, its source, whose node the session has
authenticated, and its target. So the span that handles a request is below the one that sends it, and nothing goes over
the wire for that.

A trace is a lineage, on however many nodes. Its id is made of the id of the lineage's root, which a request carries to
another node if it is not the root itself (`Envelope.root`). That is what the sender's node says: a node that lies puts
its own requests into a trace of its choice. It cannot end or alter a span that is not of its own requests.
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


def trace_id(root: int) -> bytes:
    """Return the id of the trace of a lineage: the root's id and its hash, so that both halves are random, as W3C's
    Trace Context has it."""
    told = root.to_bytes(8, "big")
    return told + blake2b(told, digest_size=8, person=b"nectar trace").digest()


def span_id(side: str, record: TraceRecord) -> bytes:
    """Return the id of the span of a request. `side` is that of the node that has the span: PRODUCER sends the request
    to another node."""
    told = f"{record.id} {record.source} {record.target}".encode()
    return blake2b(told, digest_size=8, person=side.encode()).digest()


@dataclass(slots=True)
class _Request:
    sent: TraceRecord
    kind: str
    id: SpanId
    parent: bytes | None
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
        # A peer may use the id of a request that is not its own, for a request or as who waits for an answer.
        if request.sent.source != (record.target if step is TraceStep.ANSWERED else record.source):
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
        if record.root >= self._below:
            return
        above = self._requests.get(record.parent) if record.parent is not None else None
        crosses = not record.claimed and record.target.node != self._our
        kind = CONSUMER if record.claimed else PRODUCER if crosses else INTERNAL
        if kind is CONSUMER:
            # It is below the span of the node that has sent it, whose id follows from the same facts.
            parent: bytes | None = span_id(PRODUCER, record)
        else:
            parent = above.id.span if above is not None else None
        trace = above.id.trace if above is not None else trace_id(record.root)
        self._requests[record.id] = _Request(record, kind, SpanId(trace, span_id(kind, record)), parent)
        if len(self._requests) > MAX_REQUESTS:
            yield from self._forget()


def _told(request: _Request, end: float, error: str | None, *, ended: bool = True) -> Iterator[Span]:
    """Yield the spans of a request, once."""
    request.told = True
    sent, kind = request.sent, request.kind
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
    yield Span(
        request.id,
        request.parent,
        name,
        kind,
        sent.at,
        max(end, sent.at),
        attributes,
        tuple(request.events),
        error,
    )


def _package(address: Address) -> str:
    """Return what a span is named after: packages are few, and processes may have any names."""
    return str(address.process.package_id)
