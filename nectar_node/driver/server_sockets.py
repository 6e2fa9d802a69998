"""A WebSocket of a process to a server: it begins as an HTTP exchange, and then wsproto reads and writes its frames."""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Callable
from hashlib import sha1
from typing import Any

import httpx
import trio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError, ProtocolError

from nectar_node.contract.http_client import (
    AnswerHead,
    CallFailed,
    HangUp,
    HttpClientEvent,
    MessageType,
    ServerCall,
    SocketClosed,
    SocketOpened,
    SocketPiece,
    SocketPush,
    SocketPushed,
)
from nectar_node.driver import http_wire
from nectar_node.driver.http_client import CLOSE_SECONDS, Line

READ_BYTES = 4096
"""Bytes of a WebSocket that are read at once: two thousand of the smallest messages, so no burst holds the node up."""
READ_BYTES_WITHIN = 4 * READ_BYTES
"""The same within a message, which is probably a long one."""
MAX_PONGS = 16
"""Pongs of one WebSocket that wait for it to take them; the latest ping is what counts (RFC 6455, 5.5.3)."""
_HANDSHAKE = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What is hashed with a WebSocket's key (RFC 6455, 1.3)."""


async def serve(
    line: Line,
    trust: ssl.SSLContext,
    lookups: trio.CapacityLimiter,
    tell: Callable[[HttpClientEvent], None],
    words: Callable[[Exception], str],
) -> HttpClientEvent:
    """Open a WebSocket, and tell the core what comes; return how it ended. Raises what an exchange raises.

    `words` says why an open one has broken.
    """
    call, key = line.call, base64.b64encode(os.urandom(16))
    handshake = (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key.decode()),
        ("Sec-WebSocket-Version", "13"),
    )
    async with http_wire.exchange(call, trust, lookups, handshake) as answer:
        if answer.status_code != 101:
            return AnswerHead(call.token, answer.status_code, ())
        _check_upgrade(call, answer.headers, key)
        socket = _ServerSocket(line, answer.extensions["network_stream"], tell, words)
        if line.is_dropped:
            return SocketClosed(call.token)
        line.is_open = True
        tell(SocketOpened(call.token))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(socket.write)
            ending = await socket.read()
            nursery.cancel_scope.cancel()
    return ending


class _ServerSocket:
    """An open WebSocket."""

    def __init__(
        self, line: Line, stream: Any, tell: Callable[[HttpClientEvent], None], words: Callable[[Exception], str]
    ) -> None:
        self._line = line
        self._stream = stream
        self._tell = tell
        self._words = words
        self._frames = Connection(ConnectionType.CLIENT)
        self._pongs = 0

    async def read(self) -> HttpClientEvent:
        """Tell the core what comes; return how it ended."""
        line, token, within = self._line, self._line.call.token, False
        while True:
            await line.may_read.wait()
            try:
                data = await self._stream.read(READ_BYTES_WITHIN if within else READ_BYTES)
                self._frames.receive_data(data or None)
                for event in self._frames.events():
                    if isinstance(event, CloseConnection):
                        await self._answer_close(event)
                        return SocketClosed(token)
                    piece = _piece(token, event)
                    if piece.kind is MessageType.PING and self._pongs < MAX_PONGS:
                        self._pongs += 1
                        line.put(SocketPush(token, MessageType.PONG, piece.data))
                    within = not piece.last
                    if not line.is_dropped:
                        self._tell(piece)
            except ProtocolError:
                return CallFailed(token, "the server breaks the protocol")
            except http_wire.BROKEN as error:
                return CallFailed(token, self._words(error))

    async def _answer_close(self, event: CloseConnection) -> None:
        try:
            with trio.move_on_after(CLOSE_SECONDS):
                await self._stream.write(self._frames.send(event.response()))
        except (LocalProtocolError, *http_wire.BROKEN):
            return  # it is closed on both sides already

    async def write(self) -> None:
        """Send what the core wants sent, in order."""
        line = self._line
        while True:
            await line.has_outgoing.wait()
            line.has_outgoing = trio.Event()
            while line.outgoing:
                action = line.outgoing.popleft()
                try:
                    await self._stream.write(self._frames.send(_frame(action)))
                except (LocalProtocolError, *http_wire.BROKEN):
                    return  # the reader learns of it
                if isinstance(action, HangUp):
                    continue
                if action.kind is MessageType.PONG and self._pongs:
                    self._pongs -= 1
                elif not line.is_dropped:
                    self._tell(SocketPushed(line.call.token))


def _check_upgrade(call: ServerCall, headers: httpx.Headers, key: bytes) -> None:
    """Check that a server has become one of WebSockets (RFC 6455, 4.1); raises httpx.RemoteProtocolError."""
    accept = base64.b64encode(sha1(key + _HANDSHAKE, usedforsecurity=False).digest()).decode()
    offered = ",".join(value for name, value in call.headers if name.lower() == "sec-websocket-protocol")
    chosen = headers.get("sec-websocket-protocol")
    if (
        headers.get("sec-websocket-accept") != accept
        or headers.get("upgrade", "").lower() != "websocket"
        or "sec-websocket-extensions" in headers
        or (chosen is not None and chosen not in map(str.strip, offered.split(",")))
    ):
        raise httpx.RemoteProtocolError("the server does not open a WebSocket as it was asked to")


def _frame(action: SocketPush | HangUp) -> Event:
    if isinstance(action, HangUp):
        return CloseConnection(1000)
    data = bytes(action.data)
    match action.kind:
        case MessageType.TEXT:
            return TextMessage(data.decode())
        case MessageType.BINARY:
            return BytesMessage(data)
        case MessageType.PING:
            return Ping(data)
        case MessageType.PONG:
            return Pong(data)


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
