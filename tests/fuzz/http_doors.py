"""The fuzz targets of both HTTP doors: what browsers send to the server, and what servers and processes send to the
client. Each target raises nothing but what it documents."""

from __future__ import annotations

import json
from contextlib import suppress
from ipaddress import ip_address

from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Inject, Reply
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo, Request
from nectar_node.base.system_processes import HTTP_CLIENT, HTTP_CLIENT_LATE
from nectar_node.contract.http import HttpRequest
from nectar_node.contract.http_client import (
    AnswerHead,
    AnswerPiece,
    AnswerWhole,
    CallFailed,
    HangUp,
    HttpClientConfig,
    HttpClientEvent,
    MessageType,
    ServerCall,
    SocketClosed,
    SocketOpened,
    SocketPiece,
    SocketPush,
    SocketPushed,
)
from nectar_node.contract.memory_budget import LEAST_BYTES, MemoryBudget
from nectar_node.http.fetching.addresses import AddressReach, reach
from nectar_node.http.fetching.hops import SCHEMES, SOCKET_SCHEMES, BadUrl, url_untrusted
from nectar_node.http.origins import OurNames
from nectar_node.http.requests import HttpRefused, read_untrusted
from nectar_node.system.http_client import HttpClient
from tests import web_tables
from tests.fuzz.choices import Choices

PROCESS = ProcessId("main", "app", "x.nec")
URLS = ("http://h/a?b#c", "wss://bücher.example:8443/", "http://[::1]/", "https://user@h/", "http://127.1/%zz")


def browser(data: bytes) -> None:
    """A browser's request: lines of the method, the path, the query, and headers, `name: value`."""
    lines = data.decode("latin-1").split("\n")
    method, path, query = (*lines, "", "", "")[:3]
    headers = tuple((name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines[3:]))
    request = HttpRequest(1, method, path, query, headers, b"", ("127.0.0.1", 1))
    with suppress(HttpRefused):
        read = read_untrusted(request, OurNames(frozenset({"a.example"})))
        assert ".." not in read.segments
        assert read.host


def url(data: bytes) -> None:
    """A URL, and where a redirect from there leads; what is read is read again from its text."""
    first, _, second = data.decode("utf-8", "replace").partition("\n")
    for schemes in (SCHEMES, SOCKET_SCHEMES):
        with suppress(BadUrl):
            read = url_untrusted(first, schemes)
            assert url_untrusted(str(read)) == read
            assert read.target.isascii()
            assert not any(each <= " " for each in str(read))
    if reach(second) is not AddressReach.NEVER:
        ip_address(second)


def client(data: bytes) -> None:
    """The whole client: what processes and servers send is drawn from the bytes; it fails at nothing, answers each
    request once, and holds nothing when its process has ended."""
    chosen, now = Choices(data), 0.0
    memory = MemoryBudget(LEAST_BYTES)
    config = HttpClientConfig(places=8)
    process = HttpClient("a.nec", config, lambda _: now + 30, lambda *_: chosen.below(4) != 0, memory)
    asked, answered = 0, 0
    tokens: list[object] = []
    pushes: dict[object, int] = {}
    open_sockets: set[object] = set()
    sockets: set[object] = set()

    def look() -> None:
        nonlocal answered
        for _ in range(1000):
            action = process.next_action()
            match action:
                case None:
                    return
                case Reply():
                    answered += 1
                case ServerCall(token):
                    tokens.append(token)
                    if action.socket:
                        sockets.add(token)
                case HangUp(token):
                    if token in tokens:
                        tokens.remove(token)
                case SocketPush(token):
                    pushes[token] = pushes.get(token, 0) + 1
                case Inject():
                    json.loads(action.request.body)

    for _ in range(40):
        if not chosen:
            break
        if chosen.below(2) or not tokens:
            asked += 1
            source = Address("a.nec", PROCESS)
            target = Address("a.nec", chosen.of((HTTP_CLIENT, HTTP_CLIENT_LATE)))
            blob = chosen.of((None, LazyLoadBlob(None, b"\xff"), LazyLoadBlob(None, bytes(200))))
            message = Request(False, 30, _asked(chosen))
            process.receive(Envelope(asked, source, target, ReplyTo(source, asked), message, blob), now)
        else:
            token = chosen.of(tokens)
            event = _event(chosen, token, token in sockets, token in open_sockets, pushes)
            if isinstance(event, SocketOpened):
                open_sockets.add(token)
            if isinstance(event, AnswerWhole | CallFailed | SocketClosed):
                tokens.remove(token)
            process.take(event, now)
        look()
        now += chosen.below(16)
        process.on_timer(now)
        look()
    process.ended(PROCESS, now)
    look()
    assert answered <= asked
    assert not web_tables.of_client(process), web_tables.of_client(process)
    assert not memory.holders


def _asked(chosen: Choices) -> bytes:
    if not chosen.below(6):
        return chosen.take(40)
    fields: dict[str, object] = {
        "method": chosen.of(("GET", "POST", "CONNECT", "\r\n", 1)),
        "version": chosen.of((None, "HTTP/1.1", "HTTP/9")),
        "url": chosen.of((*URLS, None)),
        "headers": chosen.of(({}, {"a": "b"}, {"Host": "c"}, {"a\n": ""}, [])),
        "channel_id": chosen.of((1, 2, -1, "1")),
        "message_type": chosen.of(("Text", "Binary", "Ping", "Close", "What")),
    }
    name = chosen.of(("Http", "WebSocketOpen", "WebSocketPush", "WebSocketClose", "What"))
    return json.dumps({name: fields}).encode()


def _event(
    chosen: Choices, token: object, is_socket: bool, is_open: bool, pushes: dict[object, int]
) -> HttpClientEvent:
    """What a server can do next."""
    if not chosen.below(4):
        return CallFailed(token, "is gone")
    if not is_socket:
        location = ("location", chosen.take(30).decode("latin-1"))
        head = AnswerHead(token, 200 + chosen.below(200), (location,) * chosen.below(3))
        answers: tuple[HttpClientEvent, ...] = (head, AnswerPiece(token, chosen.take(30)), AnswerWhole(token))
        return chosen.of(answers)
    if not is_open:
        openings: tuple[HttpClientEvent, ...] = (SocketOpened(token), AnswerHead(token, 403, ()))
        return chosen.of(openings)
    if pushes.get(token):
        pushes[token] -= 1
        return SocketPushed(token)
    kind = chosen.of(tuple(MessageType))
    piece = SocketPiece(token, kind, chosen.take(30), not chosen.below(2))
    comes: tuple[HttpClientEvent, ...] = (piece, SocketClosed(token))
    return chosen.of(comes)


SEEDS = {
    "browser": (
        b"GET\n/a:b:c/d%20e\nq=1&r\nhost: localhost\ncookie: a=b\norigin: http://x",
        b"POST\n/../x\n\nhost: [::1]:80",
    ),
    "url": tuple(f"{each}\n127.0.0.1".encode() for each in URLS),
    "client": (bytes(range(256)), bytes(range(255, -1, -1)) * 2),
}
