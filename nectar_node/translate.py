"""Between the kernel's envelopes and the net's headers: the one place where both are known.

A header is a CBOR array (docs/wire.md): kind, id, source process, target process, reply-to, inherit, expects-response,
body, metadata, mime of the blob, and the capabilities with their signatures (`vouching`). The source's node is not in
it: it is the one that the session authenticated (G3). Contexts stay (G6).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cbor2

from kernel import limits
from kernel.address import Address, ProcessId
from kernel.capability import Capability, canonical
from kernel.errors import BadAddress
from kernel.json_text import is_json
from kernel.message import Buffer, Envelope, LazyLoadBlob, ReplyTo, Request, Response
from nectar_node.errors import NodeError
from nectar_node.vouching import MAX_CLAIMS, Claim

_REQUEST, _RESPONSE = 0, 1
_FIELDS = 11
_U64 = 1 << 64
_SIGNATURE_BYTES = 64
"""Ed25519."""


class BadHeader(NodeError):
    """The peer's: a message's header that says nothing we understand."""


@lru_cache(4096)
def _text(process: ProcessId) -> str:
    return str(process)


@lru_cache(4096)
def _address_text(address: Address) -> str:
    return str(address)


@lru_cache(4096)
def stream_name(source: ProcessId, target: ProcessId) -> bytes:
    """Names the pair of processes whose messages keep their order (G4)."""
    return f"{source}>{target}".encode()


def encode_header(envelope: Envelope, claims: tuple[Claim, ...] = ()) -> bytes:
    """The header of a message to another node; `claims` are its capabilities, signed."""
    message = envelope.message
    reply_to = envelope.reply_to
    return cbor2.dumps(
        [
            _REQUEST if isinstance(message, Request) else _RESPONSE,
            envelope.id,
            _text(envelope.source.process),
            _text(envelope.target.process),
            None if reply_to is None else [_address_text(reply_to.address), reply_to.id],
            message.inherit,
            message.expects_response if isinstance(message, Request) else None,
            message.body,
            message.metadata,
            envelope.blob.mime if envelope.blob is not None else None,
            [[_address_text(claim.issuer), claim.params, claim.issue, claim.signature] for claim in claims],
        ]
    )


def decode_header_untrusted(
    our: str, node: str, header: bytes, blob: Buffer | None
) -> tuple[Envelope, tuple[Claim, ...]]:
    """The message that `node` sent, and the capabilities that it claims to carry; raises BadHeader."""
    fields = _fields_untrusted(header)
    kind, id, source, target, reply_to, inherit, expects, body, metadata, mime, claims = fields
    if not _is_u64(id) or not isinstance(inherit, bool) or not isinstance(body, bytes):
        raise BadHeader("the header's id, inherit or body has a wrong type")
    if len(body) > limits.MAX_BODY_BYTES:
        raise BadHeader("the body is too large")
    if not _is_json_text(metadata) or not _is_text(mime, limits.MAX_MIME_BYTES):
        raise BadHeader("the header's metadata is no JSON, or its mime no text, or one is too long")
    if kind == _REQUEST and (expects is None or _is_u64(expects)):
        message: Request | Response = Request(inherit, expects, body, metadata)
    elif kind == _RESPONSE and expects is None and reply_to is None:
        message = Response(inherit, body, metadata)
    else:
        raise BadHeader("the header is neither a request's nor a response's")
    envelope = Envelope(
        id,
        Address(node, _process_untrusted(source)),
        Address(our, _process_untrusted(target)),
        _reply_to_untrusted(reply_to),
        message,
        LazyLoadBlob(mime, blob) if blob is not None else None,
        claimed=True,
    )
    return envelope, _claims_untrusted(claims)


def _fields_untrusted(header: bytes) -> list[Any]:
    try:
        fields = cbor2.loads(header)
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError, OverflowError, MemoryError) as error:
        raise BadHeader("the header is no CBOR") from error
    if not isinstance(fields, list) or len(fields) != _FIELDS:
        raise BadHeader(f"the header is no array of {_FIELDS} fields")
    return fields


def _claims_untrusted(value: object) -> tuple[Claim, ...]:
    if not isinstance(value, list) or len(value) > MAX_CLAIMS:
        raise BadHeader(f"the capabilities are no array of at most {MAX_CLAIMS}")
    return tuple(_claim_untrusted(each) for each in value)


def _claim_untrusted(value: object) -> Claim:
    if not isinstance(value, list) or len(value) != 4:
        raise BadHeader("a capability is no array of four fields")
    issuer, params, issue, signature = value
    if not isinstance(params, str) or len(params) > limits.MAX_PARAMS_BYTES or not _is_u64(issue):
        raise BadHeader("a capability's params or issue has a wrong type, or is too long")
    if not isinstance(signature, bytes) or len(signature) > _SIGNATURE_BYTES:
        raise BadHeader("a capability's signature is none")
    claimed = Capability(_address_untrusted(issuer), params)
    if not is_json(params):
        raise BadHeader("a capability's params are no JSON")
    return Claim(*canonical(claimed), issue, signature)


def _reply_to_untrusted(value: object) -> ReplyTo | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not _is_u64(value[1]):
        raise BadHeader("the reply-to is no pair of address and id")
    return ReplyTo(_address_untrusted(value[0]), value[1])


@lru_cache(4096)
def _process(text: str) -> ProcessId:
    return ProcessId.parse(text)


@lru_cache(4096)
def _address(text: str) -> Address:
    return Address.parse(text)


def _process_untrusted(value: object) -> ProcessId:
    if not isinstance(value, str) or len(value) > limits.MAX_NAME_BYTES:
        raise BadHeader("a process id is no text")
    try:
        return _process(value)
    except BadAddress as error:
        raise BadHeader(str(error)) from error


def _address_untrusted(value: object) -> Address:
    if not isinstance(value, str) or len(value) > limits.MAX_NAME_BYTES:
        raise BadHeader("an address is no text")
    try:
        return _address(value)
    except BadAddress as error:
        raise BadHeader(str(error)) from error


def _is_u64(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _U64


def _is_json_text(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, str) and len(value) <= limits.MAX_METADATA_BYTES and is_json(value)


def _is_text(value: object, most: int) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= most)
