"""Scrapers that mean harm: whatever they do, they cost little and others are served."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio.testing import MockClock

from nectar_node.base.errors import CannotListen
from nectar_node.driver.telemetry.metrics_server import MAX_CONNECTIONS, MAX_HEAD_BYTES, SECONDS, MetricsServer
from nectar_node.telemetry.metrics import Metric

GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Counting:
    """Metrics that count how often they are read; `size` bytes long."""

    def __init__(self, size: int = 0) -> None:
        self.reads = 0
        self._size = size

    def collect(self) -> Iterator[Metric]:
        self.reads += 1
        yield Metric("nectar_test_reads", True, "x" * self._size + ".", (), [((), float(self.reads))])


@asynccontextmanager
async def served(counting: Counting) -> AsyncIterator[int]:
    server = MetricsServer("127.0.0.1", 0, counting.collect)
    port = int((await server.listen()).rpartition(":")[2].removesuffix("/metrics"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve)
        yield port
        nursery.cancel_scope.cancel()


async def ask(port: int, request: bytes = GET) -> bytes:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    answer = b""
    async with stream:
        await stream.send_all(request)
        async for data in stream:
            answer += data
    return answer


async def ended(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):
        while await stream.receive_some(1 << 16):
            pass


async def test_however_many_ask_the_node_is_read_once_a_second() -> None:
    counting = Counting()
    async with served(counting) as port, trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(ask, port)
    assert counting.reads <= 2 + SECONDS


async def test_clients_that_say_nothing_lose_their_places_to_one_that_asks(autojump_clock: MockClock) -> None:
    async with served(Counting()) as port:
        idle = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        began = trio.current_time()
        assert b"nectar_test_reads_total" in await ask(port)
        assert trio.current_time() - began == pytest.approx(SECONDS)
        for stream in idle:
            await ended(stream)
            await stream.aclose()


async def test_a_client_that_never_reads_is_left(autojump_clock: MockClock) -> None:
    async with served(Counting(32 << 20)) as port:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(GET)
        began = trio.current_time()
        others = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(MAX_CONNECTIONS - 1)]
        assert (await ask(port, GET.replace(b"/metrics", b"/other"))).startswith(b"HTTP/1.1 404 ")
        assert trio.current_time() - began <= 2 * SECONDS
        for each in (stream, *others):
            await each.aclose()


async def test_a_head_without_an_end_is_not_kept() -> None:
    async with served(Counting()) as port:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        with suppress(trio.BrokenResourceError):
            await stream.send_all(b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * (2 * MAX_HEAD_BYTES // 6))
        await ended(stream)
        await stream.aclose()
        assert b"nectar_test_reads_total 1.0" in await ask(port)


@pytest.mark.parametrize(
    "request_bytes", [b"", b"GET", b"GET /metrics HTTP/2.0", b"\x00\xff\xfe /metrics x", b"\x16\x03\x01"]
)
async def test_what_is_no_request_is_refused(request_bytes: bytes) -> None:
    async with served(Counting()) as port:
        assert (await ask(port, request_bytes + b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_headers_of_any_bytes_do_no_harm() -> None:
    async with served(Counting()) as port:
        odd = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n:\r\n: :\r\n\xff\xfe: \x00\r\nAccept: "
        odd += b"a/b;q=,*;version=\xff," * 99
        assert (await ask(port, odd + b"\r\n\r\n")).startswith(b"HTTP/1.1 ")
        assert b"nectar_test_reads_total" in await ask(port)


async def test_a_place_that_is_none_is_one_sentence() -> None:
    server = MetricsServer("192.0.2.1", 0, Counting().collect)
    with pytest.raises(CannotListen, match=r"^Metrics cannot be served at 192\.0\.2\.1:0: .*\. Give --metrics another"):
        await server.listen()
