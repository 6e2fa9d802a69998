"""The browsers on the machine of one node of a simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kernel.contract.address import ProcessId
from nectar_node.contract.http import Headers, HttpAnswer
from nectar_node.http.origins import label_of
from nectar_node.http.sessions import WebSessions
from testnet.browsers.door import SimDoor
from testnet.browsers.web_socket import SimWebSocket, Surroundings

PATIENCE = 120.0
"""Seconds that a browser waits: more than a node may take."""
LOCAL = ("127.0.0.1", 40_000)
"""Where a browser on the node's machine connects from."""


class SimPageRequest:
    """A request of a page."""

    def __init__(self, door: SimDoor, token: object) -> None:
        self._door = door
        self._token = token

    @property
    def statuses(self) -> list[int]:
        """What it was answered."""
        answer = self._door.answers.get(self._token)
        return [] if answer is None else [answer.status]

    @property
    def answer(self) -> bytes:
        """The body of the answer, which has come."""
        return bytes(self._door.answers[self._token].body)


class SimPageUpload(SimPageRequest):
    """A request of a page with a body, and its link."""

    def __init__(self, door: SimDoor, token: object, latency: float) -> None:
        super().__init__(door, token)
        sent = door.bodies[token]
        sent.latency = latency
        self.stall, self.go_on, self.vanish = sent.stall, sent.go_on, sent.vanish


class SimBrowsers:
    """Browsers on the machine of a node."""

    def __init__(self, around: Surroundings, door: SimDoor, has_ended: Callable[[], bool]) -> None:
        """`has_ended` says whether the node answers nothing more."""
        self._around = around
        self._door = door
        self._has_ended = has_ended

    def open(
        self, path: str, headers: Mapping[str, str] | None = None, source: tuple[str, int] = LOCAL
    ) -> SimWebSocket:
        """Ask for a WebSocket, let virtual time pass until it is open or refused, and return it."""
        socket = self._door.open(self._around, path, sent_headers(headers or {}), source)

        def decided() -> bool:
            return socket.is_open or socket.refused is not None or socket.closed is not None

        self._around.wait(decided, PATIENCE, f"the WebSocket {path[:60]}")
        return socket

    def get(self, path: str) -> SimPageRequest:
        """Ask for a page, and do not wait."""
        return SimPageRequest(self._door, self._door.request("GET", path, sent_headers({}), b"", LOCAL))

    def send(self, path: str, body: bytes, latency: float, *, says_length: bool) -> SimPageUpload:
        """Send a body, each piece of which takes so many seconds, and do not wait."""
        token = self._door.request("POST", path, sent_headers({}), body, LOCAL, says_length=says_length)
        return SimPageUpload(self._door, token, latency)

    def coming(self) -> int:
        """Return how many bodies the node counts that are to become files."""
        return self._door.coming()

    def counted(self) -> int:
        """Return how many WebSockets the node counts."""
        return self._door.count()

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, source: tuple[str, int] = LOCAL
    ) -> HttpAnswer | None:
        """Send a request, let virtual time pass until its answer is there, and return that; None: the connection has
        broken, since the node does not run any more, or has not the whole answer.
        """
        door, token = self._door, self._door.request(method, path, sent_headers(headers), body, source)
        self._around.wait(
            lambda: token in door.answers or token in door.downloads.broken or self._has_ended(),
            PATIENCE,
            f"the answer to {method} {path[:60]}",
        )
        return door.answers.pop(token, None)

    def sign_in(self, process: ProcessId, sessions: WebSessions) -> dict[str, str]:
        """Sign in as the node's user, whose `sessions` are these, and return the headers with which requests come from
        a page of `process`: `Host`, `Origin` and the cookies for that origin.
        """
        label = label_of(process)
        home = self.ask("GET", f"/login?link={sessions.make_link(self._around.now)}", {}, b"")
        assert home is not None
        code = sessions.make_code(_cookies(home)[0].partition("=")[2], label, self._around.now)
        host = f"{label}.localhost"
        own = self.ask("GET", f"/login?code={code}", {"host": host}, b"")
        assert own is not None
        return {"host": host, "origin": f"http://{host}", "cookie": "; ".join(_cookies(own))}


def _cookies(answer: HttpAnswer) -> list[str]:
    return [value.partition(";")[0] for name, value in answer.headers if name == "set-cookie"]


def sent_headers(headers: Mapping[str, str]) -> Headers:
    """Return the headers that a browser on the node's machine sends."""
    return tuple({"host": "localhost", **{name.lower(): value for name, value in headers.items()}}.items())
