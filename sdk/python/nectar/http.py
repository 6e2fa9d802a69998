"""Pages and WebSockets for browsers, by `http-server:distro:sys`, which the manifest asks for.

    from nectar import http

    http.serve("/", b"<h1>Games</h1>", "text/html; charset=utf-8")

    @http.route("/games/:id")
    async def game(request: http.HttpRequest) -> object:
        return {"id": request.url_params["id"]}

    chat = http.WebSockets("/live")

    @chat.on_message
    def said(channel: http.Channel, message: str | bytes) -> None:
        channel.send(message)

These stand at the top of a module. Paths are below the process's name, and are bound when it starts. A process with an
`init` of its own calls `bind_all()`, and gives `handle` what `kernel.receive` returns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nectar import json, kernel, node
from nectar.errors import BadJson, Refused
from nectar.messages import Blob, Reply, Request, Response

SERVER = "http-server:distro:sys"
_TARGET = f"our@{SERVER}"
H = TypeVar("H", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class BodyFile:
    """A body that has become a file of this package, to keep or remove."""

    path: str
    """As the vfs has it: "/chess:sys/data/sent/0123456789abcdef"."""
    length: int
    """Bytes."""
    hash: str
    """BLAKE3, in hex."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A browser's request."""

    method: str
    url: str
    bound_path: str
    """The path that was bound, with the process's name in front."""
    headers: dict[str, str]
    """Names are in lower case."""
    url_params: dict[str, str]
    query_params: dict[str, str]
    source_socket_addr: str = ""
    body: bytes = field(default=b"", repr=False)
    body_file: BodyFile | None = None
    """Where the body is, of a route with `body_to`; None: it is empty."""

    def json(self) -> Any:
        """Return the body as JSON; raises BadJson."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer to a browser: what a handler returns that wants to say more than a body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    file: str | None = None
    """A file that this process may read, "/chess:sys/data/film.webm", in place of the body: the node reads it from the
    disk."""


@dataclass(frozen=True, slots=True)
class _Binding:
    order: dict[str, Any]
    blob: Blob | None = None


_bindings: list[_Binding] = []
_routes: dict[str, Callable[[HttpRequest], object]] = {}
_sockets: list[WebSockets] = []
_channels: dict[int, WebSockets] = {}
"""The WebSockets to which each channel belongs."""


def route(
    path: str,
    *,
    authenticated: bool = False,
    local_only: bool = False,
    body_to: str | None = None,
    body_limit: int | None = None,
) -> Callable[[Callable[[HttpRequest], object]], Callable[[HttpRequest], object]]:
    """Let a function, `async` or not, answer requests for a path below the process's name.

    A part that begins with a colon is a parameter: `/games/:id`. What the function returns is the body: a text or bytes
    as they are, an HttpResponse, anything else as JSON. `authenticated` serves only who has signed in, `local_only`
    only the node's own machine.

    `body_to` is a folder in a drive of this package, "/chess:sys/data/sent", where bodies of any length become files;
    `request.body_file` says which. `body_limit` is the number of bytes that one may have; without it the package's
    quota is the limit.
    """

    def mark(handler: Callable[[HttpRequest], object]) -> Callable[[HttpRequest], object]:
        order = _bind(path, authenticated, local_only, cache=False)
        if body_to is not None:
            order["Bind"] |= {"body_to": body_to, "body_limit": body_limit}
        _add(_Binding(order))
        _routes[path] = handler
        return handler

    return mark


def serve(path: str, content: bytes, mime: str, *, authenticated: bool = False, local_only: bool = False) -> None:
    """Let the node answer GET with `content` itself; this process sleeps on."""
    _add(_Binding(_bind(path, authenticated, local_only, cache=True), Blob(content, mime)))


def serve_files(
    path: str,
    *,
    file: str | None = None,
    folder: str | None = None,
    authenticated: bool = False,
    local_only: bool = False,
) -> None:
    """Let the node answer GET with a file or a folder, "/chess:sys/pkg/ui", which it reads from the disk when asked."""
    if (file is None) == (folder is None):
        raise TypeError("say which file, or which folder")
    order = _bind(path, authenticated, local_only, cache=False)
    order["Bind"] |= {"file": file} if folder is None else {"folder": folder}
    _add(_Binding(order))


def _bind(path: str, authenticated: bool, local_only: bool, *, cache: bool) -> dict[str, Any]:
    return {"Bind": {"path": path, "authenticated": authenticated, "local_only": local_only, "cache": cache}}


@dataclass(frozen=True, slots=True)
class Channel:
    """A WebSocket that is open: one browser."""

    number: int
    path: str = ""
    """Below the process's name, as the browser has asked for it."""

    def send(self, message: str | bytes | object) -> None:
        """Send a text, bytes, or anything else as JSON in a text.

        A channel whose browser reads too slowly, or has gone, ends with `on_close`.
        """
        kind = "Binary" if isinstance(message, bytes) else "Text"
        data = message.encode() if isinstance(message, str) else message
        blob = data if isinstance(data, bytes) else json.dumps(data)
        kernel.send(_TARGET, {"WebSocketPush": {"channel_id": self.number, "message_type": kind}}, blob=blob)

    def close(self) -> None:
        """End it; `on_close` still comes."""
        kernel.send(_TARGET, {"WebSocketClose": self.number})


class WebSockets:
    """The WebSockets that browsers open at a path below the process's name."""

    def __init__(self, path: str, *, authenticated: bool = False, extension: bool = False) -> None:
        """`authenticated`: let in only who has signed in. A path may have parameters: `/rooms/:id`.

        `extension`: not browsers connect here, but a program on the node's machine that works for this process.
        """
        self.path = path
        self.channels: dict[int, Channel] = {}
        """Those that are open, by their numbers."""
        self._on_open: Callable[[Channel], object] | None = None
        self._on_message: Callable[[Channel, str | bytes], object] | None = None
        self._on_close: Callable[[Channel], object] | None = None
        _sockets.append(self)
        order = {"path": path, "authenticated": authenticated, "extension": extension}
        _add(_Binding({"WebSocketBind": order}))

    def on_open(self, handler: H) -> H:
        """Let a function, `async` or not, be told of each new channel: `def opened(channel)`."""
        self._on_open = handler
        return handler

    def on_message(self, handler: H) -> H:
        """Let a function be given what browsers send: `def said(channel, message)`, a str or bytes."""
        self._on_message = handler
        return handler

    def on_close(self, handler: H) -> H:
        """Let a function be told when a channel has ended: `def closed(channel)`."""
        self._on_close = handler
        return handler

    def send_all(self, message: str | bytes | object) -> None:
        """Send to all channels that are open, as `Channel.send` does."""
        for channel in self.channels.values():
            channel.send(message)

    def opened(self, channel: Channel) -> object:
        """Take note of a new channel; returns what the handler does."""
        self.channels[channel.number] = channel
        return self._on_open(channel) if self._on_open else None

    def pushed(self, number: int, kind: str, blob: Blob | None) -> object:
        """Pass on what a browser has sent; returns what the handler does."""
        channel = self.channels.get(number)
        if channel is None or kind not in ("Text", "Binary") or self._on_message is None:
            return None
        data = b"" if blob is None else blob.bytes
        return self._on_message(channel, data.decode() if kind == "Text" else data)

    def closed(self, number: int) -> object:
        """Forget a channel; returns what the handler does."""
        channel = self.channels.pop(number, None)
        return self._on_close(channel) if channel and self._on_close else None


def path_fits(bound: str, asked: str) -> bool:
    """Whether a path that a browser has asked for is the bound one, which may have parameters.

    ```pycon
    >>> path_fits("/rooms/:id", "/rooms/7")
    True

    ```
    """
    ours, theirs = bound.strip("/").split("/"), asked.strip("/").split("/")
    return len(ours) == len(theirs) and all(
        mine.startswith(":") or mine == its for mine, its in zip(ours, theirs, strict=True)
    )


def _add(binding: _Binding) -> None:
    if not _bindings:
        node.on_start(bind_all)
        node.on_request_from(SERVER, handle)
        node.on_request_from("http_server:distro:sys", handle)
    _bindings.append(binding)


def bind_all() -> None:
    """Bind all paths, and wait until they are; a process with handlers does so when it starts.

    Raises Refused, if the server does not bind one (the node's log says why), Offline and Timeout.
    """
    for each in _bindings:
        node.question(_TARGET, each.order, _bound, blob=each.blob).wait()


def _bound(response: Response) -> None:
    try:
        response.ok()
    except Refused as refused:
        raise Refused(f"a path is not bound: {refused.reason}") from None


def handle(request: Request) -> object:
    """Do what a request of the HTTP server says; returns the answer, or what is to be awaited for it."""
    match request.json():
        case {"Http": dict(asked)}:
            return _answer(request, asked)
        case {"WebSocketOpen": {"channel_id": int(number), "path": str(path)}}:
            for each in _sockets:
                if path_fits(each.path, path):
                    _channels[number] = each
                    return each.opened(Channel(number, path))
        case {"WebSocketPush": {"channel_id": int(number), "message_type": str(kind)}}:
            if number in _channels:
                return _channels[number].pushed(number, kind, request.blob())
        case {"WebSocketClose": int(number)}:
            if number in _channels:
                return _channels.pop(number).closed(number)
    return None


async def _answer(request: Request, asked: dict[str, Any]) -> object:
    blob = request.blob()
    read = json.decode(HttpRequest, {key: value for key, value in asked.items() if key != "body"})
    read = dataclasses.replace(read, body=b"" if blob is None else blob.bytes)
    below = read.bound_path.removeprefix(f"/{node.our().process}") or "/"
    handler = _routes.get(below)
    if handler is None:
        return reply_of(HttpResponse(404, b"There is no such page.\n", {"Content-Type": "text/plain"}))
    try:
        made = handler(read)
        return reply_of(await made if hasattr(made, "__await__") else made)
    except BadJson as error:
        return reply_of(HttpResponse(400, f"{error}\n".encode(), {"Content-Type": "text/plain"}))


def reply_of(made: object) -> Reply:
    """Return what a handler has made as the server wants it."""
    if not isinstance(made, HttpResponse):
        made = _usual(made)
    told: dict[str, Any] = {"status": made.status, "headers": dict(made.headers)}
    if made.file is not None:
        return Reply({**told, "file": made.file})
    return Reply(told, blob=made.body)


def _usual(made: object) -> HttpResponse:
    if isinstance(made, bytes):
        return HttpResponse(body=made, headers={"Content-Type": "application/octet-stream"})
    if isinstance(made, str):
        return HttpResponse(body=made.encode(), headers={"Content-Type": "text/html; charset=utf-8"})
    return HttpResponse(body=json.dumps(made), headers={"Content-Type": "application/json"})
