"""The HTTP server over real sockets: what is read, what is refused, and that nobody holds it up."""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded

from kernel.contract.address import PackageId
from nectar_node.base.errors import CannotListen
from nectar_node.contract.config import LOOPBACK, HttpPlace
from nectar_node.contract.http import (
    HttpAnswer,
    HttpEvent,
    HttpGone,
    HttpHead,
    HttpReadWhole,
    HttpRequest,
    HttpStart,
    HttpTaken,
)
from nectar_node.contract.memory_budget import LEAST_BYTES, MemoryBudget
from nectar_node.driver.browsers import limits
from nectar_node.driver.browsers.door_sockets import DoorSocket, open_door
from nectar_node.driver.browsers.event_streams import DoorFeed
from nectar_node.driver.browsers.http_door import HttpDoor
from tests import waiting

Core = Callable[[HttpRequest], HttpAnswer | HttpStart | None]
HEAD = b"Host: localhost\r\n"
NONE = 0
"""Instead of a status: the connection has been closed without an answer, as what sends on after a refusal deserves."""
TWO_LENGTHS = b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"


def echo(request: HttpRequest) -> HttpAnswer | None:
    """Answer with what came; what is asked for at /wait is not answered."""
    if request.path == "/wait":
        return None
    text = f"{request.method} {request.path} {len(request.body)}".encode()
    return HttpAnswer(request.token, 200, (("content-type", "text/plain"),), text)


class OpenDoor:
    """A door, what it has told its core, and what it failed at."""

    def __init__(self, opened: DoorSocket, answer: Core, connections: int) -> None:
        self.port = opened.port
        self.events: list[HttpEvent] = []
        self.failures: list[str] = []
        self._answer = answer
        self.taken: Callable[[], None] = lambda: None
        """Called when a piece has been taken."""
        self.memory = MemoryBudget(LEAST_BYTES)
        self.door = HttpDoor(
            opened, connections, self._tell, lambda what, error: self.failures.append(repr(error)), self.memory
        )

    def _tell(self, event: HttpEvent) -> None:
        if isinstance(event, HttpHead):
            self.door.perform(HttpReadWhole(event.request.token))
            return
        self.events.append(event)
        if isinstance(event, HttpRequest) and (answer := self._answer(event)) is not None:
            self.door.perform(answer)
        elif isinstance(event, HttpTaken):
            self.taken()

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(LOOPBACK, self.port)

    async def ask(self, data: bytes) -> bytes:
        """All that comes until the connection ends, for what is sent."""
        async with await self.connect() as stream:
            await stream.send_all(data)
            return await everything(stream)


async def everything(stream: trio.abc.ReceiveStream) -> bytes:
    read = bytearray()
    try:
        async for piece in stream:
            read += piece
    except trio.BrokenResourceError:
        pass
    return bytes(read)


async def until(done: Callable[[], bool]) -> None:
    await trio.to_thread.run_sync(waiting.until, done)


@asynccontextmanager
async def opened(
    answer: Core = echo, connections: int = 8, tls: tuple[str, str] | None = None
) -> AsyncIterator[OpenDoor]:
    door = OpenDoor(open_door(HttpPlace(LOOPBACK, 0, tls)), answer, connections)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.door.serve)
            yield door
            await door.door.close()
            nursery.cancel_scope.cancel()
    assert not door.failures
    assert not door.door._watch.streams
    assert door.door._application._bodies == 0
    assert not door.memory.holders


def request(target: str, *headers: bytes, body: bytes = b"", method: str = "GET") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return f"{method} {target} HTTP/1.1\r\n".encode() + HEAD + lines + b"Connection: close\r\n\r\n" + body


def status(answer: bytes) -> int:
    if not answer:
        return NONE
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer.split(b" ", 2)[1])


async def test_a_request_reaches_the_core_as_it_was_sent_and_its_answer_the_browser() -> None:
    async with opened() as door:
        answer = await door.ask(request("/a%20b?c=%41", b"X-A: 1", b"Content-Length: 3", body=b"xyz", method="POST"))
        assert status(answer) == 200
        assert answer.endswith(b"\r\n\r\nPOST /a%20b 3")
        (told,) = door.events
        assert isinstance(told, HttpRequest)
        assert (told.query, told.body, told.source[0], told.secure) == ("c=%41", b"xyz", LOOPBACK, False)
        assert ("x-a", "1") in told.headers


async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with opened() as door:
        first = request("/1").replace(b"Connection: close\r\n", b"")
        answer = await door.ask(first + request("/2"))
        assert answer.count(b"HTTP/1.1 200") == 2
        assert answer.endswith(b"GET /2 0")


async def test_a_small_answer_is_one_write_and_one_without_a_body_goes_out_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[bytes] = []
    send_all = trio.SocketStream.send_all

    async def noted(stream: trio.SocketStream, data: bytes) -> None:
        if bytes(data).startswith(b"HTTP/1.1 "):
            written.append(bytes(data))
        await send_all(stream, data)

    def answer(request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(
            request.token, 304 if request.path == "/same" else 200, (), b"" if request.path != "/" else b"0"
        )

    monkeypatch.setattr(trio.SocketStream, "send_all", noted)
    async with opened(answer) as door, await door.connect() as stream:
        for path in ("/", "/same", "/empty", "/"):
            await stream.send_all(request(path).replace(b"Connection: close\r\n", b""))
            answered = b""
            while not answered.endswith(b"\r\n\r\n" + (b"0" if path == "/" else b"")):
                answered += await stream.receive_some()
    assert [each[-2:] for each in written] == [b"\n0", b"\r\n", b"\r\n", b"\n0"]


async def test_the_answer_to_head_has_the_length_and_no_body() -> None:
    async with opened() as door:
        answer = await door.ask(request("/x", method="HEAD"))
        assert b"content-length: 9\r\n" in answer
        assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        (TWO_LENGTHS + b"0\r\n\r\nGET /no HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, NONE}),
        (request("/", b"Content-Length: 1", b"Content-Length: 2", body=b"xx"), {400}),
        (request("/", b"Content-Length: 1, 2", body=b"xx"), {400}),
        (request("/", b"Content-Length: +1", body=b"x"), {400}),
        (request("/", b"Content-Length: -1", body=b"x"), {400}),
        (request("/", b"Content-Length: 0x1", body=b"x"), {400}),
        (request("/", b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), {400, 501}),
        (request("/", b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), {400, 501}),
        (request("/", b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), {400}),
        (request("/", b"Transfer-Encoding: chunked", body=b"-1\r\nx\r\n0\r\n\r\n"), {400}),
        (request("/", b"Host: other"), {400}),
        (request("/", b"A\x00B: 1"), {400}),
        (request("/", b"A: 1\x002"), {400}),
        (b"GET / HTTP/1.1\r\n\r\n", {400}),
        (b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", {400, 431}),
    ],
)
async def test_what_two_parsers_could_read_in_two_ways_is_refused(data: bytes, codes: set[int]) -> None:
    async with opened() as door:
        answer = await door.ask(data)
        assert status(answer) in codes
        assert answer.count(b"HTTP/1.1") <= 1, "and what is behind it is no request"
        assert not door.events


async def test_a_body_over_the_limit_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DRAIN_SECONDS", 0.1)
    async with opened() as door, await door.connect() as stream:
        length = b"Content-Length: %d" % (limits.MAX_BODY_BYTES + 1)
        await stream.send_all(request("/", length, method="POST"))
        assert status(await everything(stream)) == 413
        assert not door.events


async def test_a_client_that_goes_on_sending_what_was_refused_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BODY_BYTES", 100_000)
    monkeypatch.setattr(limits, "DRAIN_SECONDS", 0.2)
    async with opened() as door, await door.connect() as stream, trio.open_nursery() as nursery:

        async def send() -> None:
            try:
                while True:
                    await stream.send_all(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                nursery.cancel_scope.cancel()

        await stream.send_all(request("/", b"Transfer-Encoding: chunked", method="POST"))
        nursery.start_soon(send)
        assert status(bytes(await stream.receive_some(9999))) == 413
        await until(lambda: not door.door._watch.streams)


ANSWERS: dict[str, tuple[int, bytes]] = {
    "small": (200, b"x"),
    "empty": (200, b""),
    "none": (204, b"not sent"),
    "unchanged": (304, b""),
    "error": (500, b"sorry"),
    "large": (200, bytes(3 * limits.PIECE_BYTES + 1)),
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("kind", ANSWERS)
async def test_the_answer_is_the_same_whether_a_request_says_that_it_has_no_body_or_has_none(
    kind: str, method: str
) -> None:
    """The one is read by hypercorn's own stream, the other by ours."""

    def answer(asked: HttpRequest) -> HttpAnswer:
        told = (("content-type", "text/plain"), ("x-a", "\xe9"))
        return HttpAnswer(asked.token, ANSWERS[kind][0], told, ANSWERS[kind][1])

    async with opened(answer) as door:
        ours, theirs = [await door.ask(request("/", *more, method=method)) for more in ((), (b"Content-Length: 0",))]
        assert sorted(without_date(ours)) == sorted(without_date(theirs))
        assert ours.partition(b"\r\n\r\n")[2] == theirs.partition(b"\r\n\r\n")[2]


def without_date(answer: bytes) -> list[bytes]:
    """Return the lines of an answer's head, the date without its time."""
    head = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return [line.partition(b":")[0] if line.lower().startswith(b"date:") else line for line in head]


async def test_a_body_that_does_not_come_in_time_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READ_SECONDS", 0.2)
    monkeypatch.setattr(limits, "DRAIN_SECONDS", 0.05)
    async with opened() as door, await door.connect() as stream:
        await stream.send_all(request("/", b"Content-Length: 5", method="POST") + b"x")
        assert status(await everything(stream)) == 408


@pytest.mark.parametrize("before", [b"", request("/").replace(b"Connection: close\r\n", b"")])
async def test_a_head_that_does_not_come_in_time_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.2)
    async with opened() as door, await door.connect() as stream:
        await stream.send_all(before + b"GET / HT")
        assert (await everything(stream)).count(b"HTTP/1.1") == bool(before)


async def test_who_has_asked_need_not_send_anything_while_the_answer_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READ_SECONDS", 0.2)

    def feed(request: HttpRequest) -> None:
        if request.path == "/":
            feeds.append(DoorFeed(request.token, (), lambda: None))
            door.door.perform(feeds[0])

    feeds: list[DoorFeed] = []
    async with opened(feed) as door, await door.connect() as stream, await door.connect() as late:
        await stream.send_all(request("/"))
        await until(lambda: bool(feeds))
        await late.send_all(request("/late", b"Content-Length: 5", method="POST"))
        assert status(await everything(late)) == 408  # so long it lasts
        await feeds[0].send(b"more")
        feeds[0].end()
        assert b"more" in await everything(stream)


async def test_a_browser_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WRITE_SECONDS", 0.2)

    def much(request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(request.token, 200, (), bytes(32 << 20))

    async with opened(much) as door, await door.connect() as stream:
        await stream.send_all(request("/"))
        await until(lambda: bool(door.events))
        await until(lambda: not door.door._watch.streams)


async def test_answers_that_browsers_do_not_take_are_bounded_and_another_package_is_served_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MAX_ANSWERS_BYTES_OF_ONE", 40 << 20)
    size = 16 << 20

    def much(request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(request.token, 200, (), bytes(size), PackageId(request.path[1:], "sys"))

    async with opened(much) as door:
        async with await door.connect() as one, await door.connect() as two:
            for slow in (one, two):
                await slow.send_all(request("/a"))
            await until(lambda: door.door._application._answers.used == 2 * size)
            assert status(await door.ask(request("/a"))) == 503
            assert door.memory.of("web", "a:sys") == 2 * size
            assert len(await door.ask(request("/b"))) > size
        await until(lambda: not door.door._application._answers.used)
        assert len(await door.ask(request("/a"))) > size


async def test_a_page_that_many_browsers_take_at_the_same_time_is_in_memory_once() -> None:
    page = bytes(16 << 20)

    def cached(request: HttpRequest) -> HttpAnswer:
        part = page if request.path == "/whole" else memoryview(page)[1 : 8 << 20]
        return HttpAnswer(request.token, 200, (), part, PackageId("a", "sys"))

    async with opened(cached) as door:
        async with await door.connect() as one, await door.connect() as two:
            await one.send_all(request("/whole"))
            await two.send_all(request("/part"))
            await until(lambda: len(door.door._application._answers) == 2)
            assert door.door._application._answers.used == len(page)
        await until(lambda: not door.door._application._answers.used)


async def test_bodies_that_are_being_sent_are_in_the_nodes_budget() -> None:
    async with opened() as door, await door.connect() as stream:
        await stream.send_all(request("/", b"Content-Length: 100000", method="POST", body=bytes(50_000)))
        await until(lambda: door.memory.of("browsers", "") >= 50_000)
        filler = door.memory.of_node("a.nec")
        filler.add(door.memory.capacity - door.memory.used)
        assert status(await door.ask(request("/", b"Content-Length: 50000", method="POST", body=bytes(50_000)))) == 503
        filler.remove(filler.used)


@asynccontextmanager
async def feeding() -> AsyncIterator[tuple[OpenDoor, DoorFeed, trio.Event]]:
    """A door that answers with a feed, and an event for its end."""
    left, feeds = trio.Event(), list[DoorFeed]()

    def feed(request: HttpRequest) -> None:
        feeds.append(DoorFeed(request.token, (("content-type", "text/event-stream"),), left.set))
        door.door.perform(feeds[0])

    async with opened(feed) as door, await door.connect() as stream:
        await stream.send_all(request("/"))
        await until(lambda: bool(feeds))
        yield door, feeds[0], left
        await left.wait()


async def test_an_answer_that_goes_on_is_sent_piece_by_piece_until_it_ends() -> None:
    async with opened(lambda request: None) as door, await door.connect() as stream:
        await stream.send_all(request("/"))
        await until(lambda: bool(door.events))
        (asked,) = door.events
        assert isinstance(asked, HttpRequest)
        left = trio.Event()
        feed = DoorFeed(asked.token, (("content-type", "text/event-stream"),), left.set)
        door.door.perform(feed)
        read = b""
        for piece in (b"data: 1\n\n", b"data: 2\n\n"):
            await feed.send(piece)
            while piece not in read:
                read += await stream.receive_some()
        assert not left.is_set()
        feed.end()
        await left.wait()
        assert b"data: 2" in read


async def test_a_feed_ends_with_the_door() -> None:
    async with feeding() as (door, feed, left):
        await feed.send(b"data: 1\n\n")
        await door.door.close()
        await left.wait()
        with pytest.raises(trio.ClosedResourceError):
            await feed.send(b"data: 2\n\n")


async def test_a_browser_that_takes_no_piece_loses_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WRITE_SECONDS", 0.2)
    async with feeding() as (_, feed, left):
        with suppress(trio.BrokenResourceError):
            while not left.is_set():
                await feed.send(bytes(1 << 20))
        await left.wait()


async def test_the_core_is_told_of_a_browser_that_goes_away() -> None:
    async with opened() as door:
        async with await door.connect() as stream:
            await stream.send_all(request("/wait"))
            await until(lambda: len(door.events) == 1)
        await until(lambda: len(door.events) == 2)
        asked, gone = door.events
        assert isinstance(asked, HttpRequest)
        assert gone == HttpGone(asked.token)
        await until(lambda: not door.door._watch.streams)


async def test_what_is_under_way_when_the_node_goes_down_is_answered_503() -> None:
    async with (
        opened() as door,
        await door.connect() as asking,
        await door.connect() as idle,
        await door.connect() as sending,
    ):
        await asking.send_all(request("/wait"))
        await sending.send_all(request("/", b"Content-Length: 5", method="POST"))
        await until(lambda: len(door.events) == 1 and len(door.door._watch.streams) == 3)
        began = trio.current_time()
        await door.door.close()
        assert trio.current_time() - began < limits.FAREWELL_SECONDS + 1
        assert status(await everything(asking)) == 503
        assert await everything(idle) == b""
        await everything(sending)


async def test_connections_beyond_the_limit_wait_for_a_place() -> None:
    async with opened(connections=1) as door, await door.connect() as first:
        await first.send_all(request("/wait"))
        await until(lambda: len(door.events) == 1)
        async with await door.connect() as second:
            await second.send_all(request("/2"))
            await first.aclose()
            assert status(await everything(second)) == 200


async def test_connections_that_ask_for_nothing_keep_nobody_waiting() -> None:
    async with opened(connections=4) as door:
        half = [await door.connect() for _ in range(12)]
        for number, stream in enumerate(half):
            with suppress(trio.BrokenResourceError):
                await stream.send_all(b"GET /%d HTTP/1.1\r\nHost: loc" % number)
        began = trio.current_time()
        for number in range(8):
            assert status(await door.ask(request(f"/{number}"))) == 200
        assert trio.current_time() - began < limits.HEAD_SECONDS / 2
        for stream in half:
            await stream.aclose()


async def test_what_is_under_way_gives_way_to_nobody_and_a_connection_without_a_request_does() -> None:
    async with opened(connections=2) as door, await door.connect() as waiting_one, await door.connect() as idle:
        await waiting_one.send_all(request("/wait"))
        await idle.send_all(request("/1").replace(b"Connection: close\r\n", b""))
        assert status(bytes(await idle.receive_some())) == 200
        assert status(await door.ask(request("/2"))) == 200
        assert await everything(idle) == b""
        door.door.perform(
            HttpAnswer(next(each.token for each in door.events if isinstance(each, HttpRequest)), 200, (), b"")
        )
        assert status(await everything(waiting_one)) == 200


async def test_a_browser_that_closes_an_idle_connection_makes_room_at_once() -> None:
    async with opened(connections=1) as door:
        for number in range(3):
            async with await door.connect() as stream:
                await stream.send_all(request(f"/{number}").replace(b"Connection: close\r\n", b""))
                assert status(bytes(await stream.receive_some())) == 200
        began = trio.current_time()
        await until(lambda: not door.door._watch.streams)
        assert trio.current_time() - began < limits.HEAD_SECONDS / 2


async def test_random_bytes_end_with_their_connection_and_leave_nothing() -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    lines = b"Host: localhost|Content-Length: 3|Transfer-Encoding: chunked|Connection: close|Expect: 100-continue"
    upgrades = b"Upgrade: h2c|HTTP2-Settings: AAMAAABkAAQAAP__|Connection: Upgrade, HTTP2-Settings|GET / HTTP/1.1"
    pieces = [each + b"\r\n" for each in (*lines.split(b"|"), *upgrades.split(b"|"), b"3\r\nabc", b"0\r\n", b"")]
    pieces += [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        bytes(9),
        bytes(range(256)),
    ]
    pieces += [b"GET", b"POST", b" ", b"/", b"HTTP/1.1", b"\n", b"\r", b":", b"\xff"]
    async with opened(connections=4) as door:
        for _ in range(150):
            async with await door.connect() as stream:
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(b"".join(chance.choices(pieces, k=chance.randrange(1, 12))))
                    await stream.send_eof()
                await everything(stream)
            assert not door.failures, f"seed {seed}"
        await until(lambda: not door.door._watch.streams)
        assert status(await door.ask(request("/"))) == 200, f"seed {seed}"


def test_a_port_in_use_is_one_sentence() -> None:
    first = open_door(HttpPlace(LOOPBACK, 0))
    with first.socket, pytest.raises(CannotListen, match=r"is in use: choose another port for --http\.$"):
        open_door(HttpPlace(LOOPBACK, first.port))
    if first.guard is not None:
        first.guard.close()


def test_nobody_else_is_reached_by_the_name_localhost() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            CannotListen, match=r"^Something else listens on \[::1\].*choose another port for --http\.$"
        ):
            open_door(HttpPlace(LOOPBACK, port))
    door = open_door(HttpPlace(LOOPBACK, 0))
    assert door.url == f"http://localhost:{door.port}"
    with door.socket, door.guard or pytest.fail("it does not hold [::1]"):
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("::1", door.port), family=socket.AF_INET6)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("::1", door.port))


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """The files of a certificate for localhost, and of its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(1))
        .not_valid_after(now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return str(files[0]), str(files[1])


@pytest.mark.parametrize("spoilt", ["certificate", "key", "swapped"])
def test_files_that_do_not_fit_for_tls_are_one_sentence(
    certificate: tuple[str, str], tmp_path: Path, spoilt: str
) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no PEM")
    cert, key = certificate
    files = {"certificate": (str(bad), key), "key": (cert, str(bad)), "swapped": (key, cert)}[spoilt]
    with pytest.raises(CannotListen, match=r"cannot be used for --tls .*both PEM\.$"):
        open_door(HttpPlace(LOOPBACK, 0, files))


async def test_http_2_comes_with_tls(certificate: tuple[str, str]) -> None:
    async with opened(tls=certificate) as door:
        context = ssl.create_default_context(cafile=certificate[0])
        context.set_alpn_protocols(["h2"])
        inner = await door.connect()
        async with trio.SSLStream(inner, context, server_hostname="localhost", https_compatible=True) as stream:
            await stream.do_handshake()
            assert stream.selected_alpn_protocol() == "h2"
            browser = H2Connection(H2Configuration())
            browser.initiate_connection()
            fields = {":method": "GET", ":path": "/x?y", ":scheme": "https", ":authority": "localhost"}
            browser.send_headers(1, list(fields.items()), end_stream=True)
            await stream.send_all(browser.data_to_send())
            got, ended = bytearray(), False
            while not ended:
                for event in browser.receive_data(bytes(await stream.receive_some())):
                    if isinstance(event, ResponseReceived):
                        got += dict(event.headers)[b":status"] + b" "
                    elif isinstance(event, DataReceived):
                        got += event.data
                    ended = ended or isinstance(event, StreamEnded)
                await stream.send_all(browser.data_to_send())
        assert got == b"200 GET /x 0"
        assert not browser.remote_settings.enable_connect_protocol, "a WebSocket has a connection of its own"
        (told,) = door.events
        assert isinstance(told, HttpRequest)
        assert told.secure
        assert ("host", "localhost") in told.headers


async def test_what_speaks_no_tls_to_a_tls_port_ends_alone(certificate: tuple[str, str]) -> None:
    async with opened(tls=certificate) as door:
        assert b"200" not in await door.ask(request("/"))
        await until(lambda: not door.door._watch.streams)
