"""WebSockets over real sockets: what comes in, what goes out, and that nobody holds up or fills the node."""

from __future__ import annotations

import gc
import random
import socket
import ssl
import struct
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.trio.tcp_server import TCPServer
from wsproto.events import CloseConnection, Ping
from wsproto.frame_protocol import FrameProtocol

from kernel.contract.address import PackageId
from nectar_node.contract.config import LOOPBACK, HttpPlace
from nectar_node.contract.http import (
    FrameKind,
    HttpAnswer,
    HttpEvent,
    HttpGone,
    SocketAccept,
    SocketClose,
    SocketFrame,
    SocketRead,
    SocketRequest,
    SocketSend,
    SocketSent,
)
from nectar_node.contract.memory_budget import LEAST_BYTES, MemoryBudget
from nectar_node.driver.browsers import web_sockets
from nectar_node.driver.browsers.door_sockets import open_door
from nectar_node.driver.browsers.http_door import HttpDoor
from nectar_node.http.pages import error_page
from tests import waiting
from tests.nectar_node.driver.browsers.test_http_door import certificate  # noqa: F401
from tests.web_sockets import Refused, WebSocketClient, web_socket

PACKAGE = PackageId("site", "local")


class Echo:
    """A core that sends back what it reads, and reads on unless it is told not to."""

    def __init__(self, sockets: int, tls: tuple[str, str] | None) -> None:
        opened = open_door(HttpPlace(LOOPBACK, 0, tls))
        self.port = opened.port
        self.events: list[HttpEvent] = []
        self.failures: list[str] = []
        self.reads = True
        self.echoes = True
        self.memory = MemoryBudget(LEAST_BYTES)
        self.door = HttpDoor(
            opened, 2, self._tell, lambda what, error: self.failures.append(repr(error)), self.memory, sockets
        )

    def _tell(self, event: HttpEvent) -> None:
        self.events.append(event)
        if isinstance(event, SocketRequest):
            token = event.request.token
            if event.request.path == "/no":
                self.door.perform(HttpAnswer(token, *error_page(403, "No.")))
                return
            self.door.perform(SocketAccept(token, PACKAGE))
            self.read_on()
        elif isinstance(event, SocketFrame):
            if self.echoes and event.kind in (FrameKind.TEXT, FrameKind.BINARY):
                self.door.perform(SocketSend(event.token, event.kind, event.data))
            self.read_on()

    def read_on(self) -> None:
        """Want the next frame of the last WebSocket."""
        if self.reads:
            self.door.perform(SocketRead(self.token))

    @property
    def token(self) -> object:
        return next(each.request.token for each in reversed(self.events) if isinstance(each, SocketRequest))

    @property
    def frames(self) -> list[tuple[FrameKind, bytes]]:
        return [(each.kind, bytes(each.data)) for each in self.events if isinstance(each, SocketFrame)]

    def count(self, kind: type) -> int:
        return sum(isinstance(each, kind) for each in self.events)


async def until(done: Callable[[], bool]) -> None:
    await trio.to_thread.run_sync(waiting.until, done)


@asynccontextmanager
async def echo(sockets: int = 8, tls: tuple[str, str] | None = None) -> AsyncIterator[Echo]:
    core = Echo(sockets, tls)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(core.door.serve)
            yield core
            await core.door.close()
            nursery.cancel_scope.cancel()
    assert core.failures == []
    assert not core.memory.holders


async def test_messages_of_all_sizes_go_both_ways_in_order() -> None:
    async with echo() as core, web_socket(core.port, "/x?y=1") as client:
        sent: list[str | bytes] = ["", "é" * 50_000, bytes(range(256)) * 8000, "x", b""]
        async with trio.open_nursery() as nursery:
            for each in sent:
                nursery.start_soon(client.send, each)
                assert await client.receive() == each
        await client.send("in ", finished=False)
        await client.do(Ping(b"between"))
        await client.send("two")
        assert await client.receive() == "in two"
        assert client.pongs == [b"between"]
        (request,) = [each.request for each in core.events if isinstance(each, SocketRequest)]
        assert (request.method, request.path, request.query, request.secure) == ("GET", "/x", "y=1", False)
        assert dict(request.headers)["host"] == "localhost"
        await until(lambda: core.count(SocketSent) == len(sent) + 1)


async def test_a_websocket_by_tls(certificate: tuple[str, str]) -> None:  # noqa: F811
    context = ssl.create_default_context(cafile=certificate[0])
    context.set_alpn_protocols(["http/1.1"])
    async with echo(tls=certificate) as core, await trio.open_tcp_stream(LOOPBACK, core.port) as inner:
        stream = trio.SSLStream(inner, context, server_hostname="localhost", https_compatible=True)
        client = WebSocketClient(stream)
        await client.open("/", {})
        await client.send("secret")
        assert await client.receive() == "secret"
        assert [each.request.secure for each in core.events if isinstance(each, SocketRequest)] == [True]


async def test_a_websocket_that_the_core_does_not_want_is_refused_with_its_answer() -> None:
    async with echo() as core:
        with pytest.raises(Refused) as refused:
            async with web_socket(core.port, "/no"):
                pass
        assert refused.value.status == 403
        assert core.count(HttpGone) == 0


@pytest.mark.parametrize(
    "lines", ["Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
)
async def test_what_is_no_handshake_is_refused(lines: str) -> None:
    async with echo() as core, await trio.open_tcp_stream(LOOPBACK, core.port) as stream:
        head = f"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{lines}\r\n\r\n"
        await stream.send_all(head.encode())
        answer = await stream.receive_some()
        assert bytes(answer).startswith(b"HTTP/1.1 400 ")
        assert core.events == []


async def test_a_goodbye_of_the_browser_is_told_and_answered() -> None:
    async with echo() as core, web_socket(core.port, "/") as client:
        await client.do(CloseConnection(code=3001, reason="done"))
        assert await client.end() == (3001, "")
        await until(lambda: core.count(HttpGone) == 1)
        assert core.frames == [(FrameKind.CLOSE, b"\x0b\xb9done")]
        assert await client.stream.receive_some() == b"", "the connection ends"


async def test_a_goodbye_of_the_core_comes_after_all_that_it_has_sent() -> None:
    async with echo() as core, web_socket(core.port, "/") as client:
        await until(lambda: bool(core.events))
        for number in range(100):
            core.door.perform(SocketSend(core.token, FrameKind.TEXT, str(number).encode()))
        core.door.perform(SocketClose(core.token, 1001, "the process has ended"))
        assert [await client.receive() for _ in range(100)] == [str(number) for number in range(100)]
        assert await client.end() == (1001, "the process has ended")
        assert await client.stream.receive_some() == b""
        assert core.count(HttpGone) == 0


async def test_a_browser_that_goes_away_in_the_middle_is_told_once() -> None:
    async with echo() as core:
        async with web_socket(core.port, "/") as client:
            await client.send("begun", finished=False)
        await until(lambda: core.count(HttpGone) == 1)
        assert core.frames == []


async def test_what_the_core_does_not_want_yet_stays_with_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    async with echo() as core, web_socket(core.port, "/") as client:
        core.reads = core.echoes = False
        message, sent = b"x" * 60_000, 0
        with trio.move_on_after(0.5):
            while sent < 2000:
                await client.send(message)
                sent += 1
        assert sent < 500, "TCP has held up the browser"
        assert len(core.frames) == 1, "the core has been given what it had asked for"
        core.reads = True
        core.read_on()
        await until(lambda: len(core.frames) >= sent)
        assert set(core.frames) == {(FrameKind.BINARY, message)}


async def test_a_browser_that_does_not_read_does_not_hold_up_others() -> None:
    async with echo() as core, web_socket(core.port, "/") as slow, web_socket(core.port, "/") as client:
        first = next(each.request.token for each in core.events if isinstance(each, SocketRequest))
        for _ in range(200):
            core.door.perform(SocketSend(first, FrameKind.BINARY, b"x" * 100_000))
        await client.send("hello")
        assert await client.receive() == "hello"
        assert core.count(SocketSent) < 150
        for _ in range(200):
            assert len(await slow.receive()) == 100_000


@pytest.mark.parametrize(
    ("name", "value", "code"), [("MAX_MESSAGE_BYTES", 99_999, 1009), ("MAX_READING_BYTES_OF_ONE", 99_999, 1013)]
)
async def test_a_message_has_a_bound_and_all_messages_have_one(
    monkeypatch: pytest.MonkeyPatch, name: str, value: int, code: int
) -> None:
    monkeypatch.setattr(web_sockets, name, value)
    async with echo() as core, web_socket(core.port, "/") as client, web_socket(core.port, "/") as other:
        await client.send(b"x" * 50_000, finished=False)
        with suppress(trio.BrokenResourceError):
            await client.send(b"x" * 50_000, finished=False)
        assert (await client.end())[0] == code
        await until(lambda: core.count(HttpGone) == 1)
        await other.send(b"y" * 60_000)
        assert await other.receive() == b"y" * 60_000, "what it had is free again"


async def test_a_message_that_takes_too_long_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_sockets, "MESSAGE_SECONDS", 0.0)
    async with echo() as core, web_socket(core.port, "/") as client:
        for _ in range(3):
            with suppress(trio.BrokenResourceError):
                await client.send("drop by drop", finished=False)
        assert (await client.end())[0] == 1008


async def test_a_message_of_many_small_frames_takes_no_more_memory_than_its_bytes() -> None:
    frames = 10_000
    async with echo() as core, web_socket(core.port, "/") as client:
        tracemalloc.start()
        try:
            await client.stream.send_all(b"\x02\x82\0\0\0\0ab" + b"\x00\x82\0\0\0\0ab" * (frames - 1))
            await until(lambda: sum(len(each._parts) for each in core.door._sockets.open.values()) == 2 * frames)
            assert tracemalloc.get_traced_memory()[0] < 1 << 18
        finally:
            tracemalloc.stop()
        await client.stream.send_all(b"\x80\x80\0\0\0\0")
        assert await client.receive() == b"ab" * frames


@pytest.mark.parametrize("how", ["goodbye", "reset", "page", "half a request"])
async def test_what_has_ended_leaves_nothing_to_the_garbage_collector(how: str) -> None:
    """To look for what ten thousand connections have left stopped a node for half a second."""
    async with echo() as core:
        gc.collect()
        before = set(map(id, of_connections()))
        gc.disable()
        try:
            for _ in range(5):
                await come_and_go(core.port, how)
            await until(lambda: not core.door._watch.streams)
            await trio.testing.wait_all_tasks_blocked()
            core.events.clear()
            assert [type(each).__name__ for each in of_connections() if id(each) not in before] == []
        finally:
            gc.enable()


def of_connections() -> list[object]:
    """What a server has for each of its connections."""
    kinds = (TCPServer, H11Protocol, WSStream, FrameProtocol)
    there = [each for each in gc.get_objects() if isinstance(each, kinds)]
    return [each for each in there if getattr(each, "client", None) is not True]


async def come_and_go(port: int, how: str) -> None:
    if how in ("page", "half a request"):
        async with await trio.open_tcp_stream(LOOPBACK, port) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + (b"\r\n" if how == "page" else b""))
            return
    async with web_socket(port, "/") as client:
        await client.send("hello")
        assert await client.receive() == "hello"
        if how == "goodbye":
            await client.do(CloseConnection(code=1000))
            await client.end()
        else:
            client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # type: ignore[attr-defined]


async def test_what_keeps_to_no_protocol_ends_its_connection() -> None:
    async with echo() as core, web_socket(core.port, "/") as client:
        await client.stream.send_all(b"\xff" * 100)
        assert (await client.end())[0] == 1002
        await until(lambda: core.count(HttpGone) == 1)


@pytest.mark.parametrize("seed", range(3))
async def test_random_frames_end_with_their_connection_and_leave_nothing(seed: int) -> None:
    chance = random.Random(seed)
    async with echo() as core:
        for _ in range(40):
            async with web_socket(core.port, "/") as client:
                with suppress(trio.BrokenResourceError):
                    for _ in range(chance.randrange(1, 6)):
                        head = bytes(
                            [chance.choice((0x00, 0x01, 0x81, 0x82, 0x88, 0x89, 0x8A, 0xC1, chance.randrange(256)))]
                        )
                        length = chance.choice((0, 1, 125, 126, 127, chance.randrange(128))) | chance.choice(
                            (0x80, 0x80, 0)
                        )
                        await client.stream.send_all(head + bytes([length]) + chance.randbytes(chance.randrange(200)))
        await until(lambda: core.count(HttpGone) == 40)
        async with web_socket(core.port, "/") as client:
            await client.send("still here")
            assert await client.receive() == "still here"


async def test_websockets_count_apart_from_other_connections_and_have_their_own_bound() -> None:
    async with echo(sockets=4) as core:
        clients = [web_socket(core.port, "/") for _ in range(4)]
        for each in clients:
            await each.__aenter__()
        with pytest.raises(Refused) as refused:  # HTTP has two connections at a time here
            async with web_socket(core.port, "/"):
                pass
        assert refused.value.status == 503
        for each in clients:
            await each.__aexit__(None, None, None)


async def test_the_end_of_the_node_is_a_goodbye_to_all() -> None:
    async with echo() as core, web_socket(core.port, "/") as reads, web_socket(core.port, "/") as waits:
        core.reads = False
        await waits.send("one")
        await waits.send("two")
        await until(lambda: len(core.frames) == 1)
        ends: list[tuple[int, str]] = []

        async def end(client: WebSocketClient) -> None:
            ends.append(await client.end())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(end, reads)
            nursery.start_soon(end, waits)
            await core.door.close()
        assert ends == [(1001, "the node goes down")] * 2
        assert core.count(HttpGone) == 2
