"""What browsers of a simulation send with their requests, piece by piece as the node reads it."""

from __future__ import annotations

from collections.abc import Callable

from nectar_node.contract.http import (
    BodyAction,
    HttpBodyPiece,
    HttpEvent,
    HttpGone,
    HttpHead,
    HttpReadPiece,
    HttpRequest,
)
from nectar_node.http.bodies.body_files import PIECE_BYTES


class SentBody:
    """The body of one request, and its link."""

    def __init__(
        self,
        tell: Callable[[HttpEvent], None],
        later: Callable[[float, Callable[[], None]], None],
        request: HttpRequest,
        length: int | None,
    ) -> None:
        """`tell` gives the core an event; `later` does something after so many seconds, unless the node ends; `length`:
        what the browser says that the body has.
        """
        self.read = 0
        """Bytes that the node has read."""
        self.latency = 0.0
        """Seconds for each piece."""
        self.gone = False
        """Whether the browser has gone away."""
        self._tell = tell
        self._later = later
        self._request = request
        self._length = length
        self._stalled = False
        self._wanted: BodyAction | None = None

    def begin(self) -> None:
        """Send the head."""
        self._tell(HttpHead(self._request._replace(body=b""), self._length))

    def perform(self, action: BodyAction) -> None:
        """Learn what the node reads of it."""
        self._wanted = action
        self._later(self.latency, self._send)

    def stall(self) -> None:
        """Let nothing through until `go_on`."""
        self._stalled = True

    def go_on(self) -> None:
        """Let through what the node has waited for."""
        self._stalled = False
        self._send()

    def vanish(self) -> None:
        """Be gone in the middle."""
        if not self.gone:
            self.gone = True
            self._tell(HttpGone(self._request.token))

    def _send(self) -> None:
        wanted = self._wanted
        if wanted is None or self._stalled or self.gone:
            return
        self._wanted = None
        body = self._request.body
        if not isinstance(wanted, HttpReadPiece):
            self.read = len(body)
            self._tell(self._request)
            return
        piece = bytes(body[self.read : self.read + PIECE_BYTES])
        self.read += len(piece)
        self._tell(HttpBodyPiece(self._request.token, piece, self.read == len(body)))
