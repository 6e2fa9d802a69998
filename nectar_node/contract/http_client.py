"""HTTP out of the node, between the core and its driver: calls go out, what servers send comes in piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from kernel.contract.address import PackageId
from kernel.contract.message import Buffer
from nectar_node.contract.http import Headers

DEFAULT_PLACES = 128
"""Connections of processes to servers at the same time, where the node's descriptors allow it."""


@dataclass(frozen=True, slots=True)
class HttpClientConfig:
    """What processes may have of the world."""

    places: int = DEFAULT_PLACES
    """Connections at the same time."""
    private: frozenset[PackageId] = field(default_factory=frozenset)
    """The packages that reach this machine and private networks, too."""


class ServerCall(NamedTuple):
    """Send one request on a connection of its own, and follow no redirect."""

    token: object
    """Comes back in all that this call brings."""
    package: PackageId
    """Whose call it is."""
    secure: bool
    """Whether by TLS; the certificate is always verified."""
    host: str
    """A name or an address, in lower case and ASCII; an IPv6 address without brackets."""
    port: int
    method: str
    target: str
    """Path and query, percent-encoded."""
    headers: Headers
    """All headers, those of the connection included."""
    body: Buffer
    private: bool
    """Whether the server may be this machine, or in a private network."""
    socket: bool = False
    """Whether it opens a WebSocket; then `headers` have nothing of its handshake but the protocols."""


class HangUp(NamedTuple):
    """End a call, whatever state it is in; nothing comes of it any more. An open WebSocket is told that it closes."""

    token: object


class MessageType(Enum):
    """What a message of a WebSocket is; the values are those of packages' requests."""

    TEXT = "Text"
    BINARY = "Binary"
    PING = "Ping"
    PONG = "Pong"


class SocketPush(NamedTuple):
    """Send a message on an open WebSocket, after those before it; `SocketPushed` says when it has left."""

    token: object
    kind: MessageType
    data: Buffer
    """For a text, UTF-8; for a ping or pong at most 125 bytes."""


class SocketHold(NamedTuple):
    """Read nothing more of a WebSocket, or read on."""

    token: object
    held: bool


HttpClientAction = ServerCall | HangUp | SocketPush | SocketHold


class AnswerHead(NamedTuple):
    """The status and the headers of an answer; for a WebSocket, only of one that refuses it."""

    token: object
    status: int
    headers: Headers
    """Names in lower case."""


class AnswerPiece(NamedTuple):
    """The next bytes of an answer's body, as the server has sent them: nothing is decompressed."""

    token: object
    data: bytes


class AnswerWhole(NamedTuple):
    """An answer is complete, and the call over."""

    token: object


class CallFailed(NamedTuple):
    """A call is over, or a WebSocket has broken."""

    token: object
    why: str
    """Half a sentence."""


class SocketOpened(NamedTuple):
    """A WebSocket is open."""

    token: object


class SocketPiece(NamedTuple):
    """The next part of a message of a WebSocket."""

    token: object
    kind: MessageType
    data: bytes
    last: bool
    """Whether the message is complete with it."""


class SocketPushed(NamedTuple):
    """The oldest `SocketPush` of a WebSocket that was not told yet has left."""

    token: object


class SocketClosed(NamedTuple):
    """The server has closed a WebSocket, and the call is over."""

    token: object


HttpClientEvent = (
    AnswerHead | AnswerPiece | AnswerWhole | CallFailed | SocketOpened | SocketPiece | SocketPushed | SocketClosed
)
