"""A small client for WebSockets over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import LocalProtocolError

from nectar_node.contract.config import LOOPBACK


class Refused(Exception):
    """The server does not want the WebSocket; carries its status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class WebSocketClient:
    """One WebSocket. It answers pings, and keeps what comes in order."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.protocol = WSConnection(ConnectionType.CLIENT)
        self.answers_pings = True
        self.pings = 0
        self.pongs: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self._text, self._bytes = "", b""
        self._events: list[Event] = []

    async def open(self, path: str, headers: dict[str, str]) -> None:
        """Ask for it; raises Refused."""
        host = headers.get("Host", "localhost")
        extra = [(name.encode(), value.encode()) for name, value in headers.items() if name != "Host"]
        asked = Request(host=host, target=path, extra_headers=extra, extensions=[PerMessageDeflate()])
        await self.stream.send_all(self.protocol.send(asked))
        event = await self._next()
        if isinstance(event, RejectConnection):
            raise Refused(event.status_code)
        assert isinstance(event, AcceptConnection), event
        assert event.extensions == [], "the memory for compression is not spent"

    async def send(self, message: str | bytes, *, finished: bool = True) -> None:
        event = TextMessage(message, message_finished=finished) if isinstance(message, str) else None
        await self.do(event or BytesMessage(message, message_finished=finished))  # type: ignore[arg-type]

    async def do(self, event: Event) -> None:
        await self.stream.send_all(self.protocol.send(event))

    async def receive(self) -> str | bytes:
        """The next message; raises ConnectionError when it has ended."""
        while True:
            event = await self._next()
            if isinstance(event, TextMessage):
                self._text += event.data
                if event.message_finished:
                    text, self._text = self._text, ""
                    return text
            elif isinstance(event, BytesMessage):
                self._bytes += event.data
                if event.message_finished:
                    data, self._bytes = self._bytes, b""
                    return bytes(data)
            elif isinstance(event, Ping):
                self.pings += 1
                if self.answers_pings:
                    await self.do(event.response())
            elif isinstance(event, Pong):
                self.pongs.append(bytes(event.payload))
            elif isinstance(event, CloseConnection):
                self.closed = int(event.code), event.reason or ""
                raise ConnectionError(self.closed)

    async def end(self) -> tuple[int, str]:
        """Wait until the other end says goodbye, answer it, and return its code and reason."""
        try:
            while True:
                await self.receive()
        except ConnectionError:
            assert self.closed is not None
            with suppress(LocalProtocolError, trio.BrokenResourceError):
                await self.do(CloseConnection(code=1000))
            return self.closed

    async def _next(self) -> Event:
        while not self._events:
            data = await self.stream.receive_some(65_536)
            self.protocol.receive_data(bytes(data) or None)
            self._events += [each for each in self.protocol.events() if not isinstance(each, RejectData)]
        return self._events.pop(0)


@asynccontextmanager
async def web_socket(port: int, path: str, headers: dict[str, str] | None = None) -> AsyncIterator[WebSocketClient]:
    """Open one, and end its connection afterwards."""
    async with await trio.open_tcp_stream(LOOPBACK, port) as stream:
        client = WebSocketClient(stream)
        await client.open(path, headers or {})
        yield client
