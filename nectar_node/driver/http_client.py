"""Carries out the calls of processes to servers, on trio: each is a task with a connection of its own.

All decisions are the core's; it bounds what comes in by ending calls. httpx, which is large, is loaded with the first
call. A WebSocket begins as an exchange like any other; from then on wsproto reads and writes its frames.
"""

from __future__ import annotations

import base64
import importlib
import os
import ssl
from collections import Counter, deque
from collections.abc import Callable
from hashlib import sha1
from typing import Any

import trio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError, ProtocolError

from kernel.contract.address import PackageId
from nectar_node.contract.http import Headers
from nectar_node.contract.http_client import (
    AnswerHead,
    AnswerPiece,
    AnswerWhole,
    CallFailed,
    HangUp,
    HttpClientAction,
    HttpClientEvent,
    MessageType,
    ServerCall,
    SocketClosed,
    SocketOpened,
    SocketPiece,
    SocketPush,
    SocketPushed,
)

READ_BYTES = 4096
"""Bytes of a WebSocket that are read at once: two thousand of the smallest messages, so no burst holds the node up."""
READ_BYTES_WITHIN = 4 * READ_BYTES
"""The same within a message, which is probably a long one."""
MAX_PONGS = 16
"""Pongs of one WebSocket that wait for it to take them; the latest ping is what counts (RFC 6455, 5.5.3)."""
CLOSE_SECONDS = 1.0
"""Seconds for the farewell of a WebSocket, and for those of all when the node goes down."""
LOOKUPS_OF_ONE = 8
"""Names that are looked up at the same time for one package: each takes a thread, which cannot be ended."""
_HANDSHAKE = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What is hashed with a WebSocket's key (RFC 6455, 1.3)."""


class _Refused(Exception):
    """A server has broken the protocol; carries half a sentence."""


class _Line:
    """A call that is under way."""

    def __init__(self, call: ServerCall) -> None:
        self.call = call
        self.scope = trio.CancelScope()
        self.is_open = False
        """Whether it is an open WebSocket."""
        self.is_dropped = False
        """Whether the core wants nothing more of it."""
        self.may_read = trio.Event()
        self.may_read.set()
        self.outgoing: deque[Event] = deque()
        self.has_outgoing = trio.Event()
        self.pongs = 0

    def put(self, event: Event) -> None:
        """Send something, after what waits already."""
        self.outgoing.append(event)
        self.has_outgoing.set()

    def drop(self) -> None:
        """End it; an open WebSocket with a farewell."""
        if self.is_dropped:
            return
        self.is_dropped = True
        if self.is_open:
            self.put(CloseConnection(1000))
            self.scope.deadline = trio.current_time() + CLOSE_SECONDS
        else:
            self.scope.cancel()


class HttpClientDriver:
    """The calls of a running node."""

    def __init__(
        self,
        tell: Callable[[HttpClientEvent], None],
        note: Callable[[str, BaseException], None],
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`tell` gives the core an event; `note` is given failures of our own code. `trust` verifies certificates;
        None: as the system does.
        """
        self._tell = tell
        self._note = note
        self._trust = trust
        self._lines: dict[object, _Line] = {}
        self._lookups: dict[PackageId, trio.CapacityLimiter] = {}
        self._of_package: Counter[PackageId] = Counter()
        self._nursery: trio.Nursery | None = None
        self._emptied = trio.Event()
        self._loading = trio.Lock()
        self._wire: Any = None
        """`nectar_node.driver.http_wire`, once it is loaded."""

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry out calls until cancelled."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await trio.sleep_forever()

    def carry_out(self, action: HttpClientAction) -> None:
        """Begin a call, or do something with one; nothing happens to one that is over."""
        if isinstance(action, ServerCall):
            assert self._nursery is not None
            line = self._lines[action.token] = _Line(action)
            self._nursery.start_soon(self._serve, line)
            return
        line = self._lines.get(action.token)  # type: ignore[assignment]
        if line is None:
            return
        if isinstance(action, HangUp):
            line.drop()
        elif isinstance(action, SocketPush):
            line.put(_frame(action))
        elif action.held:
            line.may_read = trio.Event()
        else:
            line.may_read.set()

    async def close(self) -> None:
        """End all calls, and say goodbye to WebSockets: the node goes down."""
        self._emptied = trio.Event()
        for line in list(self._lines.values()):
            line.drop()
        if self._lines:
            with trio.move_on_after(CLOSE_SECONDS):
                await self._emptied.wait()

    # --- calls ------------------------------------------------------------------------------------------------------

    async def _serve(self, line: _Line) -> None:
        call = line.call
        limiter = self._lookups.setdefault(call.package, trio.CapacityLimiter(LOOKUPS_OF_ONE))
        self._of_package[call.package] += 1
        ending: HttpClientEvent | None = None
        try:
            with line.scope:
                wire = await self._load()
                ending = await (self._socket if call.socket else self._exchange)(line, wire, limiter)
        except Exception as error:
            ending = CallFailed(call.token, self._words(error))
        finally:
            self._of_package[call.package] -= 1
            if not self._of_package[call.package]:
                del self._of_package[call.package], self._lookups[call.package]
            del self._lines[call.token]
            if not self._lines:
                self._emptied.set()
        if ending is not None and not line.is_dropped:
            self._tell(ending)

    async def _load(self) -> Any:
        """Return the module with httpx, and make sure that there is something to verify certificates with."""
        async with self._loading:
            if self._wire is None:
                wire: Any = await trio.to_thread.run_sync(importlib.import_module, "nectar_node.driver.http_wire")
                if self._trust is None:
                    self._trust = await trio.to_thread.run_sync(wire.trusted_roots)
                self._wire = wire
        return self._wire

    def _words(self, error: Exception) -> str:
        if isinstance(error, _Refused):
            return str(error)
        if isinstance(error, ProtocolError):
            return "the server breaks the protocol"
        why: str | None = None if self._wire is None else self._wire.words(error)
        if why is None:
            self._note("the HTTP client", error)
            return "the node failed: its log says why"
        return why

    async def _exchange(self, line: _Line, wire: Any, limiter: trio.CapacityLimiter) -> HttpClientEvent:
        call = line.call
        async with wire.exchange(call, self._trust, limiter) as answer:
            self._tell(AnswerHead(call.token, answer.status_code, _headers(answer.headers.raw)))
            async for data in answer.aiter_raw():
                if line.is_dropped:
                    break
                self._tell(AnswerPiece(call.token, data))
        return AnswerWhole(call.token)

    # --- WebSockets -------------------------------------------------------------------------------------------------

    async def _socket(self, line: _Line, wire: Any, limiter: trio.CapacityLimiter) -> HttpClientEvent:
        call, key = line.call, base64.b64encode(os.urandom(16))
        handshake = (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key.decode()),
            ("Sec-WebSocket-Version", "13"),
        )
        async with wire.exchange(call, self._trust, limiter, handshake) as answer:
            if answer.status_code != 101:
                return AnswerHead(call.token, answer.status_code, ())
            _check_upgrade(call, answer.headers, key)
            stream = answer.extensions["network_stream"]
            frames = Connection(ConnectionType.CLIENT)
            if line.is_dropped:
                return SocketClosed(call.token)
            line.is_open = True
            self._tell(SocketOpened(call.token))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, line, frames, stream)
                ending = await self._read(line, frames, stream)
                nursery.cancel_scope.cancel()
        return ending

    async def _read(self, line: _Line, frames: Connection, stream: Any) -> HttpClientEvent:
        """Tell the core what comes; return how it ended."""
        token, within = line.call.token, False
        while True:
            await line.may_read.wait()
            try:
                frames.receive_data(await stream.read(READ_BYTES_WITHIN if within else READ_BYTES) or None)
                for event in frames.events():
                    if isinstance(event, CloseConnection):
                        await self._answer_close(line, frames, stream, event)
                        return SocketClosed(token)
                    if isinstance(event, Ping) and line.pongs < MAX_PONGS:
                        line.pongs += 1
                        line.put(event.response())
                    piece = _piece(token, event)
                    within = not piece.last
                    if not line.is_dropped:
                        self._tell(piece)
            except ProtocolError:
                return CallFailed(token, "the server breaks the protocol")
            except self._wire.BROKEN as error:
                return CallFailed(token, self._words(error))

    async def _answer_close(self, line: _Line, frames: Connection, stream: Any, event: CloseConnection) -> None:
        try:
            with trio.move_on_after(CLOSE_SECONDS):
                await stream.write(frames.send(event.response()))
        except (LocalProtocolError, *self._wire.BROKEN):
            return  # it is closed on both sides already

    async def _write(self, line: _Line, frames: Connection, stream: Any) -> None:
        """Send what the core wants sent, in order."""
        while True:
            await line.has_outgoing.wait()
            line.has_outgoing = trio.Event()
            while line.outgoing:
                event = line.outgoing.popleft()
                try:
                    await stream.write(frames.send(event))
                except (LocalProtocolError, *self._wire.BROKEN):
                    return  # the reader learns of it
                if isinstance(event, Pong) and line.pongs:
                    line.pongs -= 1
                elif not isinstance(event, CloseConnection) and not line.is_dropped:
                    self._tell(SocketPushed(line.call.token))


def _check_upgrade(call: ServerCall, headers: Any, key: bytes) -> None:
    """Check that a server has become one of WebSockets (RFC 6455, 4.1); raises _Refused."""
    accept = base64.b64encode(sha1(key + _HANDSHAKE, usedforsecurity=False).digest()).decode()
    offered = ",".join(value for name, value in call.headers if name.lower() == "sec-websocket-protocol")
    chosen = headers.get("sec-websocket-protocol")
    if (
        headers.get("sec-websocket-accept") != accept
        or headers.get("upgrade", "").lower() != "websocket"
        or "sec-websocket-extensions" in headers
        or (chosen is not None and chosen not in map(str.strip, offered.split(",")))
    ):
        raise _Refused("the server does not open a WebSocket as it was asked to")


def _frame(push: SocketPush) -> Event:
    match push.kind:
        case MessageType.TEXT:
            return TextMessage(bytes(push.data).decode())
        case MessageType.BINARY:
            return BytesMessage(bytes(push.data))
        case MessageType.PING:
            return Ping(bytes(push.data))
        case MessageType.PONG:
            return Pong(bytes(push.data))


def _piece(token: object, event: Event) -> SocketPiece:
    match event:
        case TextMessage(data=data, message_finished=last):
            return SocketPiece(token, MessageType.TEXT, data.encode(), last)
        case BytesMessage(data=data, message_finished=last):
            return SocketPiece(token, MessageType.BINARY, bytes(data), last)
        case Ping(payload=payload):
            return SocketPiece(token, MessageType.PING, bytes(payload), True)
        case Pong(payload=payload):
            return SocketPiece(token, MessageType.PONG, bytes(payload), True)
    raise TypeError(f"{type(event).__name__} is no message")


def _headers(raw: list[tuple[bytes, bytes]]) -> Headers:
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)
