"""What a process and its extension send each other: MessagePack of `WebSocketExtPushData`.

An extension is a program on the node's machine that is connected by a WebSocket and works for a process. What the
process sends it, {"WebSocketExtPushData": {"id", "…_message_type", "blob"}}, names the process's request and whether
the extension is to send a request or the response to that one; the extension answers with the same. The two generations
of packages differ in the name of that field, so what is sent has both. The published interface's Rust writes bytes as
an array of numbers, and structures by name or by position: so all of that is read.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from kernel.contract.message import Buffer

MessageType = Literal["Request", "Response"]
MESSAGE_TYPES: tuple[MessageType, ...] = ("Request", "Response")
"""What an extension may be asked to send."""
_Bytes = bytes | list[Annotated[int, Meta(ge=0, le=255)]]


class ExtensionData(NamedTuple):
    """What is sent, in either direction."""

    id: int
    """The process's request."""
    message_type: MessageType
    blob: bytes


class _Named(Struct):
    id: int
    blob: _Bytes
    kinode_message_type: MessageType | None = None
    hyperware_message_type: MessageType | None = None


class _Placed(Struct, array_like=True):
    id: int
    kind: MessageType
    blob: _Bytes


class _OuterNamed(Struct):
    data: _Named = msgspec.field(name="WebSocketExtPushData")


class _OuterPlaced(Struct):
    data: _Placed = msgspec.field(name="WebSocketExtPushData")


_WRONG = (msgspec.DecodeError, RecursionError)
"""What the decoders raise: the latter for what is nested without end, where a field is skipped."""
_NAMED, _PLACED = msgspec.msgpack.Decoder(_OuterNamed), msgspec.msgpack.Decoder(_OuterPlaced)


def encode(data: ExtensionData) -> bytes:
    """Return what an extension is sent."""
    kind = data.message_type
    fields = {"id": data.id, "kinode_message_type": kind, "hyperware_message_type": kind, "blob": list(data.blob)}
    return msgspec.msgpack.encode({"WebSocketExtPushData": fields})


def decode_untrusted(data: Buffer) -> ExtensionData | None:
    """Return what an extension has sent; None: it is nothing of the kind."""
    try:
        named = _NAMED.decode(data).data
        kind = named.hyperware_message_type or named.kinode_message_type
        return None if kind is None else ExtensionData(named.id, kind, bytes(named.blob))
    except _WRONG:
        pass
    try:
        placed = _PLACED.decode(data).data
    except _WRONG:
        return None
    return ExtensionData(placed.id, placed.kind, bytes(placed.blob))
