"""The browsers on the machine of one node of a simulation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from nectar_node.contract.http import Headers, HttpAnswer
from testnet.browsers.web_socket import SimWebSocket, Surroundings

PATIENCE = 120.0
"""Seconds that a browser waits: more than a node may take."""
LOCAL = ("127.0.0.1", 40_000)
"""Where a browser on the node's machine connects from."""


class Browsed(Protocol):
    """The node that browsers ask."""

    http_answers: dict[object, HttpAnswer]

    @property
    def web_socket_count(self) -> int:
        """How many WebSockets its core counts."""

    def begin_http(self, method: str, target: str, headers: Headers, body: bytes, source: tuple[str, int]) -> object:
        """Send a request, and return a token for `http_answers`."""

    def begin_web_socket(
        self, around: Surroundings, target: str, headers: Headers, source: tuple[str, int]
    ) -> SimWebSocket:
        """Ask for a WebSocket."""


class SimPageRequest:
    """A request of a page."""

    def __init__(self, node: Browsed, token: object) -> None:
        self._node = node
        self._token = token

    @property
    def statuses(self) -> list[int]:
        """What it was answered."""
        answer = self._node.http_answers.get(self._token)
        return [] if answer is None else [answer.status]


class SimBrowsers:
    """Browsers on the machine of a node."""

    def __init__(self, around: Surroundings, node: Browsed) -> None:
        self._around = around
        self._node = node

    def open(
        self, path: str, headers: Mapping[str, str] | None = None, source: tuple[str, int] = LOCAL
    ) -> SimWebSocket:
        """Ask for a WebSocket, let virtual time pass until it is open or refused, and return it."""
        socket = self._node.begin_web_socket(self._around, path, sent_headers(headers or {}), source)

        def decided() -> bool:
            return socket.is_open or socket.refused is not None or socket.closed is not None

        self._around.wait(decided, PATIENCE, f"the WebSocket {path[:60]}")
        return socket

    def get(self, path: str) -> SimPageRequest:
        """Ask for a page, and do not wait."""
        return SimPageRequest(self._node, self._node.begin_http("GET", path, sent_headers({}), b"", LOCAL))

    def counted(self) -> int:
        """Return how many WebSockets the node counts."""
        return self._node.web_socket_count


def sent_headers(headers: Mapping[str, str]) -> Headers:
    """Return the headers that a browser on the node's machine sends."""
    return tuple({"host": "localhost", **{name.lower(): value for name, value in headers.items()}}.items())
