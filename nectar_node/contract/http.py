"""HTTP between the core and its driver: parsed requests of browsers come in, answers leave."""

from __future__ import annotations

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


class HttpGone(NamedTuple):
    """Nobody waits for the answer any more: the browser has gone away, or the node goes down."""

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


HttpEvent = HttpRequest | HttpGone | PasswordChecked | UploadStarted


class HttpAnswer(NamedTuple):
    """The answer to a request. There is one for each, unless the browser goes away before."""

    token: object
    status: int
    headers: Headers
    """Without the length, which is that of the body."""
    body: Buffer
    """For HEAD too; the driver leaves it out there."""


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
