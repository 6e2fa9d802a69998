"""HTTP between the core and its driver: parsed requests of browsers come in, answers leave.

A WebSocket is asked for with `SocketRequest`. It gets an `HttpAnswer`, which refuses it, or `SocketAccept`. From then
on the driver gives the core one `SocketFrame` for each `SocketRead`, and reads no further before: so a browser sends no
faster than its process takes. What the core sends waits in the driver until the browser takes it, and `SocketSent` says
when. `HttpGone` is the last of every WebSocket, however it ends; there is none after `SocketClose`.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from kernel.contract.address import PackageId
from kernel.contract.message import Buffer

Headers = tuple[tuple[str, str], ...]
"""Names and values, in order."""


class HttpRequest(NamedTuple):
    """A whole request of a browser, of which the driver has checked the syntax and the size."""

    token: object
    """Comes back in the `HttpAnswer`."""
    method: str
    """In capitals."""
    path: str
    """As it was sent, percent-encoded, without the query."""
    query: str
    """What follows the question mark; empty: nothing."""
    headers: Headers
    """Names in lower case; HTTP/2's `:authority` is `host`."""
    body: Buffer
    source: tuple[str, int]
    """The address and port of the other end of the connection."""
    secure: bool = False
    """Whether it came by TLS."""


class HttpHead(NamedTuple):
    """A request whose body has not been read. It is answered, which throws the body away; or `HttpReadWhole` asks for
    all of it, and then it comes again as an `HttpRequest`; or `HttpReadPiece` asks for one `HttpBodyPiece` after the
    other, and it comes no more.
    """

    request: HttpRequest
    """Without the body."""
    length: int | None
    """Bytes that the body is said to have; None: nobody says."""


class HttpBodyPiece(NamedTuple):
    """A piece of a body, after `HttpReadPiece`."""

    token: object
    data: Buffer
    is_last: bool


class HttpGone(NamedTuple):
    """Nobody waits for the answer any more: the browser has gone, or the node goes down. Or a WebSocket has ended."""

    token: object


class PasswordChecked(NamedTuple):
    """What has come of a `CheckPassword`."""

    token: object
    is_right: bool


class UploadStarted(NamedTuple):
    """What has come of a `StartUpload`."""

    token: object
    problem: str | None
    """Why the package cannot be started, in a sentence; None: it runs."""


class FrameKind(enum.Enum):
    """What a frame of a WebSocket is (RFC 6455, 11.8); the values are the names that processes know."""

    TEXT = "Text"
    BINARY = "Binary"
    PING = "Ping"
    PONG = "Pong"
    CLOSE = "Close"


class SocketRequest(NamedTuple):
    """A browser wants a WebSocket; the driver has checked the syntax of the handshake."""

    request: HttpRequest
    """A GET without a body. Its token is from now on that of the WebSocket."""


class SocketFrame(NamedTuple):
    """A whole message from a browser, or a frame that controls the connection; after CLOSE there is none."""

    token: object
    kind: FrameKind
    data: Buffer
    """Of a TEXT valid UTF-8; of a CLOSE two bytes of code and a text, or nothing."""


class SocketSent(NamedTuple):
    """A browser's connection has taken a message."""

    token: object
    size: int
    """Bytes of its data."""


class HttpTaken(NamedTuple):
    """A browser has taken a piece of an answer, that of `HttpStart` or an `HttpPiece`; `HttpGone` says that it takes no
    more.
    """

    token: object


HttpEvent = (
    HttpRequest
    | HttpHead
    | HttpBodyPiece
    | HttpGone
    | HttpTaken
    | PasswordChecked
    | UploadStarted
    | SocketRequest
    | SocketFrame
    | SocketSent
)


class HttpAnswer(NamedTuple):
    """The answer to a request. There is one for each, unless the browser goes away before."""

    token: object
    status: int
    headers: Headers
    """Without the length, which is that of the body."""
    body: Buffer
    """For HEAD too; the driver leaves it out there."""
    package: PackageId | None = None
    """The package whose process has given the body; None: it is the node's own."""


class HttpReadWhole(NamedTuple):
    """Read the whole body of an `HttpHead`, within the driver's bounds."""

    token: object


class HttpReadPiece(NamedTuple):
    """Read the next piece of the body of an `HttpHead`."""

    token: object


class HttpStart(NamedTuple):
    """The answer to a request in place of an `HttpAnswer`, where it comes in pieces: one `HttpPiece` for each
    `HttpTaken`, until there are `length` bytes, or `HttpBroken`.
    """

    token: object
    status: int
    headers: Headers
    """Without the length."""
    length: int
    """Bytes of the whole body."""
    piece: Buffer
    """Its beginning. Empty: no body follows, since only the head is wanted."""


class HttpPiece(NamedTuple):
    """The next piece of an answer."""

    token: object
    data: Buffer


class HttpBroken(NamedTuple):
    """The rest of an answer does not come: the connection ends, so that nobody takes what there is for the whole."""

    token: object


class HttpCommand(NamedTuple):
    """The node's own page, of which somebody is signed in, gives the node a command; the driver answers."""

    token: object
    """That of the `HttpRequest`."""
    line: bytes
    """The command, as a line of the control socket (`nectar_node.control.server`)."""
    piece: Buffer
    """A piece of a file, of the one command that brings it."""
    streams: bool
    """Whether the answer is a stream of events, which ends when the session does."""
    session: str
    """The id of the session that it is given in."""


class CheckPassword(NamedTuple):
    """Find out whether that is the password of the node's key file; `PasswordChecked` says so."""

    token: object
    password: bytes


class StartUpload(NamedTuple):
    """Start the package in a zip that a program has sent; `UploadStarted` says what has come of it."""

    token: object
    package: PackageId
    data: Buffer


class SocketAccept(NamedTuple):
    """Let a browser have the WebSocket that it asked for. Nothing is read before the first `SocketRead`."""

    token: object
    package: PackageId
    """The package whose process it is for, and whose what the browser sends is."""


class SocketRead(NamedTuple):
    """Give the next message of a browser, when there is one."""

    token: object


class SocketSend(NamedTuple):
    """Send a message or a frame to a browser."""

    token: object
    kind: FrameKind
    """Not CLOSE."""
    data: Buffer


class SocketClose(NamedTuple):
    """Say goodbye to a browser after what has been sent to it before, and end its connection."""

    token: object
    code: int
    """Why, as RFC 6455, 7.4.1 numbers it."""
    reason: str
    """Why, for people: at most 123 bytes."""


SocketAction = HttpAnswer | SocketAccept | SocketRead | SocketSend | SocketClose
"""What goes to a browser that wants a WebSocket."""
BodyAction = HttpReadWhole | HttpReadPiece
"""What is to be read of a request's body."""
BrowserAction = HttpStart | HttpPiece | HttpBroken | BodyAction | SocketAction
"""What goes to a browser's connection."""
BROWSER_ACTIONS = (
    *(HttpAnswer, HttpStart, HttpPiece, HttpBroken, HttpReadWhole, HttpReadPiece),
    *(SocketAccept, SocketRead, SocketSend, SocketClose),
)
"""Their types."""
HttpAction = BrowserAction | CheckPassword | StartUpload | HttpCommand
"""What the core wants done for browsers, and for programs on the node's machine."""
