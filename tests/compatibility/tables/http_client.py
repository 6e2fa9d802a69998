"""http_client:distro:sys, also http-client:distro:sys, with servers behind it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any as Json

from tests.compatibility.case import Any, Ask, Each, Lacking, OneOf, Play, Table, differs
from tests.compatibility.guest import Got, Guest

CLIENT = Each("http_client:distro:sys", "http-client:distro:sys")
ACK = {"Ok": "WebSocketAck"}
MALFORMED = {"Err": Each({"BadRequest": {"req": Any(str)}}, "MalformedRequest")}
MESSAGES = (("Text", b"a text"), ("Binary", b"bytes"))


def _fetch(url: str, method: str = "GET", version: str | None = None) -> Json:
    return {"Http": {"method": method, "version": version, "url": url, "headers": {}}}


def _client(guest: Guest) -> str:
    return str(CLIENT[guest.generation])


def _serving(guest: Guest, way: str) -> Json:
    """How the simulation serves HTTP (`serve_http`) or WebSockets (`serve_websocket`) to processes."""
    return getattr(guest.lab, way)


def _ask_server(guest: Guest, request: Json, blob: bytes | None = None) -> Got:
    return guest.ask(_client(guest), json.dumps(request).encode(), blob)


def _fetched(guest: Guest) -> str | None:
    seen: list[Json] = []

    def serve(request: Json) -> Json:
        seen.append((request.method, request.url, request.headers.get("x-mine"), request.body))
        return SimpleNamespace(status=201, headers={"X-Theirs": "yes"}, body=b"made")

    _serving(guest, "serve_http")("http://api.example.com", serve)
    asked = {"method": "POST", "version": None, "url": "http://api.example.com/a?b=c", "headers": {"X-Mine": "yes"}}
    got = _ask_server(guest, {"Http": asked}, b"sent")
    answer = json.loads(got.body)["Ok"]["Http"]
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    found = got.source, answer["status"], headers.get("x-theirs"), got.blob, seen
    sent = [("POST", "http://api.example.com/a?b=c", "yes", b"sent")]
    return differs("got", found, (_client(guest), 201, "yes", b"made", sent))


def _silent_server(guest: Guest) -> str | None:
    _serving(guest, "serve_http")("http://silent.example.com", lambda request: None)
    before = guest.lab.now
    guest.ask(_client(guest), json.dumps(_fetch("http://silent.example.com/")).encode(), seconds=7)
    waited = guest.lab.now - before
    return None if 6 < waited < 8 else f"after {waited:.0f} s"


def _server_socket(guest: Guest) -> list[Json]:
    """A channel 1 to a server that sends back what it gets; its side of it, once something has come."""
    sides: list[Json] = []

    def echo(side: Json, message: str | bytes) -> None:
        sides.append(side)
        side.send(message)

    _serving(guest, "serve_websocket")("ws://live.example.com", echo)
    guest.came()
    opened = {"WebSocketOpen": {"url": "ws://live.example.com/", "headers": {}, "channel_id": 1}}
    got = _ask_server(guest, opened)
    if json.loads(got.body) != ACK:
        raise Lacking(got.shown())
    return sides


def _pushed(guest: Guest) -> str | None:
    guest.will("silence")
    _server_socket(guest)
    for kind, data in MESSAGES:
        got = _ask_server(guest, {"WebSocketPush": {"channel_id": 1, "message_type": kind}}, data)
        if json.loads(got.body) != ACK:
            return got.shown()
    guest.lab.rest(1)
    came = [(each.source, json.loads(each.body), each.blob) for each in guest.came()]
    pushes = [{"WebSocketPush": {"channel_id": 1, "message_type": kind}} for kind, _ in MESSAGES]
    sent = [(_client(guest), push, data) for push, (_, data) in zip(pushes, MESSAGES, strict=True)]
    return differs("came", came, sent)


def _hung_up(guest: Guest) -> str | None:
    got = _ask_server(guest, {"WebSocketClose": {"channel_id": 1}})
    return None if json.loads(got.body) == ACK else got.shown()


def _is_hung_up(guest: Guest) -> str | None:
    sides = _server_socket(guest)
    _ask_server(guest, {"WebSocketPush": {"channel_id": 1, "message_type": "Text"}}, b"a text")
    guest.lab.rest(1)
    sides[0].close()
    guest.lab.rest(1)
    last = json.loads(guest.came()[-1].body)
    return differs("came", last, {"WebSocketClose": {"channel_id": 1}})


def _not_pushed(late: str, blob: bytes | None) -> Json:
    def run(guest: Guest) -> str | None:
        _server_socket(guest)
        got = _ask_server(guest, {"WebSocketPush": {"channel_id": 1, "message_type": "Text"}}, blob)
        _hung_up(guest)
        error = json.loads(got.body)["Err"]
        return None if (error == late if guest.generation == "C" else "WsPushFailed" in error) else got.shown()

    return run


FAILED_EARLY = {"RequestFailed": {"error": Any(str)}}
FAILED = {"Err": Each(FAILED_EARLY, {"ExecuteRequestFailed": Any(str)})}

HTTP_CLIENT = Table(
    "http_client:distro:sys (A, B), http-client:distro:sys (C)",
    CLIENT,
    (
        Play("`Http`: method, address, headers and body go out; status, headers and body come back", _fetched),
        Play("`Http`: the time that the message waits is the limit", _silent_server),
        Play("`WebSocketOpen`, and `WebSocketPush` both ways, text and bytes", _pushed),
        Play("`WebSocketClose`", _hung_up),
        Play("`WebSocketClose` by the server", _is_hung_up),
        Play("Error: a push without a blob (`WsPushFailed`, `WsPushNoBlob`)", _not_pushed("WsPushNoBlob", None)),
        Play("Error: a text that is none (`WsPushFailed`, `WsPushBadText`)", _not_pushed("WsPushBadText", b"\xff")),
        Ask("Error: no such request (`BadRequest`, `MalformedRequest`)", {"Nonsense": 1}, MALFORMED),
        Ask(
            "Error: `BadMethod`",
            _fetch("http://example.com/", "B\u00c4D"),
            {"Err": {"BadMethod": {"method": Any(str)}}},
        ),
        Ask("Error: `BadUrl`", _fetch("nonsense"), {"Err": {"BadUrl": {"url": Any(str)}}}),
        Ask(
            "Error: `BadVersion`",
            _fetch("http://example.com/", version="HTTP/7"),
            {"Err": {"BadVersion": {"version": Any(str)}}},
        ),
        Ask(
            "Error: nobody there (`RequestFailed`, `ExecuteRequestFailed`)",
            _fetch("http://nobody.example.com/"),
            FAILED,
            at_once=True,
        ),
        Ask(
            "Error: an address of the node's own machine, which its user has not allowed",
            _fetch("http://127.0.0.1:8080/"),
            FAILED,
        ),
        Ask(
            "Error: a header that is none (`BadRequest`, `BuildRequestFailed`)",
            {"Http": {"method": "GET", "version": None, "url": "http://nobody.example.com/", "headers": {"a b": "c"}}},
            {"Err": Each(OneOf(({"BadRequest": {"req": Any(str)}}, FAILED_EARLY)), {"BuildRequestFailed": Any(str)})},
        ),
        Ask(
            "Error: a WebSocket cannot be opened (`WsOpenFailed`)",
            {"WebSocketOpen": {"url": "ws://nobody.example.com/", "headers": {}, "channel_id": 1}},
            {"Err": {"WsOpenFailed": {"url": Any(str)}}},
        ),
        Ask(
            "Error: `WebSocketPush` to no channel (`WsPushFailed`, `WsPushUnknownChannel`)",
            {"WebSocketPush": {"channel_id": 7, "message_type": "Text"}},
            {"Err": Each({"WsPushFailed": {"req": Any(str)}}, {"WsPushUnknownChannel": {"channel_id": 7}})},
            blob=b"x",
        ),
        Ask(
            "Error: `WebSocketClose` of no channel (`WsCloseFailed`)",
            {"WebSocketClose": {"channel_id": 7}},
            {"Err": {"WsCloseFailed": {"channel_id": 7}}},
        ),
    ),
)
