"""The internet of a simulation: servers that a test writes, for the processes that ask them by HTTP.

Nothing leaves the simulation. What a process asks takes its time on the way and back, drawn from the seed, and meets
the faults of links: a server's host name is a node's name to them. A host that nobody serves is unknown, and one whose
address is private is reached by those whom the user allows it, as in the world.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from random import Random
from typing import NamedTuple, Protocol

from nectar_node.base.errors import BadInput
from nectar_node.contract.http_client import (
    AnswerHead,
    AnswerPiece,
    AnswerWhole,
    CallFailed,
    HangUp,
    HttpClientAction,
    HttpClientEvent,
    MessageType,
    ServerCall,
    SocketClosed,
    SocketHold,
    SocketOpened,
    SocketPiece,
    SocketPush,
    SocketPushed,
)
from nectar_node.http.fetching.addresses import why_unreachable
from nectar_node.http.fetching.hops import SCHEMES, SOCKET_SCHEMES, BadUrl, Url, url_untrusted
from testnet.model.rule import Dialing, Link, Passing, PlainVerdict, Rule, judge

PUBLIC_ADDRESS = "8.8.8.8"
"""The address of a server that is told no other; no packet is sent there."""
PIECE_BYTES = 64 << 10
"""Bytes of an answer that arrive at once."""
AGAIN_SECONDS = 0.25
"""Seconds after which what the network has kept is tried again."""
BROKEN = "the connection has broken"


class WebRequest(NamedTuple):
    """A request, as a server sees it."""

    node: str
    """The node whose process has sent it."""
    method: str
    url: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class WebAnswer(NamedTuple):
    """A server's answer."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""


class ServedSocket:
    """The server's side of one WebSocket."""

    def __init__(self, node: str, url: str, send: Callable[[str | bytes], None], close: Callable[[], None]) -> None:
        self.node = node
        """The node whose process has opened it."""
        self.url = url
        self.send = send
        """Sends a text or bytes."""
        self.close = close
        """Closes it."""
        self.is_open = True


Handler = Callable[[WebRequest], WebAnswer | None]
"""Answers a request, or never (None); an OSError that it raises breaks the connection."""
SocketHandler = Callable[[ServedSocket, str | bytes], object]
"""Takes a message; what it returns counts for nothing."""


class Caller(Protocol):
    """A node, as its calls see it."""

    host: str

    def told(self, event: HttpClientEvent) -> None:
        """Take an event, unless the node does not run any more."""


class World(Protocol):
    """The time, the randomness and the journal that a simulation has."""

    now: float

    def chance(self, *purpose: str) -> Random:
        """Return a source of randomness for a purpose."""

    def schedule(self, when: float, what: Callable[[], object]) -> None:
        """Let something happen later."""

    def record(self, node: str, what: str) -> None:
        """Write a line into the journal."""


@dataclass(slots=True)
class ServedSite:
    """What is served at one origin."""

    handler: Handler | None
    socket_handler: SocketHandler | None
    address: str
    latency: tuple[float, float]


@dataclass(slots=True, eq=False)
class _Line:
    """A call that is under way."""

    caller: Caller
    call: ServerCall
    number: int
    site: ServedSite
    is_over: bool = False
    socket: ServedSocket | None = None
    is_held: bool = False
    unread: list[HttpClientEvent] = field(default_factory=list)
    """What has come while it was held."""
    ways: dict[Link, deque[tuple[bytes, Callable[[bytes], object]]]] = field(default_factory=dict)
    """What has not left yet in each direction, with what happens on its arrival."""
    kept: set[Link] = field(default_factory=set)
    """Directions in which nothing leaves for now."""
    arrives: dict[Link, float] = field(default_factory=dict)
    """When the last of what has left arrives: nothing overtakes it."""
    offsets: dict[Link, int] = field(default_factory=dict)

    @property
    def out(self) -> Link:
        """The direction to the server."""
        return Link(self.caller.host, self.call.host)


class Internet:
    """The servers of one simulation, and the calls that are under way."""

    def __init__(self, world: World, rules: Callable[[], Sequence[Rule]]) -> None:
        """`rules` returns the faults of links that hold."""
        self._world = world
        self._rules = rules
        self._sites: dict[tuple[bool, str, int, bool], ServedSite] = {}
        self._lines: dict[tuple[Caller, object], _Line] = {}
        self._calls = 0
        self._chances: dict[str, Random] = {}

    @property
    def hosts(self) -> set[str]:
        """The hosts that are served, which faults may name."""
        return {host for _, host, _, _ in self._sites}

    def serve(
        self,
        url: str,
        handler: Handler | None,
        socket_handler: SocketHandler | None,
        address: str,
        latency: tuple[float, float],
    ) -> None:
        """Answer what is sent to the origin of a URL; raises BadInput for what is none."""
        try:
            place = url_untrusted(url, SCHEMES if socket_handler is None else SOCKET_SCHEMES)
        except BadUrl:
            raise BadInput(f"{url!r} is no URL that can be served.") from None
        if place.target != "/":
            raise BadInput(f"{url!r} has a path: a server takes all paths of its origin.")
        key = (place.secure, place.host, place.port, socket_handler is not None)
        self._sites[key] = ServedSite(handler, socket_handler, address, latency)

    # --- calls ------------------------------------------------------------------------------------------------------

    def carry_out(self, caller: Caller, action: HttpClientAction) -> None:
        """Do what a node's core wants done."""
        if isinstance(action, ServerCall):
            self._begin(caller, action)
            return
        line = self._lines.get((caller, action.token))
        if line is None:
            return
        match action:
            case HangUp():
                self._forget(line)
            case SocketHold(_, held):
                line.is_held = held
                unread, line.unread = line.unread, []
                for event in unread:
                    self._tell(line, event)
            case SocketPush():
                self._put(line, line.out, bytes(action.data), lambda data: self._arrives(line, action.kind, data))

    def node_ended(self, caller: Caller) -> None:
        """End all calls of a node that runs no more."""
        for line in [line for line in self._lines.values() if line.caller is caller]:
            self._forget(line)

    def _begin(self, caller: Caller, call: ServerCall) -> None:
        self._calls += 1
        site = self._sites.get((call.secure, call.host, call.port, call.socket))
        self._world.record(caller.host, f"asks {call.method} {_url(call)}")
        line = _Line(caller, call, self._calls, site or ServedSite(None, None, _literal(call.host), (0.005, 0.05)))
        self._lines[caller, call.token] = line
        self._world.schedule(self._world.now + self._delay(line), lambda: self._dial(line, known=site is not None))

    def _delay(self, line: _Line) -> float:
        host = line.call.host
        if host not in self._chances:
            self._chances[host] = self._world.chance("internet", host)
        return self._chances[host].uniform(*line.site.latency)

    def _dial(self, line: _Line, *, known: bool) -> None:
        if line.is_over:
            return
        call, site = line.call, line.site
        why = (
            why_unreachable(site.address, private=call.private)
            if site.address
            else f"the name {call.host} is not known"
        )
        judged = judge(self._rules(), Dialing(line.out, self._world.now))
        if judged.verdict in (PlainVerdict.HOLD, PlainVerdict.RESEND):
            self._world.schedule(self._world.now + AGAIN_SECONDS, lambda: self._dial(line, known=known))
        elif judged.verdict is PlainVerdict.LOSE:
            return
        elif why is not None or not known or judged.verdict is not PlainVerdict.PASS:
            self._end(line, CallFailed(call.token, why or f"{call.host} cannot be reached: Connection refused"))
        else:
            when = self._world.now + judged.delay
            self._world.schedule(
                when, lambda: self._put(line, line.out, bytes(call.body), lambda data: self._ask(line, data))
            )

    def _put(self, line: _Line, link: Link, data: bytes, then: Callable[[bytes], object]) -> None:
        """Send bytes one way, after all that goes there already; `then` takes those that arrive."""
        line.ways.setdefault(link, deque()).append((data, then))
        if link not in line.kept:
            self._let_go(line, link)

    def _let_go(self, line: _Line, link: Link) -> None:
        """Send what the network lets pass, in order."""
        line.kept.discard(link)
        way = line.ways[link]
        while way and not line.is_over:
            data, then = way[0]
            offset = line.offsets.get(link, 0)
            judged = judge(self._rules(), Passing(link, line.number, offset, data, self._world.now))
            if judged.verdict is PlainVerdict.LOSE:
                line.kept.add(link)
                return
            if judged.verdict in (PlainVerdict.HOLD, PlainVerdict.RESEND, PlainVerdict.NO_ROUTE):
                line.kept.add(link)
                self._world.schedule(self._world.now + AGAIN_SECONDS, lambda: self._let_go(line, link))
                return
            if judged.verdict is not PlainVerdict.PASS or (judged.data != data and line.call.secure):
                self._break(line)
                return
            way.popleft()
            line.offsets[link] = offset + len(data)
            soonest = self._world.now + self._delay(line) + judged.delay
            line.arrives[link] = when = max(line.arrives.get(link, 0.0), soonest)
            self._world.schedule(when, partial(self._land, line, then, judged.data))

    @staticmethod
    def _land(line: _Line, then: Callable[[bytes], object], data: bytes) -> None:
        if not line.is_over:
            then(data)

    # --- servers ----------------------------------------------------------------------------------------------------

    def _ask(self, line: _Line, body: bytes) -> None:
        call, site = line.call, line.site
        url, token = _url(call), call.token
        if site.socket_handler is not None:
            line.socket = ServedSocket(
                line.caller.host, url, lambda message: self._send(line, message), lambda: self._close(line)
            )
            self._put(line, line.out.back, b"", lambda _: self._tell(line, SocketOpened(token)))
            return
        headers = {name.lower(): value for name, value in call.headers}
        assert site.handler is not None
        try:
            answer = site.handler(WebRequest(line.caller.host, call.method, url, headers, body))
        except OSError:
            self._break(line)
            return
        if answer is None:
            return
        self._world.record(line.caller.host, f"is answered {answer.status} by {url}")
        told = tuple((name.lower(), value) for name, value in answer.headers.items())
        self._put(line, line.out.back, b"", lambda _: self._tell(line, AnswerHead(token, answer.status, told)))
        for start in range(0, len(answer.body), PIECE_BYTES):
            piece = answer.body[start : start + PIECE_BYTES]
            self._put(line, line.out.back, piece, lambda data: self._tell(line, AnswerPiece(token, data)))
        self._put(line, line.out.back, b"", lambda _: self._end(line, AnswerWhole(token)))

    def _arrives(self, line: _Line, kind: MessageType, data: bytes) -> None:
        self._tell(line, SocketPushed(line.call.token))
        if kind is MessageType.PING:
            pong = SocketPiece(line.call.token, MessageType.PONG, data, True)
            self._put(line, line.out.back, data, lambda _: self._tell(line, pong))
        elif line.socket is not None and line.site.socket_handler is not None and kind is not MessageType.PONG:
            line.site.socket_handler(line.socket, data.decode() if kind is MessageType.TEXT else data)

    def _send(self, line: _Line, message: str | bytes) -> None:
        kind = MessageType.TEXT if isinstance(message, str) else MessageType.BINARY
        data = message.encode() if isinstance(message, str) else message
        token = line.call.token
        self._put(line, line.out.back, data, lambda came: self._tell(line, SocketPiece(token, kind, came, True)))

    def _close(self, line: _Line) -> None:
        self._put(line, line.out.back, b"", lambda _: self._end(line, SocketClosed(line.call.token)))

    def _break(self, line: _Line) -> None:
        self._end(line, CallFailed(line.call.token, BROKEN))

    def _tell(self, line: _Line, event: HttpClientEvent) -> None:
        if line.is_held and not line.is_over:
            line.unread.append(event)
        else:
            line.caller.told(event)

    def _end(self, line: _Line, event: HttpClientEvent) -> None:
        if line.is_over:
            return
        self._tell(line, event)
        self._forget(line)

    def _forget(self, line: _Line) -> None:
        line.is_over = True
        if line.socket is not None:
            line.socket.is_open = False
        self._lines.pop((line.caller, line.call.token), None)


def _literal(host: str) -> str:
    """Return a host that is an address; empty: it is a name."""
    try:
        return str(ip_address(host))
    except ValueError:
        return ""


def _url(call: ServerCall) -> str:
    url = str(Url(call.secure, call.host, call.port, call.target))
    return url.replace("http", "ws", 1) if call.socket else url
