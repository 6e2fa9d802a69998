"""The door for browsers of one simulated node: their requests and WebSockets, and what its driver would do for them."""

from __future__ import annotations

from collections.abc import Callable

from nectar_node.contract.http import (
    CheckPassword,
    Headers,
    HttpAction,
    HttpAnswer,
    HttpBroken,
    HttpCommand,
    HttpEvent,
    HttpPiece,
    HttpReadPiece,
    HttpReadWhole,
    HttpRequest,
    HttpStart,
    PasswordChecked,
    StartUpload,
)
from nectar_node.http.node_page import refusal
from testnet.browsers.downloads import Downloads
from testnet.browsers.sent_bodies import SentBody
from testnet.browsers.web_socket import SimWebSocket, Surroundings

PASSWORD_SECONDS = 0.75
"""Virtual seconds that the check of a password takes."""


class SimDoor:
    """The browsers of one node, from one boot to its end."""

    def __init__(
        self,
        tell: Callable[[HttpEvent], None],
        later: Callable[[float, Callable[[], None]], None],
        password: bytes | None,
        count: Callable[[], int],
        start: Callable[[StartUpload], None],
        coming: Callable[[], int],
    ) -> None:
        """`tell` gives the core an event; `later` does something after so many seconds, unless the node ends; `start`
        starts a package that a kit has sent.
        """
        self.answers: dict[object, HttpAnswer] = {}
        """What browsers were answered, by the token of the request."""
        self.downloads = Downloads(self.answers, lambda event: later(0, lambda: tell(event)))
        """The answers that come in pieces."""
        self.bodies: dict[object, SentBody] = {}
        """What browsers send with their requests, by the token of the request."""
        self._sockets: dict[object, SimWebSocket] = {}
        self._tell = tell
        self._later = later
        self._password = password
        self._start = start
        self.count = count
        """Returns how many WebSockets the core counts."""
        self.coming = coming
        """Returns how many bodies it counts that are to become files."""

    def request(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: bytes,
        source: tuple[str, int],
        *,
        says_length: bool = True,
    ) -> object:
        """Let a browser send a request, `target` being path and query, and return a token for `answers`."""
        request = _request(method, target, headers, body, source)
        if body or not says_length:
            sent = SentBody(self._tell, self._later, request, len(body) if says_length else None)
            self.bodies[request.token] = sent
            sent.begin()
        else:
            self._tell(request)
        return request.token

    def open(self, around: Surroundings, target: str, headers: Headers, source: tuple[str, int]) -> SimWebSocket:
        """Let a browser ask for a WebSocket, `target` being path and query."""
        request = _request("GET", target, headers, b"", source)
        socket = self._sockets[request.token] = SimWebSocket(around, self._tell, request)
        return socket

    def perform(self, action: HttpAction) -> None:
        """Carry out an action of the node's core."""
        token = action.token
        match action:
            case HttpCommand():
                why = refusal(501, "NoControl", "A simulated node has no control socket: a test asks its core.")
                self.answers[token] = HttpAnswer(token, *why)
            case StartUpload():
                self._later(0, lambda: self._start(action))
            case CheckPassword(_, password):
                checked = PasswordChecked(token, password == self._password)
                self._later(PASSWORD_SECONDS, lambda: self._tell(checked))
            case HttpStart() | HttpPiece() | HttpBroken():
                self.downloads.perform(action)
            case HttpReadWhole() | HttpReadPiece():
                self.bodies[token].perform(action)
            case HttpAnswer() if token not in self._sockets:
                self.answers[token] = action
            case _:
                self._sockets[token].perform(action)

    def node_ended(self, *, in_order: bool) -> None:
        """Take the end of the node, which says goodbye to WebSockets if it goes down in order."""
        for socket in self._sockets.values():
            socket.node_ended(in_order=in_order)


def _request(method: str, target: str, headers: Headers, body: bytes, source: tuple[str, int]) -> HttpRequest:
    path, _, query = target.partition("?")
    return HttpRequest(object(), method, path, query, headers, body, source)
