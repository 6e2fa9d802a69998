"""The WebSockets of the node's HTTP server, on hypercorn's side of HTTP/1.1.

Theory of operation. Hypercorn would give an application whole messages through a queue and keep pings, pongs and codes
to itself; here the core is told of all frames, and asks for each. So `DoorWebSocket` takes the place of hypercorn's
stream for WebSockets. The task that reads a connection carries its frames to the core; while the core wants none, it
waits, the connection is not read, and TCP holds up the browser. What the core sends waits in a queue, for which there
is a task as long as it is not empty: all that is written goes through it, so that frames never mix, and an idle
WebSocket has one task.

Messages are not compressed: the memory for that would be many times that of all else. HTTP/2 has no WebSockets here,
since one that is not read would hold up all else on its connection; browsers open another one for them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import trio
from hypercorn.protocol.events import Body, Data, EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.ws_stream import Handshake, WSStream
from wsproto.connection import Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError

from kernel.contract.address import PackageId
from nectar_node.contract.http import (
    FrameKind,
    HttpAnswer,
    HttpEvent,
    HttpGone,
    HttpRequest,
    SocketAccept,
    SocketAction,
    SocketClose,
    SocketFrame,
    SocketRead,
    SocketRequest,
    SocketSend,
    SocketSent,
)
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.contract.package_bytes import PackageBytes
from nectar_node.http.pages import error_page

MAX_MESSAGE_BYTES = 16 << 20
"""Bytes of one message of a browser, however many frames it has."""
SMALL_BYTES = 4 << 10
"""Bytes of a message that count against no bound but that of all WebSockets."""
MAX_READING_BYTES = 128 << 20
"""Bytes of larger messages that are being read, or wait for their processes."""
MAX_READING_BYTES_OF_ONE = MAX_READING_BYTES // 2
"""Those of the processes of one package."""
MESSAGE_SECONDS = 60.0
"""Seconds from the first to the last frame of a message: 16 MiB at 2 Mbit/s."""
READ_BYTES = 16 << 10
"""Bytes that are read at once, which a WebSocket has in memory while its process has no room."""
WRITE_BYTES = 64 << 10
"""Bytes that are written at once."""
MAX_WAITING_ANSWERS = 16
"""What may wait for the other end when its pings are answered; they need not all be (RFC 6455, 5.5.3)."""
GOODBYE_SECONDS = 2.0
"""Seconds in which the other end may answer a goodbye before its connection ends."""
_TOO_BIG, _TRY_LATER, _POLICY = 1009, 1013, 1008


class SocketDoor:
    """All WebSockets of one server."""

    def __init__(self, most: int, tell: Callable[[HttpEvent], None], memory: MemoryBudget) -> None:
        """`most`: how many there may be; `tell` gives the core an event; `memory` is for what browsers send."""
        self.most = most
        self.tell = tell
        self.closes = False
        self.open: dict[object, DoorWebSocket] = {}
        self.reading = PackageBytes(memory, MAX_READING_BYTES_OF_ONE, MAX_READING_BYTES)
        """Bytes of messages that are being read, or wait for their processes."""

    def perform(self, action: SocketAction) -> bool:
        """Carry out an action that is for a WebSocket; return whether it is."""
        socket = self.open.get(action.token)
        if socket is not None:
            socket.perform(action)
        return socket is not None

    def close(self) -> None:
        """Say goodbye to all."""
        self.closes = True
        for token, socket in list(self.open.items()):
            self.tell(HttpGone(token))
            socket.perform(SocketClose(token, 1001, "the node goes down"))


class _Answer(NamedTuple):
    """A pong to the other end's ping, of which the core knows nothing."""

    data: bytes


class DoorWebSocket(WSStream):
    """One WebSocket, or the request for one."""

    def __init__(self, door: SocketDoor, accepted: Callable[[], None], *args: Any) -> None:
        """`accepted` is called when it is no longer one of HTTP's connections; `args` are hypercorn's."""
        super().__init__(*args)
        self._door = door
        self._accepted = accepted
        self._out: deque[SocketSend | SocketClose | _Answer] = deque()
        self._writes = False
        """Whether there is a task that writes."""
        self._verdict: HttpAnswer | SocketAccept | None = None
        self._package = PackageId("", "")
        self._wanted = False
        """Whether the core wants the next frame."""
        self._ended = False
        """Whether the core has nothing to do with it any more."""
        self._woken: trio.Event | None = None
        """Set when something has changed that the reading task waits for."""
        self._begun = False
        """Whether a message has begun, and its last frame has not come."""
        self._parts = bytearray()
        """What has come of it: many frames of few bytes take no more memory than these."""
        self._reserved = 0
        self._began = 0.0

    # --- the core ---------------------------------------------------------------------------------------------------

    def perform(self, action: SocketAction) -> None:
        """Carry out an action of the core."""
        if isinstance(action, (HttpAnswer, SocketAccept)):
            self._verdict = action
            self._wake()
        elif isinstance(action, SocketRead):
            self._wanted = True
            if not self._begun:
                self._free()
            self._wake()
        else:
            if isinstance(action, SocketClose):
                self._forget()
            if not self.closed:
                self._write(action)

    def _write(self, action: SocketSend | SocketClose | _Answer) -> None:
        self._out.append(action)
        if not self._writes:
            self._writes = True
            self.task_group.spawn(self._write_all)

    def _forget(self) -> None:
        """Have nothing to do with the core any more."""
        self._ended = True
        self._door.open.pop(self, None)
        self._free()
        self._wake()

    def _wake(self) -> None:
        if self._woken is not None:
            self._woken.set()
            self._woken = None

    async def _wait(self) -> None:
        self._woken = self._woken or trio.Event()
        await self._woken.wait()

    def _free(self) -> None:
        """Count no longer the message that was read last."""
        if self._reserved:
            self._door.reading.remove(self._package, self._reserved)
            self._reserved = 0

    # --- the connection ---------------------------------------------------------------------------------------------

    async def handle(self, event: Event) -> None:
        """Take what hypercorn has read."""
        if self.closed:
            return
        if isinstance(event, Request):
            await self._asked(event)
        elif isinstance(event, StreamClosed):
            self.closed = True
            self._wake()
            if not self._ended:
                self._forget()
                self._door.tell(HttpGone(self))
        elif isinstance(event, (Body, Data)) and self.handshake.accepted:
            if self.connection.state is not ConnectionState.CLOSED:  # after both goodbyes nothing counts
                self.connection.receive_data(event.data)
                await self._take_events()
        elif isinstance(event, (Body, Data)):
            await self._refuse(error_page(400, "A WebSocket is asked for without a body."))

    async def _asked(self, event: Request) -> None:
        self.start_time, self.scope = 0.0, {}  # type: ignore[typeddict-item]
        headers = [(name.lower(), value) for name, value in event.headers]
        self.handshake = Handshake([each for each in headers if each[0] != b"sec-websocket-extensions"], "1.1")
        if event.method != "GET" or event.http_version != "1.1" or not self.handshake.is_valid():
            await self._refuse(error_page(400, "This is no handshake for a WebSocket (RFC 6455, 4.2.1)."))
            return
        if any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers
        ):
            # A proxy would take for a body what would be frames here.
            await self._refuse(error_page(400, "A WebSocket is asked for without a body."))
            return
        if self._door.closes or len(self._door.open) >= self._door.most:
            await self._refuse(error_page(503, "The node goes down, or has too many WebSockets."))
            return
        path, _, query = event.raw_path.partition(b"?")
        request = HttpRequest(
            self,
            "GET",
            path.decode("latin-1"),
            query.decode("latin-1"),
            tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers),
            b"",
            self.client or ("0.0.0.0", 0),
            self.scheme == "wss",
        )
        self._door.open[self] = self
        self._door.tell(SocketRequest(request))
        while self._verdict is None and not self._ended:
            await self._wait()
        if isinstance(self._verdict, SocketAccept):
            self._package = self._verdict.package
            self._accepted()
            await self._accept({"type": "websocket.accept", "subprotocol": None, "headers": []})
            self._wake_writer()
        else:
            refused = self._verdict or error_page(503, "The node goes down.")
            self._forget()
            await self._refuse(refused)

    async def _refuse(self, answer: Any) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        headers += [(b"content-length", b"%d" % len(answer.body)), (b"connection", b"close")]
        await self.send(Response(stream_id=self.stream_id, status_code=answer.status, headers=headers))
        await self.send(Body(stream_id=self.stream_id, data=bytes(answer.body)))
        await self.send(EndBody(stream_id=self.stream_id))
        self.closed = True
        await self.send(StreamClosed(stream_id=self.stream_id))

    def let_go(self) -> None:
        """Leave nothing that refers to itself: all its tasks have ended."""
        self._verdict = None
        if "connection" in vars(self):
            vars(vars(self.connection)["_proto"]).clear()

    # --- from the browser -------------------------------------------------------------------------------------------

    async def _take_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, (TextMessage, BytesMessage)):
                await self._take_message(event)
            elif isinstance(event, Ping):
                if len(self._out) < MAX_WAITING_ANSWERS:
                    self._write(_Answer(bytes(event.payload)))
                await self._give(FrameKind.PING, bytes(event.payload))
            elif isinstance(event, Pong):
                await self._give(FrameKind.PONG, bytes(event.payload))
            elif isinstance(event, CloseConnection):
                await self._take_close(event)
            if self.closed:
                return

    async def _take_message(self, event: TextMessage | BytesMessage) -> None:
        if not self._begun:
            await self._until_wanted()
        if self._ended:
            return  # it has crossed our goodbye
        part = event.data.encode() if isinstance(event, TextMessage) else bytes(event.data)
        now = trio.current_time()
        if not self._begun:
            self._begun, self._began = True, now
        size = len(self._parts) + len(part)
        if size > MAX_MESSAGE_BYTES:
            self._fail(_TOO_BIG, f"a message has at most {MAX_MESSAGE_BYTES} bytes")
        elif now - self._began > MESSAGE_SECONDS:
            self._fail(_POLICY, f"a message takes at most {MESSAGE_SECONDS:.0f} seconds")
        elif size > SMALL_BYTES and not self._reserve(size):
            self._fail(_TRY_LATER, "the node has too much to do")
        elif not event.message_finished:
            self._parts += part
        else:
            data = bytes(self._parts) + part if self._parts else part
            self._begun, self._parts = False, bytearray()
            await self._give(FrameKind.TEXT if isinstance(event, TextMessage) else FrameKind.BINARY, data)

    def _reserve(self, size: int) -> bool:
        if not self._door.reading.take(self._package, size - self._reserved):
            return False
        self._reserved = size
        return True

    async def _take_close(self, event: CloseConnection) -> None:
        if not self._ended:
            reason = (event.reason or "").encode()
            data = b"" if event.code in (None, 1005) else int(event.code).to_bytes(2, "big") + reason
            if self.connection.state is ConnectionState.REMOTE_CLOSING:
                await self._give(FrameKind.CLOSE, data)
                self._end(int(event.code), "")
            else:
                self._end(int(event.code), "")  # it does not keep to the protocol
        elif self.connection.state is ConnectionState.CLOSED:
            await self.send(StreamClosed(stream_id=self.stream_id))

    async def _give(self, kind: FrameKind, data: bytes) -> None:
        """Give the core a frame, as soon as it wants one."""
        await self._until_wanted()
        if not self._ended:
            self._wanted = False
            self._door.tell(SocketFrame(self, kind, data))

    async def _until_wanted(self) -> None:
        while not (self._wanted or self._ended):
            await self._wait()

    def _fail(self, code: int, reason: str) -> None:
        """End it, since its other end asks for too much."""
        self._begun, self._parts = False, bytearray()
        self._end(code, reason)

    def _end(self, code: int, reason: str) -> None:
        """Say goodbye on the driver's own account."""
        if not self._ended:
            self._forget()
            self._door.tell(HttpGone(self))
            self._write(SocketClose(self, code, reason))

    # --- to the browser ---------------------------------------------------------------------------------------------

    def _wake_writer(self) -> None:
        if self._out and not self._writes:
            self._writes = True
            self.task_group.spawn(self._write_all)

    async def _write_all(self) -> None:
        """Write all that waits, in order."""
        try:
            while self._out and not self.closed and self.handshake.accepted:
                await self._write_some()
        finally:
            self._writes = False
        if self.closed:
            self._out.clear()

    async def _write_some(self) -> None:
        parts, size, sent, last = [], 0, [], False
        while self._out and size < WRITE_BYTES and not last:
            action = self._out.popleft()
            last = isinstance(action, SocketClose)
            data = _bytes_of(self.connection, action)
            parts.append(data)
            size += len(data)
            if isinstance(action, SocketSend):
                sent.append(action)
        whole = memoryview(parts[0] if len(parts) == 1 else b"".join(parts))
        for begin in range(0, size, WRITE_BYTES):
            await self.send(Data(stream_id=self.stream_id, data=bytes(whole[begin : begin + WRITE_BYTES])))
            if self.closed:
                return
        if not self._ended:
            for action in sent:
                self._door.tell(SocketSent(self, len(action.data)))
        if last:
            await self._part()

    async def _part(self) -> None:
        """End the connection when the other end has answered the goodbye, or will not."""
        if self.connection.state is not ConnectionState.CLOSED:
            with trio.move_on_after(GOODBYE_SECONDS):
                while not self.closed:
                    await self._wait()
        if not self.closed:
            await self.send(StreamClosed(stream_id=self.stream_id))


def _bytes_of(connection: Connection, action: SocketSend | SocketClose | _Answer) -> bytes:
    """Return a frame as it is written; nothing where the connection is past it."""
    event: Any
    if isinstance(action, SocketClose):
        event = CloseConnection(code=action.code, reason=action.reason)
        if action.code in (1005, 1006):
            event = CloseConnection(code=1000)
    elif isinstance(action, _Answer):
        event = Pong(payload=action.data)
    elif action.kind is FrameKind.TEXT:
        event = TextMessage(data=str(action.data, "utf-8"))
    elif action.kind is FrameKind.BINARY:
        event = BytesMessage(data=bytes(action.data))
    elif action.kind is FrameKind.PING:
        event = Ping(payload=bytes(action.data))
    else:
        event = Pong(payload=bytes(action.data))
    try:
        return connection.send(event)
    except LocalProtocolError:
        return b""
