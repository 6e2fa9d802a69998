"""Collectors that hang, refuse or lie: spans are given up and counted, and nobody waits for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from trio.testing import MockClock

from kernel.contract.address import Address, ProcessId
from kernel.router.trace import TraceRecord, TraceStep
from nectar_node.contract.config import SpanPlace
from nectar_node.contract.traces import Traced
from nectar_node.driver.telemetry.span_export import (
    AT_ONCE,
    FAREWELL_SECONDS,
    GATHER_SECONDS,
    MAX_WAITING,
    PAUSE_SECONDS,
    SECONDS,
    SpanExport,
)

HELLO = ProcessId("hello", "hello", "sys")
Serve = Callable[[trio.SocketStream], Awaitable[None]]


def tell(export: SpanExport, count: int, first: int = 1) -> None:
    """Tell the export of so many requests that were answered."""
    for id in range(first, first + count):
        a, b = Address("a.nec", HELLO), Address("b.nec", HELLO)
        sent = TraceRecord(1.0, TraceStep.SENT, id, None, id, False, True, a, b, False, 2, None, None, b"{}")
        export.take(Traced(export, sent))
        export.take(Traced(export, sent._replace(at=2.0, step=TraceStep.ANSWERED, source=b, target=a)))


def counts(export: SpanExport) -> tuple[float, ...]:
    """Return how many spans were taken, how many were given up, and how many requests have failed."""
    return tuple(metric.samples[0][1] for metric in export.metrics())


@asynccontextmanager
async def exporting(behave: Serve | None) -> AsyncIterator[SpanExport]:
    """Yield an export to a collector that does with each connection what `behave` does; None: there is none."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/v1/traces"
    export = SpanExport("a.nec", SpanPlace(url, 1.0), lambda: 100.0)
    async with trio.open_nursery() as nursery:
        if behave is None:
            await listener.aclose()
        else:
            nursery.start_soon(trio.serve_listeners, partial(until_gone, behave), [listener])
        nursery.start_soon(export.run)
        yield export
        nursery.cancel_scope.cancel()


async def until_gone(behave: Serve, stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):
        await behave(stream)


async def read(stream: trio.SocketStream) -> bytes:
    """Return the body of a request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive_some(1 << 16)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += await stream.receive_some(1 << 16)
    return body


async def hang(stream: trio.SocketStream) -> None:
    await read(stream)
    await trio.sleep_forever()


async def deaf(_: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def refuse(stream: trio.SocketStream) -> None:
    await read(stream)
    await stream.send_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")


async def babble(stream: trio.SocketStream) -> None:
    await read(stream)
    await stream.send_all(b"\x00\xff nonsense\r\n\r\n")


async def endless_head(stream: trio.SocketStream) -> None:
    await read(stream)
    while True:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 65536)


async def trickle(stream: trio.SocketStream) -> None:
    await read(stream)
    for each in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
        await stream.send_all(bytes((each,)))
        await trio.sleep(1.0)


async def end_at_once(_: trio.SocketStream) -> None:
    return


@pytest.mark.parametrize("behave", [hang, deaf, refuse, babble, endless_head, trickle, end_at_once, None])
async def test_a_collector_that_does_not_take_spans_costs_them_alone(
    autojump_clock: MockClock, behave: Serve | None
) -> None:
    async with exporting(behave) as export:
        tell(export, AT_ONCE)
        await trio.sleep(SECONDS + 0.1)
        assert counts(export) == (0, AT_ONCE, 1)


async def test_what_waits_for_a_collector_has_a_bound(autojump_clock: MockClock) -> None:
    async with exporting(hang) as export:
        tell(export, 3 * MAX_WAITING)
        assert counts(export) == (0, 2 * MAX_WAITING, 0)


async def test_an_endless_body_of_an_answer_is_not_read(autojump_clock: MockClock) -> None:
    async def flood(stream: trio.SocketStream) -> None:
        await read(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        while True:
            await stream.send_all(b"x" * 65536)

    async with exporting(flood) as export:
        tell(export, AT_ONCE)
        await trio.sleep(SECONDS)
        assert counts(export) == (AT_ONCE, 0, 0)


async def test_a_collector_that_comes_back_is_found(autojump_clock: MockClock) -> None:
    bodies: list[bytes] = []

    async def second(stream: trio.SocketStream) -> None:
        bodies.append(await read(stream))
        status = b"503 Busy" if len(bodies) == 1 else b"200 OK"
        await stream.send_all(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async with exporting(second) as export:
        tell(export, AT_ONCE)
        await trio.sleep(PAUSE_SECONDS - 1)
        tell(export, 3, first=1000)
        await trio.sleep(GATHER_SECONDS + 1.1)
        assert counts(export) == (3, AT_ONCE, 1)
    spans = ExportTraceServiceRequest.FromString(bodies[1]).resource_spans[0].scope_spans[0].spans
    assert [span.start_time_unix_nano for span in spans] == [101_000_000_000] * 3


async def test_a_node_that_goes_down_waits_a_moment_for_a_collector_that_hangs(autojump_clock: MockClock) -> None:
    async with exporting(hang) as export:
        tell(export, 5)
        began = trio.current_time()
        await export.close()
        assert trio.current_time() - began == pytest.approx(FAREWELL_SECONDS)
