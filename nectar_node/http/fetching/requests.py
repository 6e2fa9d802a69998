"""Requests of processes to the HTTP client, read from their fields; raises CallRefused and RequestRefused."""

from __future__ import annotations

from kernel.contract.message import Buffer, LazyLoadBlob
from nectar_node.contract.http_client import MessageType
from nectar_node.contract.json_shapes import field_untrusted
from nectar_node.http.fetching.errors import alike, malformed, not_built, not_pushed, push_failed
from nectar_node.http.fetching.hops import (
    SCHEMES,
    SOCKET_SCHEMES,
    BadHttpHeader,
    BadUrl,
    Hop,
    headers_untrusted,
    is_method,
    url_untrusted,
)

MAX_BODY_BYTES = 32 << 20
"""Bytes of the body of a request, and of an answer: as much as the HTTP server takes."""
MAX_MESSAGE_BYTES = 8 << 20
"""Bytes of one message of a WebSocket, in either direction."""
MAX_CONTROL_BYTES = 125
"""Bytes of a ping or a pong (RFC 6455, 5.5)."""
_VERSIONS = (None, "HTTP/1.1")
_TYPES = {each.value: each for each in MessageType}


def http_untrusted(fields: object, blob: LazyLoadBlob | None) -> Hop:
    """Return the request that a process wants sent."""
    method, url = text_field_untrusted(fields, "method"), text_field_untrusted(fields, "url")
    version = fields.get("version") if isinstance(fields, dict) else None
    if not is_method(method):
        raise alike({"BadMethod": {"method": method[:100]}}, f"{method[:40]!r} is no method")
    if version not in _VERSIONS:
        raise alike({"BadVersion": {"version": str(version)[:100]}}, "the node's client speaks HTTP/1.1")
    body: Buffer = b"" if blob is None else blob.bytes
    if len(body) > MAX_BODY_BYTES:
        raise not_built(f"a body has at most {MAX_BODY_BYTES} bytes")
    return hop_untrusted(method, url, fields, body)


def hop_untrusted(method: str, url: str, fields: object, body: Buffer, *, socket: bool = False) -> Hop:
    """Return a request with the headers in the fields; for a `socket`, to open it."""
    try:
        read = url_untrusted(url, SOCKET_SCHEMES if socket else SCHEMES)
        return Hop(method, read, headers_untrusted(field_untrusted(fields, "headers"), socket=socket), body)
    except BadUrl:
        raise alike({"BadUrl": {"url": url[:1000]}}, f"{url[:100]!r} cannot be asked for") from None
    except BadHttpHeader as error:
        raise not_built(str(error)) from None


def message_untrusted(name: str, blob: LazyLoadBlob | None) -> tuple[MessageType, bytes]:
    """Return the message of a WebSocket that a process wants sent."""
    kind = _TYPES.get(name)
    if kind is None:
        raise malformed(f"there is no message of the type {name[:40]!r}")
    is_control = kind in (MessageType.PING, MessageType.PONG)
    if blob is None and not is_control:
        raise not_pushed("WsPushNoBlob", "there is no blob")
    data = b"" if blob is None else bytes(blob.bytes)
    if kind is MessageType.TEXT and not _is_text(data):
        raise not_pushed("WsPushBadText", "a text is not UTF-8")
    most = MAX_CONTROL_BYTES if is_control else MAX_MESSAGE_BYTES
    if len(data) > most:
        raise push_failed(f"a message of this type has at most {most} bytes")
    return kind, data


def text_field_untrusted(fields: object, name: str) -> str:
    """Return a field that is a text."""
    value = field_untrusted(fields, name)
    if not isinstance(value, str):
        raise malformed(f"{name} is no text")
    return value


def channel_untrusted(fields: object) -> int:
    """Return the number that a process gives a WebSocket."""
    value = field_untrusted(fields, "channel_id")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 32:
        raise malformed("channel_id is no number from 0 to 4294967295")
    return value


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
