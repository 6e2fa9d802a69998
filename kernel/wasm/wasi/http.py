"""The interfaces of wasi:http, as far as a guest asks servers: incoming requests are `http_server`'s.

A request becomes a message of the guest's when it is complete (`exchanges`), and its answer comes whole; so bodies are
written and read here, and none of their streams makes anybody wait. What comes in by `incoming-handler` is not offered:
its functions have nothing behind them (`interfaces`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from kernel.contract.http import HttpCall, HttpFailure, HttpFields, ServerAnswer
from kernel.wasm.wasi.exchanges import DROPPED, LATE, Exchange, OutgoingContent, size_of_fields
from kernel.wasm.wasi.http_errors import error_code
from kernel.wasm.wasi.state import (
    MAX_HELD_BYTES,
    MAX_MOMENT,
    NANOSECONDS,
    InputStream,
    IoError,
    OutputStream,
    Pollable,
    WasiState,
)

MAX_FIELDS_BYTES = 64 << 10
"""Headers of one request: twice what a node's HTTP client sends."""
USUAL_SECONDS = 30
"""Seconds that a server has where the guest says nothing, as in the SDKs."""
MAX_SECONDS = 3600
"""Seconds that it has at most."""

_INVALID, _FORBIDDEN, _IMMUTABLE = (1, (0, None)), (1, (1, None)), (1, (2, None))
"""Values of header-error; there is none for too many, so they are forbidden."""
_OK, _ERROR = (0, None), (1, None)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_METHOD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}")
_PATH = re.compile(r"[/?][^\x00-\x20\x7f#]*|\*|")
_AUTHORITY = re.compile(r"[^\x00-\x20\x7f/?#@\\]+")
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_SCHEMES = ("http", "https")
_OTHER_METHOD, _OTHER_SCHEME = len(_METHODS), len(_SCHEMES)
_NO_FIELDS_SENT = frozenset(
    {
        "connection",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that are the connection's, and not a guest's to set; those that Wasmtime forbids."""


# --- resources --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class HeaderFields:
    """Headers; names in lower case."""

    kind: ClassVar[str] = "wasi:http/types.fields"
    entries: HttpFields = ()
    is_immutable: bool = False
    held: int = 0


@dataclass(slots=True)
class OutgoingRequest:
    """A request that is being put together."""

    kind: ClassVar[str] = "wasi:http/types.outgoing-request"
    fields: HttpFields
    held: int
    method: tuple[int, str | None] = (0, None)
    path: str | None = None
    scheme: tuple[int, str | None] | None = None
    authority: str | None = None
    content: OutgoingContent | None = None

    def dropped(self, state: WasiState) -> None:
        """Nobody sends it any more; a body of it that is complete goes too."""
        content = self.content
        if content is not None:
            content.is_wanted = False
            if not content.is_open:
                _release(state, content)


@dataclass(slots=True)
class RequestOptions:
    """How long a server may take: until the connection, the first byte, and between bytes, in nanoseconds."""

    kind: ClassVar[str] = "wasi:http/types.request-options"
    timeouts: list[int | None] = field(default_factory=lambda: [None, None, None])


@dataclass(slots=True)
class OutgoingBody:
    """A request's body that is being written."""

    kind: ClassVar[str] = "wasi:http/types.outgoing-body"
    content: OutgoingContent
    has_stream: bool = False

    def dropped(self, state: WasiState) -> None:
        """It is not complete, and will not be."""
        self.close(state, DROPPED)

    def close(self, state: WasiState, failure: HttpFailure | None) -> None:
        """Send the request that waits for it, or let that fail."""
        content = self.content
        content.is_open, content.failure = False, failure
        if content.call is not None:
            call, exchange = content.call
            if failure is None:
                state.exchanges.send(call._replace(body=content.data), exchange, state.now())
            else:
                state.exchanges.end(exchange, failure)
        if content.call is not None or failure is not None or not content.is_wanted:
            _release(state, content)


@dataclass(slots=True)
class FutureIncomingResponse:
    """An answer that is awaited."""

    kind: ClassVar[str] = "wasi:http/types.future-incoming-response"
    exchange: Exchange

    def dropped(self, state: WasiState) -> None:
        """Nobody wants the answer."""
        state.exchanges.end(self.exchange, LATE)
        state.exchanges.taken(self.exchange)


@dataclass(slots=True)
class IncomingResponse:
    """An answer; its body is there until it is consumed."""

    kind: ClassVar[str] = "wasi:http/types.incoming-response"
    status: int
    fields: HttpFields
    body: memoryview | None
    held: int


@dataclass(slots=True)
class IncomingBody:
    """An answer's body, until its stream is taken."""

    kind: ClassVar[str] = "wasi:http/types.incoming-body"
    body: memoryview | None
    held: int


@dataclass(slots=True)
class FutureTrailers:
    """Trailers: there are none."""

    kind: ClassVar[str] = "wasi:http/types.future-trailers"
    is_taken: bool = False


def _release(state: WasiState, content: OutgoingContent) -> None:
    """Hold a body no longer."""
    state.hold(-len(content.data))
    content.data = bytearray()


# --- fields -----------------------------------------------------------------------------------------------------------


def _new_fields(state: WasiState) -> int:
    return state.add(HeaderFields())


def _valid(name: str, values: tuple[bytes, ...]) -> tuple[int, Any]:
    if not _NAME.fullmatch(name) or not all(map(_VALUE.fullmatch, values)):
        return _INVALID
    return _FORBIDDEN if name.lower() in _NO_FIELDS_SENT else _OK


def _from_list(state: WasiState, entries: tuple[tuple[str, bytes], ...]) -> tuple[int, Any]:
    for name, value in entries:
        if (refusal := _valid(name, (value,))) is not _OK:
            return refusal
    made = tuple((name.lower(), value) for name, value in entries)
    size = size_of_fields(made)
    return _FORBIDDEN if size > MAX_FIELDS_BYTES else (0, state.add(HeaderFields(made, held=size)))


def _get(_: WasiState, fields: HeaderFields, name: str) -> tuple[bytes, ...]:
    return tuple(value for known, value in fields.entries if known == name.lower())


def _has(_: WasiState, fields: HeaderFields, name: str) -> bool:
    return any(known == name.lower() for known, _ in fields.entries)


def _changed(state: WasiState, fields: HeaderFields, entries: HttpFields) -> tuple[int, Any]:
    size = size_of_fields(entries)
    if size > MAX_FIELDS_BYTES:
        return _FORBIDDEN
    state.hold(size - fields.held)
    fields.entries, fields.held = entries, size
    return _OK


def _set(state: WasiState, fields: HeaderFields, name: str, values: tuple[bytes, ...]) -> tuple[int, Any]:
    if fields.is_immutable:
        return _IMMUTABLE
    if (refusal := _valid(name, values)) is not _OK:
        return refusal
    others = tuple(entry for entry in fields.entries if entry[0] != name.lower())
    return _changed(state, fields, (*others, *((name.lower(), value) for value in values)))


def _delete(state: WasiState, fields: HeaderFields, name: str) -> tuple[int, Any]:
    return _set(state, fields, name, ())


def _append(state: WasiState, fields: HeaderFields, name: str, value: bytes) -> tuple[int, Any]:
    if fields.is_immutable:
        return _IMMUTABLE
    if (refusal := _valid(name, (value,))) is not _OK:
        return refusal
    return _changed(state, fields, (*fields.entries, (name.lower(), value)))


def _entries(_: WasiState, fields: HeaderFields) -> HttpFields:
    return fields.entries


def _clone(state: WasiState, fields: HeaderFields) -> int:
    return state.add(HeaderFields(fields.entries, held=fields.held))


def _headers(state: WasiState, whole: OutgoingRequest | IncomingResponse) -> int:
    return state.add(HeaderFields(whole.fields, is_immutable=True, held=size_of_fields(whole.fields)))


# --- requests ---------------------------------------------------------------------------------------------------------


def _new_request(state: WasiState, fields: HeaderFields) -> int:
    return state.add(OutgoingRequest(fields.entries, fields.held))


def _set_method(_: WasiState, request: OutgoingRequest, method: tuple[int, str | None]) -> tuple[int, None]:
    if method[1] is not None and not _METHOD.fullmatch(method[1]):
        return _ERROR
    request.method = method
    return _OK


def _set_path(_: WasiState, request: OutgoingRequest, path: str | None) -> tuple[int, None]:
    if path is not None and not _PATH.fullmatch(path):
        return _ERROR
    request.path = path
    return _OK


def _set_scheme(_: WasiState, request: OutgoingRequest, scheme: tuple[int, str | None] | None) -> tuple[int, None]:
    if scheme is not None and scheme[1] is not None and not _METHOD.fullmatch(scheme[1]):
        return _ERROR
    request.scheme = scheme
    return _OK


def _set_authority(_: WasiState, request: OutgoingRequest, authority: str | None) -> tuple[int, None]:
    if authority is not None and not _AUTHORITY.fullmatch(authority):
        return _ERROR
    request.authority = authority
    return _OK


def _body(state: WasiState, request: OutgoingRequest) -> tuple[int, Any]:
    if request.content is not None:
        return _ERROR
    (length, *_) = *(value for name, value in request.fields if name == "content-length"), None
    request.content = OutgoingContent(int(length) if length is not None and length.isdigit() else None, bytearray())
    return 0, state.add(OutgoingBody(request.content))


def _write(state: WasiState, body: OutgoingBody) -> tuple[int, Any]:
    if body.has_stream:
        return _ERROR
    body.has_stream = True
    return 0, state.add(OutputStream(0, content=body.content))


def _finish(state: WasiState, body: OutgoingBody, trailers: int | None) -> tuple[int, Any]:
    content = body.content
    failure, size = content.failure, len(content.data)
    if trailers is not None:
        state.take(trailers, HeaderFields.kind)
        failure = HttpFailure("HTTP-request-trailer-section-size", "no trailers are sent")
    elif failure is None and content.expected not in (None, size):
        failure = HttpFailure("HTTP-request-body-size", f"it has {size} bytes, and its header says {content.expected}")
    body.close(state, failure)
    return _OK if failure is None else (1, error_code(failure))


def _timeout(which: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def get(_: WasiState, options: RequestOptions) -> int | None:
        return options.timeouts[which]

    def put(_: WasiState, options: RequestOptions, duration: int | None) -> tuple[int, None]:
        options.timeouts[which] = duration
        return _OK

    return get, put


def _handle(state: WasiState, request: OutgoingRequest, options: int | None) -> tuple[int, Any]:
    """Ask a server, as soon as the body is complete."""
    timeouts = [] if options is None else state.take(options, RequestOptions.kind).timeouts
    if request.authority is None:
        request.dropped(state)
        return 1, error_code(HttpFailure("HTTP-request-URI-invalid", "it names no server"))
    number, other = request.method
    method = _METHODS[number] if other is None else other
    number, other = (1, None) if request.scheme is None else request.scheme
    path = request.path or "/"
    url = f"{_SCHEMES[number] if other is None else other}://{request.authority}{'' if path[0] == '/' else '/'}{path}"
    given = sum(each for each in timeouts if each is not None) or USUAL_SECONDS * NANOSECONDS
    deadline = min(state.now() + min(given, MAX_SECONDS * NANOSECONDS), MAX_MOMENT)
    exchange, content = state.exchanges.begin(deadline), request.content
    call = HttpCall(method, url, request.fields, b"")
    if content is None:
        state.exchanges.send(call, exchange, state.now())
    elif content.is_open:
        content.call = call, exchange
    else:
        if content.failure is not None:
            state.exchanges.end(exchange, content.failure)
        else:
            state.exchanges.send(call._replace(body=content.data), exchange, state.now())
        _release(state, content)
    return 0, state.add(FutureIncomingResponse(exchange))


# --- answers ----------------------------------------------------------------------------------------------------------


def _subscribe(state: WasiState, future: FutureIncomingResponse) -> int:
    return state.add(Pollable(future.exchange.deadline, future.exchange))


def _get_response(state: WasiState, future: FutureIncomingResponse) -> Any:
    exchange = future.exchange
    return state.look(Pollable(exchange.deadline, exchange), lambda: _response(state, exchange))


def _response(state: WasiState, exchange: Exchange) -> Any:
    if not state.is_ready(Pollable(exchange.deadline, exchange)):
        return None
    state.exchanges.end(exchange, LATE)
    if exchange.is_taken:
        return _ERROR
    outcome, exchange.outcome = exchange.outcome, LATE
    state.exchanges.taken(exchange)
    if isinstance(outcome, ServerAnswer):
        size = len(outcome.body) + size_of_fields(outcome.fields)
        if state.has_space(size):
            body = memoryview(outcome.body)
            return 0, (0, state.add(IncomingResponse(outcome.status, outcome.fields, body, size)))
        outcome = HttpFailure("internal-error", f"it holds more than {MAX_HELD_BYTES} bytes of bodies with this answer")
    assert outcome is not None
    return 0, (1, error_code(outcome))


def _consume(state: WasiState, response: IncomingResponse) -> tuple[int, Any]:
    body, response.body = response.body, None
    if body is None:
        return _ERROR
    state.hold(-len(body))
    response.held -= len(body)
    return 0, state.add(IncomingBody(body, len(body)))


def _stream(state: WasiState, incoming: IncomingBody) -> tuple[int, Any]:
    body, incoming.body = incoming.body, None
    if body is None:
        return _ERROR
    state.hold(-incoming.held)
    incoming.held = 0
    return 0, state.add(InputStream(None, 0, body, len(body)))


def _finish_incoming(state: WasiState, _: IncomingBody) -> int:
    return state.add(FutureTrailers())


def _subscribe_trailers(state: WasiState, _: FutureTrailers) -> int:
    return state.add_ready()


def _get_trailers(_: WasiState, future: FutureTrailers) -> Any:
    if future.is_taken:
        return _ERROR
    future.is_taken = True
    return 0, (0, None)


def _http_error_code(_: WasiState, error: IoError) -> Any:
    return None if error.http is None else error_code(error.http)


_TIMEOUTS: dict[str, Callable[..., Any]] = {}
for _number, _name in enumerate(("connect-timeout", "first-byte-timeout", "between-bytes-timeout")):
    _TIMEOUTS[f"[method]request-options.{_name}"], _TIMEOUTS[f"[method]request-options.set-{_name}"] = _timeout(_number)

ACTS: dict[str, dict[str, Callable[..., Any]]] = {
    "wasi:http/outgoing-handler": {"handle": _handle},
    "wasi:http/types": {
        "http-error-code": _http_error_code,
        "[constructor]fields": _new_fields,
        "[static]fields.from-list": _from_list,
        "[method]fields.get": _get,
        "[method]fields.has": _has,
        "[method]fields.set": _set,
        "[method]fields.delete": _delete,
        "[method]fields.append": _append,
        "[method]fields.entries": _entries,
        "[method]fields.clone": _clone,
        "[constructor]outgoing-request": _new_request,
        "[method]outgoing-request.body": _body,
        "[method]outgoing-request.method": lambda _, request: request.method,
        "[method]outgoing-request.set-method": _set_method,
        "[method]outgoing-request.path-with-query": lambda _, request: request.path,
        "[method]outgoing-request.set-path-with-query": _set_path,
        "[method]outgoing-request.scheme": lambda _, request: request.scheme,
        "[method]outgoing-request.set-scheme": _set_scheme,
        "[method]outgoing-request.authority": lambda _, request: request.authority,
        "[method]outgoing-request.set-authority": _set_authority,
        "[method]outgoing-request.headers": _headers,
        "[constructor]request-options": lambda state: state.add(RequestOptions()),
        **_TIMEOUTS,
        "[method]outgoing-body.write": _write,
        "[static]outgoing-body.finish": _finish,
        "[method]future-incoming-response.subscribe": _subscribe,
        "[method]future-incoming-response.get": _get_response,
        "[method]incoming-response.status": lambda _, response: response.status,
        "[method]incoming-response.headers": _headers,
        "[method]incoming-response.consume": _consume,
        "[method]incoming-body.stream": _stream,
        "[static]incoming-body.finish": _finish_incoming,
        "[method]future-trailers.subscribe": _subscribe_trailers,
        "[method]future-trailers.get": _get_trailers,
    },
}
"""As in `io`."""
