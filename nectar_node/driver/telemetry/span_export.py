"""Sends a node's spans to an OpenTelemetry collector: OTLP over HTTP, in protobuf (the extra `otlp`).

The collector is not trusted to answer: one request is under way at a time, it has a few seconds in all, and nothing is
read of an answer but its status. Spans wait in a queue with a bound, and what does not fit is dropped and counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import httpx
import trio

from kernel.router.sampled_trace import bound_of
from nectar_node.base import log
from nectar_node.base.errors import BadInput
from nectar_node.contract.config import SpanPlace
from nectar_node.contract.traces import Traced
from nectar_node.telemetry.metrics import Metric
from nectar_node.telemetry.spans import CONSUMER, INTERNAL, PRODUCER, Span, Spans

try:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1 import trace_pb2 as pb
except ImportError as missing:
    raise BadInput("For --otlp, install the extra: pip install 'nectar-node[otlp]'.") from missing

MAX_WAITING = 4096
"""Spans that wait to be sent: some megabytes."""
AT_ONCE = 256
"""Spans of one request: some milliseconds of work."""
GATHER_SECONDS = 1.0
"""Seconds between two requests, so that one has many spans."""
SECONDS = 5.0
"""Seconds for a request and its answer."""
PAUSE_SECONDS = 5.0
"""Seconds after a failure before the next attempt."""
FAREWELL_SECONDS = 1.0
"""Seconds for what is left when the node goes down."""
_KINDS = {
    PRODUCER: pb.Span.SPAN_KIND_PRODUCER,
    CONSUMER: pb.Span.SPAN_KIND_CONSUMER,
    INTERNAL: pb.Span.SPAN_KIND_INTERNAL,
}


class SpanExport:
    """The spans of one node on their way."""

    def __init__(self, our: str, place: SpanPlace, offset: Callable[[], float]) -> None:
        """`offset` returns the seconds from the records' times to Unix time."""
        self._url = place.url
        self._spans = Spans(our, bound_of(place.share))
        self._offset = offset
        self._resource = Resource(
            attributes=[_attribute("service.name", our), _attribute("service.namespace", "nectar")]
        )
        self._scope = InstrumentationScope(name="nectar-node")
        self._waiting: deque[Span] = deque()
        self._more = trio.Event()
        self._exported = self._dropped = self._failed = 0
        self._well = True

    def take(self, action: Traced) -> None:
        """Take a record; its token is the node's telemetry."""
        self._put(self._spans.add(action.record))

    def _put(self, spans: Iterable[Span]) -> None:
        for span in spans:
            if len(self._waiting) >= MAX_WAITING:
                self._dropped += 1
            else:
                self._waiting.append(span)
                self._more.set()

    async def run(self) -> None:
        """Send what comes, until cancelled."""
        async with self._client() as client:
            while True:
                with trio.move_on_after(PAUSE_SECONDS):
                    await self._more.wait()
                self._put(self._spans.expire(trio.current_time()))
                if not self._waiting:
                    self._more = trio.Event()
                    continue
                if len(self._waiting) < AT_ONCE:
                    await trio.sleep(GATHER_SECONDS)
                if not await self._send(client):
                    await trio.sleep(PAUSE_SECONDS)

    async def close(self) -> None:
        """Send what is left, within a moment: the node goes down."""
        self._put(self._spans.close())
        with trio.move_on_after(FAREWELL_SECONDS):
            async with self._client() as client:
                while self._waiting and await self._send(client):
                    pass

    def metrics(self) -> Iterator[Metric]:
        """Yield what is counted here."""
        for name, about, count in (
            ("nectar_otlp_spans_exported", "Spans that the collector has taken.", self._exported),
            ("nectar_otlp_spans_dropped", "Spans that were given up.", self._dropped),
            ("nectar_otlp_exports_failed", "Requests that the collector has not taken.", self._failed),
        ):
            yield Metric(name, True, about, (), [((), float(count))])

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(trust_env=False, timeout=SECONDS)

    async def _send(self, client: httpx.AsyncClient) -> bool:
        """Send the oldest spans; return whether the collector has taken them. They are given up otherwise."""
        batch = list(islice(self._waiting, AT_ONCE))
        for _ in batch:
            self._waiting.popleft()
        problem = "it does not answer"
        try:
            with trio.move_on_after(SECONDS):
                problem = await self._post(client, self._encode(batch))
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
        finally:
            if problem:  # or the node goes down
                self._failed += 1
                self._dropped += len(batch)
            else:
                self._exported += len(batch)
        if self._well is bool(problem):
            self._well = not problem
            log.write_line("otlp", f"spans are lost: {self._url}: {problem}" if problem else "spans are taken again")
        return not problem

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> str:
        """Return why the collector has not taken a request; empty if it has."""
        headers = {"Content-Type": "application/x-protobuf"}
        async with client.stream("POST", self._url, content=body, headers=headers) as answer:
            return "" if answer.is_success else f"HTTP status {answer.status_code}"

    def _encode(self, spans: list[Span]) -> bytes:
        offset = self._offset()
        told = [_encoded(span, offset) for span in spans]
        scoped = pb.ScopeSpans(scope=self._scope, spans=told)
        resource = pb.ResourceSpans(resource=self._resource, scope_spans=[scoped])
        return bytes(ExportTraceServiceRequest(resource_spans=[resource]).SerializeToString())


def _encoded(span: Span, offset: float) -> pb.Span:
    failed = span.error is not None
    return pb.Span(
        trace_id=span.id.trace,
        span_id=span.id.span,
        parent_span_id=span.parent or b"",
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=_nanoseconds(span.start + offset),
        end_time_unix_nano=_nanoseconds(span.end + offset),
        attributes=[_attribute(key, value) for key, value in span.attributes.items()],
        events=[pb.Span.Event(name=name, time_unix_nano=_nanoseconds(at + offset)) for name, at in span.events],
        status=pb.Status(code=pb.Status.STATUS_CODE_ERROR, message=span.error or "") if failed else None,
    )


def _nanoseconds(seconds: float) -> int:
    return max(0, round(seconds * 1e9))


def _attribute(key: str, value: str | int) -> KeyValue:
    told = AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value)
    return KeyValue(key=key, value=told)
