"""A browser's WebSocket in a simulation, with both ends of its connection: the browser's, and the node's driver.

Each direction is a wire that keeps the order and holds a window of bytes, as TCP does: what does not fit waits at the
sender. So a browser that does not read holds up the node, and a node that does not read holds up the browser.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from nectar_node.contract.http import (
    FrameKind,
    HttpAnswer,
    HttpEvent,
    HttpGone,
    HttpRequest,
    SocketAccept,
    SocketClose,
    SocketFrame,
    SocketRead,
    SocketRequest,
    SocketSend,
    SocketSent,
)

WINDOW_BYTES = 64 << 10
"""Bytes of one direction that are on their way or not read yet, beside one message."""
LATENCY = 0.0005
"""Seconds for one direction, unless a fault says otherwise."""
NO_CLOSE = 1006
"""How a browser calls the end of a connection without a goodbye (RFC 6455, 7.1.5)."""

T = TypeVar("T")


class Surroundings(Protocol):
    """What a browser needs of the simulation."""

    @property
    def now(self) -> float:
        """Virtual time."""
        ...

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something after so many seconds."""
        ...

    def wait(self, done: Callable[[], bool], limit: float, what: str = ...) -> None:
        """Let virtual time pass until something is so."""
        ...


class _Wire(Generic[T]):
    """One direction: in order, with latency."""

    def __init__(self, around: Surroundings, arrives: Callable[[T], None]) -> None:
        self._around = around
        self._arrives = arrives
        self._on_its_way: deque[tuple[float, T]] = deque()
        self.latency = LATENCY
        self.stalled = False

    def put(self, item: T) -> None:
        due = self._around.now + self.latency
        if self._on_its_way:
            due = max(due, self._on_its_way[-1][0])
        self._on_its_way.append((due, item))
        self._around.at(due - self._around.now, self.deliver)

    def deliver(self) -> None:
        """Let arrive what is due."""
        while self._on_its_way and not self.stalled and self._on_its_way[0][0] <= self._around.now:
            self._arrives(self._on_its_way.popleft()[1])

    def clear(self) -> None:
        self._on_its_way.clear()


class SimWebSocket:
    """A WebSocket of a browser; its methods are what a page does, and what happens to its link."""

    def __init__(self, around: Surroundings, tell: Callable[[HttpEvent], None], request: HttpRequest) -> None:
        """`tell` gives the node's core an event, now."""
        self.received: list[str | bytes] = []
        """Messages that the page has read and `receive` has not returned, the oldest first."""
        self.pongs: list[bytes] = []
        """The answers to its pings."""
        self.is_open = False
        """Whether the node has accepted it, and it has not ended."""
        self.refused: HttpAnswer | None = None
        """The node's answer if that does not want it."""
        self.closed: tuple[int, str] | None = None
        """The code and reason of its end; NO_CLOSE: there was no goodbye."""
        self.most_unread = 0
        """The most bytes that have waited at the node for its core to read on."""
        self._around = around
        self._tell = tell
        self._token = request.token
        self._up: _Wire[SocketFrame] = _Wire(around, self._node_gets)
        self._down: _Wire[SocketSend | SocketClose] = _Wire(around, self._browser_gets)
        self._page: deque[SocketFrame] = deque()
        """What the page has sent and no window had room for."""
        self._unread: deque[SocketFrame] = deque()
        """What has arrived at the node."""
        self._wanted = False
        self._core: deque[SocketSend | SocketClose] = deque()
        """What the core has sent and no window had room for."""
        self._arrived: deque[SocketSend | SocketClose] = deque()
        """What has arrived at the browser, whose page does not read."""
        self._reads = True
        self._up_bytes = self._down_bytes = 0
        self._node_done = False
        """Whether the node's end has ended."""
        around.at(LATENCY, lambda: tell(SocketRequest(request)))

    # --- what the page does -----------------------------------------------------------------------------------------

    def send(self, message: str | bytes) -> None:
        """Send a text or bytes."""
        if isinstance(message, str):
            self._send(FrameKind.TEXT, message.encode())
        else:
            self._send(FrameKind.BINARY, message)

    def ping(self, data: bytes = b"") -> None:
        """Send a ping, which no page can, but other programs."""
        self._send(FrameKind.PING, data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye."""
        self._send(FrameKind.CLOSE, code.to_bytes(2, "big") + reason.encode())

    def receive(self, seconds: float = 10.0) -> str | bytes:
        """Let virtual time pass until there is a message, and return it; raises OutOfTime."""
        self._around.wait(lambda: bool(self.received) or self.closed is not None, seconds, "a message by WebSocket")
        if not self.received:
            raise ConnectionError(f"the WebSocket has ended: {self.closed}")
        return self.received.pop(0)

    def stop_reading(self) -> None:
        """Read nothing until `read_on`: soon the node can send no more."""
        self._reads = False

    def read_on(self) -> None:
        """Read what has come, and what comes."""
        self._reads = True
        while self._arrived:
            self._page_reads(self._arrived.popleft())
        self._fill_down()

    # --- what happens to the link -----------------------------------------------------------------------------------

    def slow_down(self, latency: float) -> None:
        """Let each direction take so many seconds from now on."""
        self._up.latency = self._down.latency = latency

    def stall(self) -> None:
        """Let nothing through, in neither direction, until `go_on`."""
        self._up.stalled = self._down.stalled = True

    def go_on(self) -> None:
        """Let through what has waited."""
        self._up.stalled = self._down.stalled = False
        self._up.deliver()
        self._down.deliver()

    def vanish(self) -> None:
        """Let the browser be gone in the middle: its connection is reset."""
        self._ends((NO_CLOSE, ""))
        self._up.clear()
        self._down.clear()
        self._page.clear()
        if not self._node_done:
            self._node_done = True
            self._unread.clear()
            self._around.at(LATENCY, lambda: self._tell(HttpGone(self._token)))

    # --- the node's end ---------------------------------------------------------------------------------------------

    def perform(self, action: HttpAnswer | SocketAccept | SocketRead | SocketSend | SocketClose) -> None:
        """Carry out an action of the node's core."""
        match action:
            case HttpAnswer():
                self.refused, self._node_done = action, True
            case SocketAccept():
                self.is_open = self.closed is None
                self._fill_up()
            case SocketRead():
                self._wanted = True
                self._around.at(0.0, self._give)
            case SocketSend() | SocketClose():
                self._core.append(action)
                self._fill_down()

    def node_ended(self, *, in_order: bool) -> None:
        """Take the end of the node, which says goodbye if it goes down in order."""
        self._node_done = True
        self._ends((1001, "the node goes down") if in_order else (NO_CLOSE, ""))

    def _give(self) -> None:
        if not self._wanted or not self._unread or self._node_done:
            return
        self._wanted = False
        frame = self._unread.popleft()
        self._up_bytes -= len(frame.data)
        self._tell(frame)
        if frame.kind is FrameKind.CLOSE:
            self._node_done = True
            self._tell(HttpGone(self._token))
            code = int.from_bytes(bytes(frame.data[:2]), "big")
            self._down.put(SocketClose(self._token, code, str(frame.data[2:], "utf-8")))
        elif frame.kind is FrameKind.PING:
            self._down.put(SocketSend(self._token, FrameKind.PONG, frame.data))
        self._fill_up()

    def _node_gets(self, frame: SocketFrame) -> None:
        self._unread.append(frame)
        self.most_unread = max(self.most_unread, sum(len(each.data) for each in self._unread))
        self._around.at(0.0, self._give)

    def _fill_up(self) -> None:
        while self._page and self._up_bytes < WINDOW_BYTES:
            frame = self._page.popleft()
            self._up_bytes += len(frame.data)
            self._up.put(frame)

    def _fill_down(self) -> None:
        while self._core and self._down_bytes < WINDOW_BYTES:
            action = self._core.popleft()
            self._down.put(action)
            if isinstance(action, SocketSend):
                self._down_bytes += len(action.data)
                sent = SocketSent(self._token, len(action.data))
                self._around.at(0.0, lambda told=sent: self._tell(told))  # type: ignore[misc]

    # --- the browser's end ------------------------------------------------------------------------------------------

    def _send(self, kind: FrameKind, data: bytes) -> None:
        if self.closed is None:
            self._page.append(SocketFrame(self._token, kind, data))
            if self.is_open:
                self._fill_up()

    def _browser_gets(self, action: SocketSend | SocketClose) -> None:
        if self._reads:
            self._page_reads(action)
            self._fill_down()
        else:
            self._arrived.append(action)

    def _page_reads(self, action: SocketSend | SocketClose) -> None:
        if isinstance(action, SocketClose):
            self._ends((action.code, action.reason))
            return
        data = bytes(action.data)
        self._down_bytes -= len(data)
        match action.kind:
            case FrameKind.TEXT:
                self.received.append(data.decode())
            case FrameKind.BINARY:
                self.received.append(data)
            case FrameKind.PING:
                self._send(FrameKind.PONG, data)
            case _:
                self.pongs.append(data)

    def _ends(self, how: tuple[int, str]) -> None:
        if self.closed is None and self.refused is None:
            self.closed, self.is_open = how, False
