"""The fuzz targets of what browsers and processes do to the HTTP server: the whole server with drawn events, the frames
of a WebSocket through the driver, and what extensions send."""

from __future__ import annotations

import json
from collections import deque
from itertools import count
from typing import Any

import trio
import trio.testing
from hypercorn.events import Closed, RawData
from hypercorn.protocol import ProtocolWrapper
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

from kernel.contract.address import Address, PackageId, ProcessId
from kernel.contract.events import Inject
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import (
    Envelope,
    LazyLoadBlob,
    Reason,
    ReplyTo,
    Request,
    Response,
    SendError,
    SendErrorKind,
)
from nectar_node.base.system_processes import HTTP_SERVER, HTTP_SERVER_LATE
from nectar_node.contract.http import (
    FrameKind,
    HttpAnswer,
    HttpBodyPiece,
    HttpEvent,
    HttpGone,
    HttpHead,
    HttpReadPiece,
    HttpReadWhole,
    HttpRequest,
    SocketAccept,
    SocketClose,
    SocketFrame,
    SocketRead,
    SocketRequest,
    SocketSend,
    SocketSent,
)
from nectar_node.contract.json_shapes import RequestRefused
from nectar_node.contract.memory_budget import LEAST_BYTES, MemoryBudget
from nectar_node.driver.browsers.application import Application
from nectar_node.driver.browsers.connections import door_config
from nectar_node.driver.browsers.protocols import with_our_streams
from nectar_node.driver.browsers.web_sockets import SocketDoor
from nectar_node.http import extension_data
from nectar_node.http.bodies.body_files import BodyPlaces
from nectar_node.http.origins import OurNames
from nectar_node.storage.operations import Create, DiskError, DiskFault, Job, Location, RemoveFile, Rename
from nectar_node.system.http_server import HttpServer
from nectar_node.system.process import SystemToken
from tests import web_tables
from tests.fuzz.choices import Choices

OUR = "a.nec"
PROCESSES = (ProcessId("main", "app", "x.nec"), ProcessId("other", "lib", "x.nec"))
PATHS = ("/", "/a", "/:b", "/a/:b", "/c//d", "/../e")
FRAME_HEAD = (
    b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def _no_file(process: ProcessId, path: str) -> Location:
    raise RequestRefused(f"{process} may not read {path[:40]!r}")


def _folder(process: ProcessId, path: str) -> Location:
    if not path.startswith("/in"):
        raise RequestRefused(f"{process} may make no files in {path[:40]!r}")
    return Location("drives", (str(process.package_id), "in"))


_PLACES = BodyPlaces("drives", _folder)
_OUTCOMES = (None, None, None, None, DiskError(DiskFault.FULL, "full"), DiskError(DiskFault.OTHER, "broken"))


class _Siege:
    """A server, and all that its surroundings may do next."""

    def __init__(self, data: bytes) -> None:
        self.chosen = Choices(data)
        self.memory = MemoryBudget(LEAST_BYTES)
        ids = count(1 << 40)
        names, flags = OurNames(frozenset()), {"has_password": False, "rpc_open": True}
        self.server = HttpServer(
            OUR, names, ids.__next__, {}, lambda _: True, self.memory, _no_file, _PLACES, sockets=16, **flags
        )
        self.now = 0.0
        self.numbers = count(1)
        self.waiting: dict[object, str] = {}
        """Requests of browsers without an answer, and WebSockets that are open, by their tokens: which they are."""
        self.unsent: dict[object, deque[int]] = {}
        self.wanted: set[object] = set()
        self.asked: list[SystemToken] = []
        self.receipts: deque[SystemToken] = deque()
        self.channels: list[int] = [1]
        self.heads: dict[object, HttpRequest] = {}
        """Requests whose bodies are wanted whole."""
        self.pieces: set[object] = set()
        """Those of whose bodies a piece is wanted."""
        self.jobs: deque[Job] = deque()
        self.files: set[str] = set()
        """What lies on the disk and is no package's yet."""

    def run(self) -> None:
        """Do what is drawn, then let all end, and look for what is left."""
        for name in ("Bind", "WebSocketBind"):
            fields = {"path": "/:b", "extension": False, "body_to": "/in"}
            self.ask(PROCESSES[0], json.dumps({name: fields}).encode(), None)
        for _ in range(60):
            if not self.chosen:
                break
            self.chosen.of((self.process, self.browser, self.page, self.kernel, self.disk))()
            self.carry_out()
            self.now += self.chosen.below(4) * 5.0
            if self.chosen.below(2):
                self.server.on_timer(self.now)
                self.carry_out()
        for process in PROCESSES:
            self.server.ended(process, self.now)
            self.carry_out()
        for token in list(self.waiting):
            self.take(HttpGone(token))
            self.waiting.pop(token, None)
        while self.asked or self.receipts or self.jobs:
            self.kernel()
            self.disk()
            self.carry_out()
        assert not self.files, "a part of a body is left"
        assert not web_tables.of_server(self.server), web_tables.of_server(self.server)
        assert not web_tables.bound(self.server), web_tables.bound(self.server)
        assert not self.memory.holders

    def process(self) -> None:
        """A process asks for something."""
        chosen = self.chosen
        fields: object = {
            "path": chosen.of((*PATHS, 1)),
            "authenticated": not chosen.below(8),
            "local_only": not chosen.below(8),
            "cache": not chosen.below(4),
            "extension": not chosen.below(3),
            "body_to": chosen.of((None, None, None, "/in", "/in", "/no", 1)),
            "body_limit": chosen.of((None, None, None, 9, -1)),
            "channel_id": chosen.of(self.channels),
            "message_type": chosen.of(("Text", "Binary", "Ping", "Close", "What")),
            "desired_reply_type": chosen.of(("Response", "Request", 1)),
        }
        name = chosen.of(
            (
                *("Bind", "SecureBind", "Unbind", "WebSocketBind", "WebSocketSecureBind", "WebSocketUnbind"),
                *("WebSocketBind", "WebSocketPush", "WebSocketPush", "WebSocketExtPushOutgoing", "WebSocketClose", ""),
            )
        )
        if name == "WebSocketClose":
            fields = chosen.of(self.channels)
        body = json.dumps({name: fields}).encode() if chosen.below(12) else chosen.take(20)
        blob = chosen.of((None, LazyLoadBlob("text/html", b"\xff"), LazyLoadBlob(None, bytes(200 << chosen.below(17)))))
        self.ask(PROCESSES[not chosen.below(4)], body, blob)

    def ask(self, process: ProcessId, body: bytes, blob: LazyLoadBlob | None) -> None:
        """A process asks for that."""
        number, source = next(self.numbers), Address(OUR, process)
        target = Address(OUR, self.chosen.of((HTTP_SERVER, HTTP_SERVER_LATE)))
        message = Request(False, 30, body)
        self.server.receive(Envelope(number, source, target, ReplyTo(source, number), message, blob), self.now)

    def browser(self) -> None:
        """A browser asks for a page or a WebSocket."""
        chosen, token = self.chosen, object()
        headers = {
            "host": chosen.of(("localhost", "main--app--x-1nec.localhost", "evil.example")),
            **chosen.of(({}, {"origin": "http://evil.example"}, {"range": "bytes=1-"}, {"if-none-match": "*"})),
        }
        path = f"/{PROCESSES[not chosen.below(4)]}{chosen.of(('', '/a', '/z', '/a/z', '/login'))}"
        method, body = chosen.of(("GET", "HEAD", "POST")), bytes(chosen.below(300))
        request = HttpRequest(token, method, path, "", tuple(headers.items()), body, ("127.0.0.1", 1))
        if chosen.below(2):
            self.waiting[token] = "request"
            if body and chosen.below(2):
                self.heads[token] = request
                self.take(HttpHead(request._replace(body=b""), chosen.of((None, len(body)))))
            else:
                self.take(request)
        else:
            self.waiting[token] = "handshake"
            self.take(SocketRequest(request._replace(method="GET", body=b"")))

    def page(self) -> None:
        """A browser that has something under way goes on with it, or goes away."""
        if not self.waiting:
            return
        token = self.chosen.of(tuple(self.waiting))
        if token in self.pieces and self.chosen.below(8):
            self.pieces.discard(token)
            self.take(HttpBodyPiece(token, bytes(self.chosen.below(40)), not self.chosen.below(3)))
        elif self.waiting[token] != "socket" or not self.chosen.below(6):
            self.waiting.pop(token)
            self.take(HttpGone(token))
        elif self.unsent[token] and self.chosen.below(2):
            self.take(SocketSent(token, self.unsent[token].popleft()))
        elif token in self.wanted:
            self.wanted.discard(token)
            data = extension_data.encode(extension_data.ExtensionData(self.chosen.below(40), "Response", b"x"))
            frame = self.chosen.of((b"nectar", data, self.chosen.take(20)))
            self.take(SocketFrame(token, self.chosen.of((FrameKind.BINARY, FrameKind.PONG, FrameKind.PING)), frame))

    def kernel(self) -> None:
        """A process answers or cannot, or has room for what came by WebSocket."""
        if self.receipts and (self.chosen.below(2) or not self.asked):
            self.server.taken(self.receipts.popleft().token, self.now)
        elif self.asked:
            token = self.asked.pop(0)
            address = Address(OUR, PROCESSES[0])
            body = self.chosen.of((b'{"status":200,"headers":{}}', b'{"status":99}', self.chosen.take(9)))
            answer: Arrival | Failure = Arrival(address, Response(False, body, None), None, None)
            if not self.chosen.below(3):
                asked = Request(False, 1, b"")
                answer = Failure(SendError(SendErrorKind.TIMEOUT, address, asked, None, Reason.EXPIRED), None)
            self.server.answered(token.token, answer, self.now)

    def disk(self) -> None:
        """The disk has done the first of its jobs, or could not."""
        if not self.jobs:
            return
        job = self.jobs.popleft()
        outcome, operation = self.chosen.of(_OUTCOMES), job.operation
        if isinstance(operation, RemoveFile):
            outcome = None
        if outcome is None and isinstance(operation, Create | Rename | RemoveFile):
            self.files.discard(str(operation.location))
            if isinstance(operation, Create):
                self.files.add(str(operation.location))
        self.server.done(job, outcome, self.now)

    def take(self, event: HttpEvent) -> None:
        """Give the server an event."""
        self.server.take(event, self.now)
        self.carry_out()

    def carry_out(self) -> None:
        """Carry out what the server wants done."""
        while (action := self.server.next_action()) is not None:
            match action:
                case HttpReadWhole(token):
                    self.take(self.heads.pop(token))
                case HttpReadPiece(token):
                    assert token not in self.pieces, "the next piece is wanted already"
                    self.pieces.add(token)
                case Job():
                    self.jobs.append(action)
                case HttpAnswer(token):
                    assert self.waiting.pop(token) in ("request", "handshake"), "it is answered once"
                case SocketAccept(token):
                    assert self.waiting[token] == "handshake"
                    self.waiting[token] = "socket"
                    self.unsent[token] = deque()
                case SocketRead(token):
                    assert token not in self.wanted, "the next frame is wanted already"
                    assert self.waiting[token] == "socket"
                    self.wanted.add(token)
                case SocketSend(token):
                    assert self.waiting[token] == "socket"
                    self.unsent[token].append(len(action.data))
                case SocketClose(token):
                    assert self.waiting.pop(token) == "socket", "it ends once"
                case Inject():
                    told = json.loads(action.request.body)
                    if "WebSocketOpen" in told:
                        self.channels.append(told["WebSocketOpen"]["channel_id"])
                    if isinstance(action.token, SystemToken):
                        self.asked.append(action.token)
                    if isinstance(action.receipt, SystemToken):
                        self.receipts.append(action.receipt)


def server(data: bytes) -> None:
    """The whole server: what processes and browsers do is drawn from the bytes; it answers each browser once, wants no
    two frames at a time, and holds nothing when all have gone."""
    _Siege(data).run()


def frames(data: bytes) -> None:
    """What a browser sends after its handshake, cut as the bytes say, while the core sends and stops reading: the core
    is told of one end, and nothing is held."""
    trio.run(_frames, data, clock=trio.testing.MockClock(autojump_threshold=0))


async def _frames(data: bytes) -> None:
    chosen, memory = Choices(data), MemoryBudget(LEAST_BYTES)
    ends, tokens = list[HttpGone | SocketClose](), list[object]()

    def tell(event: HttpEvent) -> None:
        if isinstance(event, SocketRequest):
            tokens.append(event.request.token)
            door.perform(SocketAccept(tokens[0], PackageId("app", "x.nec")))
            door.perform(SocketRead(tokens[0]))
        elif isinstance(event, HttpGone):
            ends.append(event)
        elif isinstance(event, SocketFrame):
            assert not ends, "nothing comes after the end"
            if chosen.below(4):
                door.perform(SocketSend(event.token, event.kind, event.data[:125]))
            if chosen.below(16):
                door.perform(SocketRead(event.token))
            else:
                goodbye = SocketClose(event.token, 1000, "")
                ends.append(goodbye)
                door.perform(goodbye)

    async def sent(event: object) -> None:
        await trio.lowlevel.checkpoint()

    async def is_asked(*_: object) -> None:
        raise AssertionError("a WebSocket is nothing for the application")

    app: Any = is_asked
    door = SocketDoor(4, tell, memory)
    config = door_config(lambda *_: None)
    async with TaskGroup() as group:
        state = ConnectionState({})
        client, server = ("127.0.0.1", 1), ("127.0.0.1", 2)
        wrapper = ProtocolWrapper(
            wrap_app(app, 0, "asgi"), config, WorkerContext(None), group, state, False, client, server, sent
        )
        wrapper = with_our_streams(wrapper, Application(tell, memory), door, lambda: None)
        await wrapper.initiate()
        await wrapper.handle(RawData(FRAME_HEAD))
        while chosen and not ends:
            with trio.move_on_after(1.0):  # it is not read while the core wants nothing
                await wrapper.handle(RawData(chosen.take(1 + chosen.below(200))))
        await wrapper.handle(Closed())
    assert len(ends) == 1
    assert not door.open
    assert not memory.holders


def extension(data: bytes) -> None:
    """What an extension sends, which is read again from its own bytes."""
    read = extension_data.decode_untrusted(data)
    if read is not None:
        assert read.message_type in extension_data.MESSAGE_TYPES
        assert extension_data.decode_untrusted(extension_data.encode(read)) == read


def _masked(kind: int, payload: bytes) -> bytes:
    return bytes([kind, 0x80 | len(payload), 0, 0, 0, 0]) + payload


SEEDS = {
    "server": (bytes(range(256)), bytes(range(255, -1, -1)) * 2, bytes(each * 7 % 256 for each in range(600))),
    "frames": (
        b"\xc7" + _masked(0x81, b"text") + _masked(0x01, b"a") + _masked(0x89, b"ping") + _masked(0x80, b"b"),
        b"\x05" + _masked(0x82, bytes(9)) + _masked(0x8A, b"nectar") + _masked(0x88, b"\x03\xe8bye"),
        b"\x00" * 40 + b"\xff" * 40,
    ),
    "extension": (
        extension_data.encode(extension_data.ExtensionData(7, "Response", b"blob")),
        extension_data.encode(extension_data.ExtensionData(1 << 63, "Request", b"")),
    ),
}
