"""http_server:distro:sys, also http-server:distro:sys, with browsers in front of it."""

from __future__ import annotations

import json
from typing import Any as Json
from urllib.parse import quote

from msgspec import msgpack

from kernel.contract.address import ProcessId
from nectar_node.http.origins import label_of
from nectar_node.system.http_server import MAX_UNDER_WAY_OF_ONE
from tests.compatibility.browser import Browser, Page
from tests.compatibility.case import Any, Ask, Each, OneOf, Play, Table, by, differs
from tests.compatibility.guest import PASSWORD, Got, Guest

SERVER = Each("http_server:distro:sys", "http-server:distro:sys")
OK = {"Ok": None}
COOKIE = Each("kinode-auth_", "hyperware-auth_")
MALFORMED = {"Err": Each({"BadRequest": {"req": Any(str)}}, "MalformedRequest")}


def _server(guest: Guest) -> str:
    return str(SERVER[guest.generation])


def _tell(guest: Guest, request: Json, blob: bytes | None = None, mime: str | None = None) -> Got:
    return guest.ask(_server(guest), json.dumps(request).encode(), blob, mime)


def _bind(guest: Guest, path: str, blob: bytes | None = None, **flags: bool) -> None:
    asked = {"path": path, "authenticated": False, "local_only": False, "cache": blob is not None, **flags}
    _tell(guest, {"Bind": asked}, blob, "text/html")


def _address(guest: Guest, path: str) -> str:
    return f"/main:{guest.package}{path}"


def _open(guest: Guest, path: str, headers: dict[str, str] | None = None) -> Page:
    return guest.browser.open(_address(guest, path), headers)


def _served(guest: Guest) -> str | None:
    _bind(guest, "/games/:id")
    guest.will("answer", {"status": 201, "headers": {"Content-Type": "text/plain", "X-Made": "yes"}}, b"seven")
    got = _open(guest, "/games/7?move=e4")
    return differs("answered", (got.status, got.headers.get("x-made"), got.body), (201, "yes", b"seven"))


def _request_of_a_browser(guest: Guest) -> str | None:
    (came,) = guest.came()
    http = json.loads(came.body)["Http"]
    if came.source != _server(guest):
        return f"comes from {came.source}"
    expected = {
        "method": "GET",
        "bound_path": _address(guest, "/games/:id"),
        "url_params": {"id": "7"},
        "query_params": {"move": "e4"},
    }
    if http["url"].partition("://")[2].partition("/")[2].split("?")[0] != _address(guest, "/games/7")[1:]:
        return f"the url is {http['url']}"
    typed = isinstance(http["headers"], dict) and isinstance(http["source_socket_addr"], str)
    return differs("came", {name: http[name] for name in expected}, expected) if typed else "lacks fields"


def _body_of_a_browser(guest: Guest) -> str | None:
    _bind(guest, "/upload")
    guest.will("answer", {"status": 200, "headers": {}})
    host = _open(guest, "/upload").host
    guest.came()
    guest.browser.open(_address(guest, "/upload"), method="POST", body=b"what a form sends", host=host)
    (came,) = guest.came()
    return differs("the blob is", came.blob, b"what a form sends")


def _cached(guest: Guest) -> str | None:
    _bind(guest, "/page", b"<p>kept</p>")
    got = _open(guest, "/page")
    found = got.status, got.headers.get("content-type"), got.body, guest.came()
    return differs("got", found, (200, "text/html", b"<p>kept</p>", []))


def _base(guest: Guest) -> str | None:
    _bind(guest, "/")
    guest.will("answer", {"status": 200, "headers": {}}, b"the base")
    return differs("answered", _open(guest, "/nobody/bound/this").body, b"the base")


def _nothing(guest: Guest) -> str | None:
    _tell(guest, {"Unbind": {"path": "/"}})
    return differs("status", _open(guest, "/nobody/bound/this").status, 404)


def _authenticated(guest: Guest) -> str | None:
    _bind(guest, "/mine", b"mine", authenticated=True)
    stranger = _open(guest, "/mine")
    if stranger.status not in (200, 401) or stranger.body == b"mine":
        return f"a stranger gets {stranger.status}"
    user = Browser(guest.lab, guest.node)
    user.sign_in()
    return differs("the user gets", user.open(_address(guest, "/mine")).body, b"mine")


def _cookie(guest: Guest) -> str | None:
    """Packages name the cookie when they look for who is signed in."""
    user = Browser(guest.lab, guest.node)
    user.sign_in()
    host = user.open(_address(guest, "/mine")).host
    named = f"{COOKIE[guest.generation]}{guest.node}"
    return None if named in user.cookies(host) else f"there are {', '.join(user.cookies(host))}"


def _login(guest: Guest) -> str | None:
    """Who has not signed in gets the login page, which takes the node's password."""
    user = Browser(guest.lab, guest.node)
    asked = user.open(_address(guest, "/mine"))
    form = f"password={PASSWORD}&to={quote(_address(guest, '/mine'), safe='')}".encode()
    told = {"content-type": "application/x-www-form-urlencoded"}
    asked_at_home = user.open(_address(guest, "/mine"), host="localhost")
    if b"<form method=post action=/login>" not in asked_at_home.body:
        return f"no login page but {asked.status}"
    user.open("/login", told, "POST", form)
    return differs("who is in gets", user.open(_address(guest, "/mine")).body, b"mine")


def _decoded(guest: Guest) -> str | None:
    guest.will("answer", {"status": 200, "headers": {}})
    guest.came()
    _open(guest, "/games/a%20b%2F%C3%A9?move=%E2%99%98")
    (came,) = guest.came()
    http = json.loads(came.body)["Http"]
    found = http["url_params"], http["query_params"]
    return differs("came", found, ({"id": "a b/é"}, {"move": "♘"}))


def _at_root(guest: Guest) -> str | None:
    """Of all packages, only the homepage is at the root of an origin; others are below their names."""
    home = Browser(guest.lab, guest.node)
    home.sign_in()
    shown = home.open("/homepage:homepage:sys/")
    root = home.open("/", host=shown.host)
    own = _open(guest, "/page").host
    elsewhere = guest.browser.open("/page", host=own).status
    return differs("found", (root.body == shown.body, elsewhere), (True, 404))


def _nobody_to_ask(guest: Guest) -> str | None:
    """A process that has enough to do is asked nothing more."""
    guest.will("silence")
    _bind(guest, "/slow")
    host = f"{label_of(ProcessId.parse(f'main:{guest.package}'))}.localhost"
    for _ in range(MAX_UNDER_WAY_OF_ONE):
        guest.core.door.request("GET", _address(guest, "/slow"), (("host", host),), b"", ("127.0.0.1", 1))
    status = _open(guest, "/slow").status
    guest.lab.rest(60)  # they have all been answered 408
    guest.came()
    return differs("status", status, 503)


def _local(guest: Guest) -> str | None:
    _bind(guest, "/local", b"local", local_only=True)
    through = _open(guest, "/local", {"x-forwarded-for": "192.0.2.1"}).status
    return differs("status", (_open(guest, "/local").status, through), (200, 403))


def _never(guest: Guest) -> str | None:
    _bind(guest, "/never")
    guest.will("silence")
    return differs("status", _open(guest, "/never").status, 408)


def _nonsense(guest: Guest) -> str | None:
    guest.will("answer", "what?")
    return differs("status", _open(guest, "/never").status, 500)


def _ends(guest: Guest) -> str | None:
    guest.will("trap")
    status = _open(guest, "/never").status
    guest.lab.rest(5)  # it starts again
    _bind(guest, "/page", b"<p>kept</p>")
    return differs("status", status, 500)


def _our_name(guest: Guest) -> str | None:
    host = _open(guest, "/page").host
    script = guest.browser.open("/our.js", host=host).body.decode()
    return None if "window.our" in script and f"'{guest.node}'" in script.replace('"', "'") else "not there"


def _unbound(guest: Guest) -> str | None:
    _tell(guest, {"Unbind": {"path": "/page"}})
    return differs("status", _open(guest, "/page").status, 404)


def _socket(name: str, **fields: Json) -> Json:
    """A request about a path for WebSockets, in the shapes of each generation."""
    early = {name: {"path": "/socket", "encrypted": False, **fields}}
    return Each(early, {name: {"path": "/socket", **fields}})


def _browsers_socket(guest: Guest, *, extension: bool = False) -> Json:
    """A WebSocket of a browser, or of an extension."""
    _tell(guest, by(guest.generation, _socket("WebSocketBind", authenticated=False, extension=extension)))
    guest.came()
    host = f"{label_of(ProcessId.parse(f'main:{guest.package}'))}.localhost"
    return guest.lab.websocket(guest.node, _address(guest, "/socket"), {"host": host, "origin": f"http://{host}"})


def _opened(guest: Guest, *, extension: bool = False) -> tuple[Json, int]:
    """A WebSocket that the guest knows, and its channel there."""
    guest.will("silence")
    socket = _browsers_socket(guest, extension=extension)
    guest.lab.rest(0.1)
    opened = [json.loads(each.body) for each in guest.came()]
    return socket, next(each["WebSocketOpen"]["channel_id"] for each in opened if "WebSocketOpen" in each)


def _socket_opens(guest: Guest) -> str | None:
    guest.will("silence")
    _browsers_socket(guest)
    guest.lab.rest(0.1)
    (came,) = guest.came()
    opened = json.loads(came.body)["WebSocketOpen"]
    found = came.source, opened["path"].split("?")[0], type(opened["channel_id"])
    paths = ("/socket", _address(guest, "/socket"))
    return None if found in [(_server(guest), path, int) for path in paths] else f"{found!r}"


def _socket_tells(guest: Guest) -> str | None:
    socket, channel = _opened(guest)
    socket.send("a text")
    socket.send(b"bytes")
    guest.lab.rest(0.1)
    came = [(json.loads(each.body), each.blob) for each in guest.came()]
    pushes = [({"WebSocketPush": {"channel_id": channel, "message_type": kind}}, data) for kind, data in MESSAGES]
    return differs("came", came, pushes)


def _socket_is_told(guest: Guest) -> str | None:
    socket, channel = _opened(guest)
    for kind, data in MESSAGES:
        got = _tell(guest, {"WebSocketPush": {"channel_id": channel, "message_type": kind}}, data)
        if json.loads(got.body) != OK:
            return got.shown()
    return differs("the browser gets", [socket.receive(), socket.receive()], ["a text", b"bytes"])


def _socket_is_closed(guest: Guest) -> str | None:
    socket, channel = _opened(guest)
    _tell(guest, {"WebSocketClose": channel})
    guest.lab.rest(1)
    return None if socket.closed is not None else "it is open"


def _socket_closes(guest: Guest) -> str | None:
    socket, channel = _opened(guest)
    socket.close()
    guest.lab.rest(1)
    last = json.loads(guest.came()[-1].body)
    return differs("came", last, {"WebSocketClose": channel})


def _long_ping(guest: Guest) -> str | None:
    _, channel = _opened(guest)
    got = _tell(guest, {"WebSocketPush": {"channel_id": channel, "message_type": "Ping"}}, bytes(126))
    error = json.loads(got.body)["Err"]
    return None if error == "WsPingPongTooLong" or "WebSocketPushError" in error else got.shown()


def _controls(guest: Guest) -> str | None:
    """Ping and Pong are sent, and Close is the end."""
    socket, channel = _opened(guest)
    told = []
    for kind in ("Ping", "Pong", "Close"):
        push = {"WebSocketPush": {"channel_id": channel, "message_type": kind}}
        told.append(json.loads(_tell(guest, push, b"").body))
    guest.lab.rest(1)
    return differs("found", (told, socket.closed is not None), ([OK] * 3, True))


def _secure_socket(guest: Guest) -> str | None:
    """Only who is signed in at the package's origin gets in."""
    _tell(guest, by(guest.generation, _socket("WebSocketSecureBind", extension=False)))
    host = f"{label_of(ProcessId.parse(f'main:{guest.package}'))}.localhost"
    told = {"host": host, "origin": f"http://{host}"}
    stranger = guest.lab.websocket(guest.node, _address(guest, "/socket"), told)
    user = guest.lab.websocket(guest.node, _address(guest, "/socket"), guest.lab.sign_in(guest.node, guest.id))
    return differs("found", (stranger.is_open, user.is_open), (False, True))


def _secure(guest: Guest) -> str | None:
    """Only at an origin of the package's own, and to who is signed in there."""
    _tell(guest, {"SecureBind": {"path": "/secure", "cache": True}}, b"secure", "text/html")
    stranger = _open(guest, "/secure").body
    user = Browser(guest.lab, guest.node)
    user.sign_in()
    got = user.open(_address(guest, "/secure"))
    alone = got.host != "localhost"
    return differs("found", (stranger == b"secure", got.body, alone), (False, b"secure", True))


def _extension(guest: Guest) -> str | None:
    """An extension is sent what its process has for it, and the process what it answers, as a request."""
    socket, channel = _opened(guest, extension=True)
    asked = {"channel_id": channel, "message_type": "Binary", "desired_reply_type": "Request"}
    guest.send(_server(guest), json.dumps({"WebSocketExtPushOutgoing": asked}).encode(), b"to it")
    got = msgpack.decode(socket.receive())["WebSocketExtPushData"]
    named = EXTENSION[guest.generation]
    if got[named] != "Request" or bytes(got["blob"]) != b"to it":
        return f"the extension gets {got}"
    answer = {"id": got["id"], named: "Request", "blob": [*b"from it"]}
    socket.send(msgpack.encode({"WebSocketExtPushData": answer}))
    guest.lab.rest(0.1)
    (came,) = guest.came()
    body = {"WebSocketPush": {"channel_id": channel, "message_type": "Binary"}}
    return differs("came", (json.loads(came.body), came.blob), (body, b"from it"))


EXTENSION = Each("kinode_message_type", "hyperware_message_type")
MESSAGES = (("Text", b"a text"), ("Binary", b"bytes"))
NO_CHANNEL = {"Err": Each({"WebSocketPushError": {"error": Any(str)}}, "WsChannelNotFound")}
REPLY = {"path": "/page", "authenticated": False, "local_only": False, "cache": True}

HTTP_SERVER = Table(
    "http_server:distro:sys (A, B), http-server:distro:sys (C)",
    SERVER,
    (
        Ask("`Bind`", {"Bind": {"path": "/x", "authenticated": False, "local_only": False, "cache": False}}, OK),
        Play("A browser's request is answered by the process: status, headers, blob", _served),
        Play("`Http`, as the process gets it: source, url, bound path, parameters", _request_of_a_browser),
        Play("`Http` with parameters that are percent-encoded, in the path and in the query", _decoded),
        Play("`Http` with a body, as blob", _body_of_a_browser),
        Ask("`Bind` with `cache`", {"Bind": REPLY}, OK, blob=b"<p>kept</p>", mime="text/html"),
        Play("A cached page is served without waking the process", _cached),
        Play("A path that nobody bound goes to the base path", _base),
        Play("404 where nothing is bound", _nothing, "BC"),
        Play("`authenticated`: the page is for who has signed in", _authenticated),
        Play("The cookie is named `kinode-auth_NODE` (A, B), `hyperware-auth_NODE` (C)", _cookie),
        Play("`POST /login` with the node's password gives it; without it a GET gets the login page", _login),
        Play("Only the homepage is at a root; all others are below their names", _at_root),
        Play("`local_only`: not through a proxy", _local),
        Play("`/our.js`, with which pages begin", _our_name),
        Play("408 when a process does not answer", _never),
        Play("500 when it answers nonsense", _nonsense),
        Play("503 when it has too much to do to be asked", _nobody_to_ask),
        Play("500 when it ends", _ends),
        Ask("`SecureBind`", {"SecureBind": {"path": "/secure", "cache": False}}, OK),
        Play("A `SecureBind` path is for who has signed in, at the package's own origin", _secure),
        Ask("`Unbind`", Each(None, {"Unbind": {"path": "/x"}}, B={"Unbind": {"path": "/x"}}), OK),
        Play("An unbound path is not served", _unbound, "BC"),
        Ask("`WebSocketBind`", _socket("WebSocketBind", authenticated=False, extension=False), OK),
        Ask("`WebSocketSecureBind`", _socket("WebSocketSecureBind", extension=False), OK),
        Ask("`WebSocketBind` of an extension", _socket("WebSocketBind", authenticated=False, extension=True), OK),
        Play("A `WebSocketSecureBind` path is for who has signed in", _secure_socket),
        Play("`WebSocketOpen`: the process learns of a browser", _socket_opens),
        Play("`WebSocketPush` of a browser, text and bytes", _socket_tells),
        Play("`WebSocketPush` to a browser, text and bytes", _socket_is_told),
        Play("`WebSocketPush` to a browser of `Ping`, `Pong` and `Close`", _controls),
        Play("`WebSocketClose` by the process", _socket_is_closed),
        Play("`WebSocketClose` by the browser", _socket_closes),
        Play("Error: a ping of more than 125 bytes (`WebSocketPushError`, `WsPingPongTooLong`)", _long_ping),
        Play("`WebSocketExtPushOutgoing` and `WebSocketExtPushData`: an extension is asked, and answers", _extension),
        Ask(
            "`WebSocketUnbind`",
            Each(None, {"WebSocketUnbind": {"path": "/socket"}}, B={"WebSocketUnbind": {"path": "/socket"}}),
            OK,
        ),
        Ask(
            "Error: `WebSocketPush` to no channel (`WebSocketPushError`, `WsChannelNotFound`)",
            {"WebSocketPush": {"channel_id": 7, "message_type": "Text"}},
            NO_CHANNEL,
            blob=b"x",
        ),
        Ask("`WebSocketClose` of a channel that is closed", {"WebSocketClose": 7}, OneOf((OK, NO_CHANNEL))),
        Ask(
            "Error: `WebSocketExtPushOutgoing` to no channel",
            {"WebSocketExtPushOutgoing": {"channel_id": 7, "message_type": "Text", "desired_reply_type": "Request"}},
            NO_CHANNEL,
            blob=b"x",
        ),
        Ask("Error: no blob (`NoBlob`)", {"Bind": REPLY}, {"Err": "NoBlob"}),
        Ask("Error: no such request (`BadRequest`, `MalformedRequest`)", {"Nonsense": 1}, MALFORMED),
        Ask("Error: no JSON (`BadRequest`, `MalformedRequest`)", b"nonsense", MALFORMED),
        Ask(
            "Error: the path cannot be bound (`PathBindError`)",
            Each({"Bind": {"path": "/../x", "authenticated": False, "local_only": False, "cache": False}}, None),
            {"Err": {"PathBindError": {"error": Any(str)}}},
        ),
    ),
    "`InvalidSourceProcess` (C) is for a process whose name makes no path. Here each name does, so it is never needed.",
)
