"""Processes ask servers: the system process and its driver, on real sockets, with servers that do their worst."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio
import trio.testing
from wsproto import WSConnection
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Pong, Request, TextMessage

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Inject, Reply
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo
from kernel.contract.message import Request as Message
from nectar_node.base.system_processes import HTTP_CLIENT, HTTP_CLIENT_LATE
from nectar_node.contract.actions import LogLine
from nectar_node.contract.config import LOOPBACK
from nectar_node.contract.http_client import HttpClientAction, HttpClientConfig, HttpClientEvent
from nectar_node.contract.memory_budget import LEAST_BYTES, MemoryBudget
from nectar_node.driver import http_wire
from nectar_node.driver.http_client import HttpClientDriver
from nectar_node.http.fetching import requests as fetch_requests
from nectar_node.system.http_client import HttpClient
from tests.nectar_node.driver.certificates import Authority

OUR = "a.nec"
ALLOWED, STRANGER = ProcessId("main", "allowed", "x.nec"), ProcessId("main", "stranger", "x.nec")
OK = b"HTTP/1.1 200 OK\r\n"
Serve = Callable[[trio.abc.Stream], Awaitable[None]]


class Answer(NamedTuple):
    value: Any
    blob: bytes


class Rig:
    """The HTTP client of a node, its processes being played."""

    def __init__(self, trust: ssl.SSLContext | None, places: int) -> None:
        self.failures: list[str] = []
        self.answers: dict[int, Answer] = {}
        self.told: list[tuple[str, Any, bytes]] = []
        """What processes were sent: by whom, and what."""
        self.room = True
        self.until: dict[int, float] = {}
        self._ids = count(1)
        self._changed = trio.Event()
        config = HttpClientConfig(places, frozenset({ALLOWED.package_id}))
        memory = MemoryBudget(LEAST_BYTES)
        self.client = HttpClient(
            OUR, config, lambda reply_to: self.until.get(reply_to.id), lambda *_: self.room, memory
        )
        self.driver = HttpClientDriver(self._tell, lambda what, error: self.failures.append(repr(error)), trust)

    def _tell(self, event: HttpClientEvent) -> None:
        self.client.take(event, trio.current_time())
        self.look()

    def look(self) -> None:
        while (action := self.client.next_action()) is not None:
            if isinstance(action, Reply):
                blob = b"" if action.blob is None else bytes(action.blob.bytes)
                self.answers[action.reply_to.id] = Answer(json.loads(action.response.body), blob)
            elif isinstance(action, Inject):
                data = b"" if action.blob is None else bytes(action.blob.bytes)
                self.told.append((action.source.process, json.loads(action.request.body), data))
            elif isinstance(action, HttpClientAction):
                self.driver.carry_out(action)
            else:
                assert isinstance(action, LogLine)
        self._changed.set()
        self._changed = trio.Event()

    async def on_time(self) -> None:
        """Call the timer, as the node does."""
        while True:
            deadline = self.client.next_deadline()
            with trio.move_on_at(trio.current_time() + 60 if deadline is None else deadline):
                await self._changed.wait()
            self.client.on_timer(trio.current_time())
            self.look()

    def begin(
        self, body: object, blob: bytes | None = None, *, by: ProcessId = ALLOWED, late: bool = True, timeout: int = 20
    ) -> int:
        number = next(self._ids)
        source, server = Address(OUR, by), Address(OUR, HTTP_CLIENT_LATE if late else HTTP_CLIENT)
        self.until[number] = trio.current_time() + timeout
        carried = None if blob is None else LazyLoadBlob(None, blob)
        message = Message(False, timeout, json.dumps(body).encode())
        envelope = Envelope(number, source, server, ReplyTo(source, number), message, carried)
        self.client.receive(envelope, trio.current_time())
        self.look()
        return number

    async def wait(self, done: Callable[[], object]) -> None:
        while not done():
            await self._changed.wait()

    async def ask(self, body: object, blob: bytes | None = None, **how: Any) -> Answer:
        number = self.begin(body, blob, **how)
        await self.wait(lambda: number in self.answers)
        return self.answers.pop(number)

    async def get(self, url: str, **how: Any) -> Answer:
        return await self.ask(http(url), **how)

    async def idle(self) -> None:
        """Wait until nothing is held any more: no connection, no place, no byte."""
        while self.driver._lines or [*self.client.queue.figures()] != [0, 0, 0]:
            await trio.lowlevel.checkpoint()


def http(url: str, method: str = "GET", version: str | None = None, **headers: str) -> object:
    return {"Http": {"method": method, "version": version, "url": url, "headers": headers}}


@asynccontextmanager
async def rigged(trust: ssl.SSLContext | None = None, places: int = 16) -> AsyncIterator[Rig]:
    rig = Rig(trust, places)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            await nursery.start(rig.driver.run)
            nursery.start_soon(rig.on_time)
            yield rig
            await rig.driver.close()
            assert not rig.driver._lines
            nursery.cancel_scope.cancel()
    assert not rig.failures


@asynccontextmanager
async def server(serve: Serve, tls: ssl.SSLContext | None = None, host: str = LOOPBACK) -> AsyncIterator[int]:
    """A server whose connections `serve` handles; its port."""

    async def handle(stream: trio.SocketStream) -> None:
        carried: trio.abc.Stream = stream
        if tls is not None:
            carried = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
        try:
            await serve(carried)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(carried)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handle, 0, host=host))
        listener = listeners[0]
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def head_of(stream: trio.abc.Stream) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = await stream.receive_some()
        if not more:
            break
        data += more
    return data


def always(answer: bytes) -> Serve:
    async def serve(stream: trio.abc.Stream) -> None:
        await head_of(stream)
        await stream.send_all(answer)

    return serve


def with_body(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = "".join(f"{header}\r\n" for header in (*headers, f"Content-Length: {len(body)}"))
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def failed(why: str) -> Answer:
    return Answer({"Err": {"ExecuteRequestFailed": why}}, b"")


# --- requests and answers -------------------------------------------------------------------------------------------


async def test_an_answer_comes_with_its_status_its_headers_and_its_body_as_blob() -> None:
    answer = with_body(b"not here", "X-A: 1", "X-A: 2", "Content-Type: text/plain", status="404 Not Found")
    async with rigged() as rig, server(always(answer)) as port:
        value, blob = await rig.get(f"http://127.0.0.1:{port}/")
        headers = {"x-a": "1, 2", "content-type": "text/plain", "content-length": "8"}
        assert value == {"Ok": {"Http": {"status": 404, "headers": headers}}}
        assert blob == b"not here"
        await rig.idle()


async def test_a_request_has_the_processes_headers_and_the_nodes_own_frame() -> None:
    seen: list[bytes] = []

    async def serve(stream: trio.abc.Stream) -> None:
        seen.append(await head_of(stream))
        while not seen[0].endswith(b"four"):
            seen[0] += await stream.receive_some()
        await stream.send_all(with_body(b""))

    async with rigged() as rig, server(serve) as port:
        smuggled = {"Host": "evil", "Content-Length": "0", "Transfer-Encoding": "chunked", "Connection": "keep-alive"}
        url = f"http://127.0.0.1:{port}/a%20b/é?q=ü#part"
        await rig.ask(http(url, "POST", **smuggled, **{"X-Key": "k", "User-Agent": "mine"}), b"four")
        head, _, body = seen[0].partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == "POST /a%20b/%C3%A9?q=%C3%BC HTTP/1.1"
        assert sorted(lines[1:]) == sorted(
            [
                f"Host: 127.0.0.1:{port}",
                "X-Key: k",
                "User-Agent: mine",
                "Accept: */*",
                "Accept-Encoding: identity",
                "Content-Length: 4",
                "Connection: close",
            ]
        )
        assert body == b"four"


async def test_a_body_in_chunks_and_a_body_that_ends_with_its_connection_are_whole() -> None:
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
    for answer in (chunked, OK + b"\r\nabcde"):
        async with rigged() as rig, server(always(answer)) as port:
            assert (await rig.get(f"http://127.0.0.1:{port}/")).blob == b"abcde"


async def test_nothing_is_decompressed_so_a_gzip_bomb_stays_as_small_as_it_was_sent() -> None:
    bomb = gzip.compress(bytes(20 << 20))
    async with rigged() as rig, server(always(with_body(bomb, "Content-Encoding: gzip"))) as port:
        value, blob = await rig.get(f"http://127.0.0.1:{port}/")
        assert blob == bomb
        assert value["Ok"]["Http"]["headers"]["content-encoding"] == "gzip"


async def test_the_proxies_and_passwords_of_the_environment_are_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    async with rigged() as rig, server(always(with_body(b"direct"))) as port:
        assert (await rig.get(f"http://127.0.0.1:{port}/")).blob == b"direct"


async def test_two_requests_share_neither_a_connection_nor_a_cookie() -> None:
    seen: list[bytes] = []

    async def serve(stream: trio.abc.Stream) -> None:
        seen.append(await head_of(stream))
        await stream.send_all(with_body(b"", "Set-Cookie: a=1"))
        assert not await stream.receive_some()  # the client closes it

    async with rigged() as rig, server(serve) as port:
        for _ in range(2):
            await rig.get(f"http://127.0.0.1:{port}/")
        assert len(seen) == 2
        assert not any(b"cookie" in each.lower() for each in seen)


# --- where requests go ----------------------------------------------------------------------------------------------


async def test_this_machine_and_private_networks_are_for_those_packages_that_the_user_allows() -> None:
    reached: list[bytes] = []

    async def serve(stream: trio.abc.Stream) -> None:
        reached.append(await head_of(stream))
        await stream.send_all(with_body(b"secret"))

    async with rigged() as rig, server(serve) as port:
        assert (await rig.get(f"http://localhost:{port}/")).blob == b"secret"
        for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]"):
            value, blob = await rig.get(f"http://{host}:{port}/", by=STRANGER)
            assert "http-client-private" in value["Err"]["ExecuteRequestFailed"], host
            assert blob == b""
        value = (await rig.get(f"http://0.0.0.0:{port}/")).value
        assert value == {"Err": {"ExecuteRequestFailed": "0.0.0.0 is no server's address"}}
        for host in ("10.1.2.3", "169.254.169.254", "192.168.1.1", "[fd00::1]", "[fe80::1]", "[64:ff9b::7f00:1]"):
            value = (await rig.get(f"http://{host}/", by=STRANGER)).value
            assert "has not allowed" in value["Err"]["ExecuteRequestFailed"], host
        assert len(reached) == 1


async def test_a_public_address_of_this_machine_is_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_wire, "why_unreachable", lambda address, private, is_ours: f"ours: {is_ours}")
    async with rigged() as rig:
        assert await rig.get("http://127.0.0.1:8080/") == failed("ours: True")
        assert await rig.get("http://192.0.2.1:8080/") == failed("ours: False")


async def test_a_name_is_looked_up_once_and_what_was_judged_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups: list[str] = []

    def resolve(host: str, port: int, *args: Any, **named: Any) -> list[Any]:
        lookups.append(host)
        address = "192.168.7.7" if len(lookups) == 1 else LOOPBACK
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async with rigged() as rig, server(always(with_body(b"secret"))) as port:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        value = (await rig.get(f"http://rebinds.example:{port}/", by=STRANGER)).value
        assert value["Err"]["ExecuteRequestFailed"].startswith("192.168.7.7 is this machine's or a private network's")
        assert lookups == ["rebinds.example"]


async def test_a_redirect_is_followed_and_what_is_for_one_server_stays_there() -> None:
    seen: list[bytes] = []

    async def elsewhere(stream: trio.abc.Stream) -> None:
        seen.append(await head_of(stream))
        await stream.send_all(with_body(b"there"))

    async with rigged() as rig, server(elsewhere) as there:
        answer = with_body(b"", f"Location: http://localhost:{there}/b", status="302 Found")
        async with server(always(answer)) as here:
            request = http(f"http://127.0.0.1:{here}/a", "POST", Authorization="k", Cookie="c", Accept="x")
            value, blob = await rig.ask(request, b"body")
            assert (value["Ok"]["Http"]["status"], blob) == (200, b"there")
        head = seen[0].decode().lower()
        assert head.startswith("get /b http/1.1\r\n")
        assert "accept: x\r\n" in head
        assert not any(name in head for name in ("authorization", "cookie", "content-length"))
        await rig.idle()


async def test_a_redirect_never_ends_in_a_loop() -> None:
    seen: list[bytes] = []

    async def serve(stream: trio.abc.Stream) -> None:
        seen.append(await head_of(stream))
        await stream.send_all(with_body(b"", "Location: /again", status="307 Again"))

    async with rigged() as rig, server(serve) as port:
        assert await rig.get(f"http://127.0.0.1:{port}/") == failed("there are more than 10 redirects")
        assert len(seen) == 11
        await rig.idle()


# --- TLS ------------------------------------------------------------------------------------------------------------


async def test_a_certificate_is_verified_and_one_that_is_not_trusted_ends_the_request(tmp_path: Path) -> None:
    trusted, strange = Authority(tmp_path / "trusted"), Authority(tmp_path / "strange")
    async with rigged(trusted.trust()) as rig:
        async with server(always(with_body(b"safe")), trusted.serving("localhost")) as port:
            assert (await rig.get(f"https://localhost:{port}/")).blob == b"safe"
            why = (await rig.get(f"https://127.0.0.1:{port}/")).value["Err"]["ExecuteRequestFailed"]
            assert why.startswith("the server's certificate is not trusted: IP address mismatch")
        async with server(always(with_body(b"")), strange.serving("localhost")) as port:
            why = (await rig.get(f"https://localhost:{port}/")).value["Err"]["ExecuteRequestFailed"]
            assert why.startswith("the server's certificate is not trusted: unable to get local issuer")
        async with server(always(with_body(b"")), trusted.serving("localhost", expired=True)) as port:
            why = (await rig.get(f"https://localhost:{port}/")).value["Err"]["ExecuteRequestFailed"]
            assert why == "the server's certificate is not trusted: certificate has expired"
        async with server(lambda stream: stream.send_all(b"220 mail.example\r\n")) as port:
            why = (await rig.get(f"https://localhost:{port}/")).value["Err"]["ExecuteRequestFailed"]
            assert why.startswith("the server speaks no TLS"), why


# --- servers that do their worst ------------------------------------------------------------------------------------


async def test_a_server_that_never_ends_is_cut_off_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_requests, "MAX_BODY_BYTES", 1 << 20)

    async def serve(stream: trio.abc.Stream) -> None:
        await head_of(stream)
        await stream.send_all(OK + b"\r\n")
        while True:
            await stream.send_all(bytes(1 << 16))

    async with rigged() as rig, server(serve) as port:
        assert await rig.get(f"http://127.0.0.1:{port}/") == failed(f"the answer has more than {1 << 20} bytes")
        await rig.idle()


async def test_a_slow_server_has_the_time_of_the_message_and_then_its_connection_ends() -> None:
    gone = trio.Event()

    async def serve(stream: trio.abc.Stream) -> None:
        await head_of(stream)
        await stream.send_all(OK + b"Content-Length: 10\r\n\r\nab")
        assert not await stream.receive_some()
        gone.set()

    async with rigged() as rig, server(serve) as port:
        number = rig.begin(http(f"http://127.0.0.1:{port}/"), timeout=1)
        await gone.wait()
        await rig.idle()
        assert number not in rig.answers  # the kernel has told the process


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"".join(b"X-%d: 1\r\n" % number for number in range(200)) + b"\r\n",
        OK + b"X: " + bytes(40 << 10).replace(b"\0", b"a") + b"\r\n\r\n",
        OK + b"X: " + bytes(1 << 20).replace(b"\0", b"a"),
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 5\r\n\r\nab",
        OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nab",
        OK + b"X: a\0b\r\n\r\n",
        b"HTTP/1.1 200",
        b"220 mail.example ESMTP\r\n",
        b"\0\0\0\0",
        b"",
    ],
    ids=range(12),
)
async def test_what_is_no_answer_or_too_long_a_one_is_one_error(answer: bytes) -> None:
    async with rigged() as rig, server(always(answer)) as port:
        value, blob = await rig.get(f"http://127.0.0.1:{port}/")
        assert [*value["Err"]] == ["ExecuteRequestFailed"]
        assert value["Err"]["ExecuteRequestFailed"]
        assert blob == b""
        await rig.idle()


async def test_bytes_that_never_become_an_answer_end_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_wire, "MAX_WIRE_BYTES", 1 << 20)

    async def serve(stream: trio.abc.Stream) -> None:
        await head_of(stream)
        while True:
            await stream.send_all(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)

    async with rigged() as rig, server(serve) as port:
        assert await rig.get(f"http://127.0.0.1:{port}/") == failed("the answer is too long")


async def test_nobody_who_listens_is_told_in_words() -> None:
    listener = socket.socket()
    listener.bind((LOOPBACK, 0))  # and does not listen
    with listener:
        async with rigged() as rig:
            value = (await rig.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")).value
            assert value["Err"]["ExecuteRequestFailed"] == "127.0.0.1 cannot be reached: Connection refused"


async def test_a_request_ends_with_its_process_and_with_the_node() -> None:
    connected, gone = trio.Event(), trio.Event()

    async def serve(stream: trio.abc.Stream) -> None:
        await head_of(stream)
        connected.set()
        assert not await stream.receive_some()
        gone.set()

    for process_ends in (True, False):
        connected, gone = trio.Event(), trio.Event()
        async with server(serve) as port, rigged() as rig:
            number = rig.begin(http(f"http://127.0.0.1:{port}/"))
            await connected.wait()
            if process_ends:
                rig.client.ended(ALLOWED, trio.current_time())
                rig.look()
                await rig.idle()
            else:
                await rig.driver.close()
            await gone.wait()
            assert number not in rig.answers


# --- WebSockets -----------------------------------------------------------------------------------------------------


class Peer:
    """The server's side of one WebSocket."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._frames = WSConnection(ConnectionType.SERVER)
        self.head: Request | None = None
        self._events: list[Any] = []

    async def next(self) -> Any:
        """The next event; None: the connection is gone."""
        while not self._events:
            data = await self._stream.receive_some()
            if not data:
                return None
            self._frames.receive_data(bytes(data))
            self._events += self._frames.events()
        return self._events.pop(0)

    async def send(self, event: Any) -> None:
        await self._stream.send_all(self._frames.send(event))

    async def raw(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def accept(self, **how: Any) -> Request:
        request = await self.next()
        assert isinstance(request, Request)
        await self.send(AcceptConnection(**how))
        return request


async def echo(stream: trio.abc.Stream) -> None:
    peer = Peer(stream)
    await peer.accept()
    while (event := await peer.next()) is not None:
        if isinstance(event, CloseConnection):
            await peer.send(event.response())
            return
        await peer.send(event.response() if isinstance(event, Ping) else event)


def opening(port: int, channel: int = 7, headers: dict[str, str] | None = None) -> object:
    return {"WebSocketOpen": {"url": f"ws://127.0.0.1:{port}/", "headers": headers or {}, "channel_id": channel}}


def push(kind: str, channel: int = 7) -> object:
    return {"WebSocketPush": {"channel_id": channel, "message_type": kind}}


CLOSE = {"WebSocketClose": {"channel_id": 7}}
ACK = Answer({"Ok": "WebSocketAck"}, b"")


def refused(error: object) -> Answer:
    return Answer({"Err": error}, b"")


@pytest.mark.parametrize("late", [False, True])
async def test_a_websocket_carries_messages_both_ways_under_the_name_that_was_called(late: bool) -> None:
    async with rigged() as rig, server(echo) as port:
        assert await rig.ask(opening(port), late=late) == ACK
        for kind, data in (("Text", "é".encode()), ("Binary", bytes(100_000)), ("Text", b"")):
            assert await rig.ask(push(kind), data, late=late) == ACK
            await rig.wait(lambda: rig.told)
            name = "http-client" if late else "http_client"
            assert rig.told.pop() == (name, push(kind), data)
        assert await rig.ask(push("Ping"), b"are you there", late=late) == ACK
        await rig.wait(lambda: rig.told)
        assert rig.told.pop() == (name, push("Pong"), b"are you there")
        assert await rig.ask(CLOSE, late=late) == ACK
        await rig.idle()
        assert not rig.told


async def test_a_server_that_closes_or_breaks_off_is_told_after_all_that_it_has_sent() -> None:
    async def closes(stream: trio.abc.Stream) -> None:
        peer = Peer(stream)
        await peer.accept()
        await peer.send(TextMessage("last"))
        await peer.send(CloseConnection(1000))
        assert isinstance(await peer.next(), CloseConnection)

    async def breaks(stream: trio.abc.Stream) -> None:
        peer = Peer(stream)
        await peer.accept()
        await peer.send(TextMessage("last"))

    async def nonsense(stream: trio.abc.Stream) -> None:
        peer = Peer(stream)
        await peer.accept()
        await peer.send(TextMessage("last"))
        await peer.raw(b"\xff\xff\xff\xff")

    for serve in (closes, breaks, nonsense):
        async with rigged() as rig, server(serve) as port:
            assert await rig.ask(opening(port)) == ACK
            await rig.wait(lambda: len(rig.told) == 2)
            assert [body for _, body, _ in rig.told] == [push("Text"), CLOSE]
            await rig.idle()
            assert await rig.ask(push("Text"), b"x") == refused({"WsPushUnknownChannel": {"channel_id": 7}})


async def test_a_ping_is_answered_and_told() -> None:
    answered = trio.Event()

    async def serve(stream: trio.abc.Stream) -> None:
        peer = Peer(stream)
        await peer.accept()
        await peer.send(Ping(b"there?"))
        pong = await peer.next()
        assert isinstance(pong, Pong)
        assert pong.payload == b"there?"
        answered.set()
        await peer.next()

    async with rigged() as rig, server(serve) as port:
        await rig.ask(opening(port))
        await answered.wait()
        assert rig.told == [("http-client", push("Ping"), b"there?")]


async def test_the_handshake_is_the_nodes_and_the_protocol_the_processs() -> None:
    seen: list[Request] = []

    async def serve(stream: trio.abc.Stream) -> None:
        peer = Peer(stream)
        seen.append(await peer.accept(subprotocol="chat"))
        await peer.next()

    async with rigged() as rig, server(serve) as port:
        headers = {"Sec-WebSocket-Protocol": "chat", "Sec-WebSocket-Key": "mine", "Upgrade": "x", "X-A": "1"}
        assert await rig.ask(opening(port, headers=headers)) == ACK
        assert seen[0].subprotocols == ["chat"]
        assert (b"x-a", b"1") in seen[0].extra_headers


async def test_what_opens_no_websocket_is_refused_with_its_url() -> None:
    wrong_key = b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
    for answer in (with_body(b"no"), with_body(b"", "Location: /b", status="302 Found"), wrong_key, b"what?", b""):
        async with rigged() as rig, server(always(answer)) as port:
            error = {"WsOpenFailed": {"url": f"ws://127.0.0.1:{port}/"}}
            assert await rig.ask(opening(port)) == refused(error)
            assert await rig.ask(opening(port), late=False) == refused(error)
            assert await rig.ask(opening(port), by=STRANGER) == refused(error)
            await rig.idle()


async def test_a_message_that_never_ends_closes_its_websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_requests, "MAX_MESSAGE_BYTES", 1 << 16)

    async def serve(stream: trio.abc.Stream) -> None:
        peer = Peer(stream)
        await peer.accept()
        while True:
            await peer.send(BytesMessage(bytes(1 << 10), message_finished=False))

    async with rigged() as rig, server(serve) as port:
        await rig.ask(opening(port))
        await rig.wait(lambda: rig.told)
        assert rig.told == [("http-client", CLOSE, b"")]
        await rig.idle()


async def test_a_process_without_room_holds_up_its_websocket_and_nothing_is_lost() -> None:
    sent = 0

    async def serve(stream: trio.abc.Stream) -> None:
        nonlocal sent
        peer = Peer(stream)
        await peer.accept()
        for number in range(40):
            await peer.send(BytesMessage(number.to_bytes(1, "big") * (512 << 10)))
            sent += 1
        await peer.send(CloseConnection(1000))
        await peer.next()

    async with rigged() as rig, server(serve) as port:
        rig.room = False
        await rig.ask(opening(port))
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert not rig.told
        assert 0 < sent < 40
        assert rig.client.queue._bytes.used < 1 << 20  # what one read holds, and no more
        rig.room = True
        await rig.wait(lambda: rig.told and rig.told[-1][1] == CLOSE)
        assert [(data[0], len(data)) for _, _, data in rig.told[:-1]] == [(number, 512 << 10) for number in range(40)]


async def test_a_server_that_takes_nothing_is_no_memory_without_end() -> None:
    async def serve(stream: trio.abc.Stream) -> None:
        await Peer(stream).accept()
        await trio.sleep_forever()

    async with rigged() as rig, server(serve) as port:
        await rig.ask(opening(port))
        data = bytes(4 << 20)
        numbers = [rig.begin(push("Binary"), data) for _ in range(20)]
        await rig.wait(lambda: any(number in rig.answers for number in numbers))
        late = [
            rig.answers[number] for number in numbers if number in rig.answers and "Err" in rig.answers[number].value
        ]
        assert late
        assert late[0] == failed("too much waits for the server to take it")
        assert rig.client.queue._bytes.used <= 64 << 20
        rig.client.ended(ALLOWED, trio.current_time())
        rig.look()
        await rig.idle()


async def test_a_websocket_says_goodbye_when_the_node_goes_down() -> None:
    closed = trio.Event()

    async def serve(stream: trio.abc.Stream) -> None:
        peer = Peer(stream)
        await peer.accept()
        event = await peer.next()
        assert isinstance(event, CloseConnection)
        await peer.send(event.response())
        closed.set()

    async with server(serve) as port, rigged() as rig:
        await rig.ask(opening(port))
        await rig.driver.close()
        await closed.wait()


# --- bounds ---------------------------------------------------------------------------------------------------------


async def test_a_package_that_asks_without_end_waits_while_others_are_served() -> None:
    held = trio.Event()

    async def slow(stream: trio.abc.Stream) -> None:
        await head_of(stream)
        await held.wait()
        await stream.send_all(with_body(b"slow"))

    other = ProcessId("main", "allowed", "x.nec")
    assert other == ALLOWED
    async with rigged(places=8) as rig, server(slow) as port, server(always(with_body(b"quick"))) as quick:
        rig.client._config = HttpClientConfig(8, frozenset({ALLOWED.package_id, STRANGER.package_id}))
        numbers = [rig.begin(http(f"http://127.0.0.1:{port}/")) for _ in range(300)]
        full = failed("too many requests of this package are under way")
        assert [number in rig.answers for number in numbers] == [False] * 258 + [True] * 42
        assert rig.answers[numbers[-1]] == full
        assert len(rig.driver._lines) == 2
        assert (await rig.get(f"http://127.0.0.1:{quick}/", by=STRANGER)).blob == b"quick"
        held.set()
        await rig.wait(lambda: all(number in rig.answers for number in numbers))
        assert rig.answers[numbers[257]].blob == b"slow"
        await rig.idle()


async def test_websockets_leave_room_for_requests() -> None:
    async with rigged(places=16) as rig, server(echo) as port:
        outcomes = [(await rig.ask(opening(port, channel))).value for channel in range(3)]
        assert outcomes[:2] == [ACK.value] * 2
        assert outcomes[2] == {"Err": {"ExecuteRequestFailed": "too many requests of this package are under way"}}
        async with server(always(with_body(b"still"))) as quick:
            assert (await rig.get(f"http://127.0.0.1:{quick}/")).blob == b"still"
        assert await rig.ask(opening(port, 0)) == ACK  # anew, in the place of the one before
        rig.client.ended(ALLOWED, trio.current_time())
        rig.look()
        await rig.idle()
