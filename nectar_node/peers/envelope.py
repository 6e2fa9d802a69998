"""Translates between the kernel's envelopes and the net's headers: the one place where both are known.

A header is a CBOR array (docs/wire.md): kind, id, source process, target process, reply-to, inherit, expects-response,
body, metadata, mime of the blob, and the capabilities with their signatures (`vouching`). The source's node is not in
it: it is the one that the session authenticated (G3). Contexts stay on their node (G6).

Headers are put together here from pieces most of which are the same from message to message: cbor2 takes five times as
long for the same bytes.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Any

import cbor2

from kernel.contract import limits
from kernel.contract.address import OUR_NODE, Address, ProcessId
from kernel.contract.capability import Capability, canonical_untrusted
from kernel.contract.errors import BadAddress
from kernel.contract.json_text import is_json
from kernel.contract.message import Buffer, Envelope, LazyLoadBlob, ReplyTo, Request, Response
from nectar_node.base.errors import NodeError
from nectar_node.peers.vouching import MAX_CLAIM_BYTES, MAX_CLAIMS, Claim
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor
from net.base.limits import MAX_HEADER_BYTES, MAX_PAIR_BYTES

_REQUEST, _RESPONSE = 0, 1
_FIELDS = 11
_REQUEST_BEGINS, _RESPONSE_BEGINS = (bytes((0x80 + _FIELDS, kind)) for kind in (_REQUEST, _RESPONSE))
_NULL, _FALSE, _TRUE, _EMPTY, _PAIR = (bytes((first,)) for first in (0xF6, 0xF4, 0xF5, 0x80, 0x82))
_LARGE_NUMBER = Struct(">BQ")
_MAX_ITEMS = 512
"""Bytes of a header: its fields, and as many capabilities as there may be. Most headers have fewer."""
_MAX_TEXT = (
    limits.MAX_METADATA_BYTES + limits.MAX_MIME_BYTES + MAX_CLAIM_BYTES + (MAX_CLAIMS + 3) * limits.MAX_NAME_BYTES
)
"""Bytes of all texts of a header."""
_U64 = 1 << 64
_new = tuple.__new__
_SHORT = Struct(">BQQI")
"""A short header: flags, id, the id under which the source waits for the answer, seconds; the body follows."""
_SHORT_BYTES = _SHORT.size
_RESPONDS, _INHERITS, _REPLIES_TO_SOURCE, _EXPECTS, _LINEAGE = (1 << bit for bit in range(5))
_ROOT_BYTES = 8
_FIELDS_AND_ROOT = 0x80 + _FIELDS + 1
"""The first byte of a header with a root."""
_ROOT_BEGINS = bytes((0x40 + _ROOT_BYTES,))
"""The CBOR head of a root, the last field."""
_SIGNATURE_BYTES = 64
"""Bytes of an Ed25519 signature."""


class BadHeader(NodeError):
    """A message's header is not one that this node understands."""


@lru_cache(4096)
def _encoded_pair(source: ProcessId, target: ProcessId) -> bytes:
    return cbor2.dumps(str(source)) + cbor2.dumps(str(target))


@lru_cache(4096)
def _encoded_address(address: Address) -> bytes:
    return cbor2.dumps(str(address))


@lru_cache(4096)
def _encoded_length(size: int) -> bytes:
    """Return the CBOR head of a byte string of `size` bytes."""
    if size < 24:
        return bytes((0x40 + size,))
    width = 1 if size < 1 << 8 else 2 if size < 1 << 16 else 4
    return bytes((0x58 + width.bit_length() - 1,)) + size.to_bytes(width, "big")


def _encoded_number(value: int) -> bytes:
    """Return a number in CBOR, not cached: ids are random, so nearly all are large; the others are timeouts."""
    return _LARGE_NUMBER.pack(0x1B, value) if value >> 32 else _encoded_small_number(value)


@lru_cache(4096)
def _encoded_small_number(value: int) -> bytes:
    return cbor2.dumps(value)


@lru_cache(4096)
def stream_and_inbox(source: ProcessId, target: ProcessId, answers: bool) -> tuple[bytes, bytes]:
    """Return the stream and the inbox of messages from `source` to `target`.

    The stream names the pair of processes whose messages keep their order (G4). The inbox names what takes such a
    message at `target`: its inbox, or what takes answers to it, for which there is always space.
    """
    return f"{source}>{target}".encode(), f"{'<' if answers else '>'}{target}".encode()


def encode_header(envelope: Envelope, claims: tuple[Claim, ...] = ()) -> bytes:
    """Return the header of a message to another node; `claims` are its capabilities, signed."""
    id, source, target, reply_to, message, blob, _, _ = envelope
    is_request = type(message) is Request
    expects = message.expects_response if type(message) is Request else None
    mime = blob.mime if blob is not None else None
    parts = [
        _REQUEST_BEGINS if is_request else _RESPONSE_BEGINS,
        _encoded_number(id),
        _encoded_pair(source.process, target.process),
        _NULL,
        _TRUE if message.inherit else _FALSE,
        _NULL if expects is None else _encoded_number(expects),
        _encoded_length(len(message.body)),
        message.body,
        _NULL if message.metadata is None else cbor2.dumps(message.metadata),
        _NULL if mime is None else cbor2.dumps(mime),
        _encoded_claims(claims) if claims else _EMPTY,
    ]
    if reply_to is not None:
        parts[3] = _PAIR + _encoded_address(reply_to.address) + _encoded_number(reply_to.id)
    return b"".join(parts)


def _encoded_claims(claims: tuple[Claim, ...]) -> bytes:
    return cbor2.dumps([[str(claim.issuer), claim.params, claim.issue, claim.signature] for claim in claims])


def encode_short(envelope: Envelope, stream: bytes) -> bytes | None:
    """Return the header of a message whose pair of processes is told beside it; None if that header has no place for
    what the message has."""
    id, source, _, reply_to, message, blob, _, _ = envelope
    body, metadata, capabilities = message.body, message.metadata, message.capabilities
    if metadata is not None or capabilities or (blob is not None and blob.mime is not None):
        return None
    if len(stream) > MAX_PAIR_BYTES:
        return None
    flags = _INHERITS if message.inherit else 0
    reply_id = seconds = 0
    if type(message) is Request:
        if message.expects_response is not None:
            flags |= _EXPECTS
            seconds = message.expects_response
            if seconds >> 32:
                return None
        if reply_to is not None:
            address, reply_id = reply_to
            if address != source:
                return None
            flags |= _REPLIES_TO_SOURCE
    else:
        flags |= _RESPONDS
    return _SHORT.pack(flags, id, reply_id, seconds) + body


def with_root(header: bytes, root: int, *, short: bool) -> bytes:
    """Return the header of a request with the root of its lineage; as it is, if it has one or is too large for one."""
    if has_root(header, short=short) or len(header) + 1 + _ROOT_BYTES > MAX_HEADER_BYTES:
        return header
    told = root.to_bytes(_ROOT_BYTES, "big")
    if short:
        return b"".join((bytes((header[0] | _LINEAGE,)), header[1:_SHORT_BYTES], told, header[_SHORT_BYTES:]))
    return b"".join((bytes((_FIELDS_AND_ROOT,)), header[1:], _ROOT_BEGINS, told))


def without_root(header: bytes, *, short: bool) -> bytes:
    """Return the header of a request without the root of its lineage; as it is, if it has none."""
    if not has_root(header, short=short):
        return header
    if short:
        after = _SHORT_BYTES + _ROOT_BYTES
        return b"".join((bytes((header[0] & ~_LINEAGE,)), header[1:_SHORT_BYTES], header[after:]))
    return b"".join((_REQUEST_BEGINS[:1], header[1 : -_ROOT_BYTES - 1]))


def has_root(header: bytes, *, short: bool) -> bool:
    """Whether a header that was made here has a root."""
    return header[0] & _LINEAGE != 0 if short else header[0] == _FIELDS_AND_ROOT


def decode_short_untrusted(
    our: str, node: str, pair: bytes, header: bytes, blob: Buffer | None, *, lineages: bool = False
) -> Envelope:
    """Return the message that `node` sent, with a short header, for that pair of processes. Raises BadHeader.

    `lineages`: this node has told that it takes them; a header with one is bad otherwise.
    """
    begins, root = _SHORT_BYTES, None
    if lineages and header and header[0] & (_LINEAGE | _RESPONDS) == _LINEAGE:
        begins += _ROOT_BYTES
        root = int.from_bytes(header[_SHORT_BYTES:begins], "big")
    if not begins <= len(header) <= begins + limits.MAX_BODY_BYTES:
        raise BadHeader("the short header is cut off, or the body too large")
    flags, id, reply_id, seconds = _SHORT.unpack_from(header)
    if root is not None:
        flags &= ~_LINEAGE
    body = header[begins:]
    sender, receiver = _addresses_of(our, node, pair)
    inherit = flags & _INHERITS != 0
    answer_to = None
    if flags & _RESPONDS:
        message: Request | Response = _new(Response, (inherit, body, None, ()))
        is_bad = flags & ~(_RESPONDS | _INHERITS) or reply_id or seconds
    else:
        expects = seconds if flags & _EXPECTS else None
        message = _new(Request, (inherit, expects, body, None, ()))
        if flags & _REPLIES_TO_SOURCE:
            answer_to = _new(ReplyTo, (sender, reply_id))
        is_bad = flags >= _LINEAGE or (reply_id and answer_to is None) or (seconds and expects is None)
    if is_bad:
        raise BadHeader("the short header has unknown flags, or a number that they do not announce")
    carried = None if blob is None else LazyLoadBlob(None, blob)
    return _new(Envelope, (id, sender, receiver, answer_to, message, carried, True, root))


@lru_cache(4096)
def _addresses_of(our: str, node: str, pair: bytes) -> tuple[Address, Address]:
    """Return the addresses of source and target, as `stream_and_inbox` has named the pair. Raises BadHeader."""
    try:
        source, _, target = pair.decode("ascii").partition(">")
        return Address(node, ProcessId.parse(source)), Address(our, ProcessId.parse(target))
    except (BadAddress, UnicodeDecodeError) as error:
        raise BadHeader(f"the pair of processes is not one: {error}") from error


def decode_header_untrusted(
    our: str, node: str, header: bytes, blob: Buffer | None, *, lineages: bool = False
) -> tuple[Envelope, tuple[Claim, ...]]:
    """Return the message that `node` sent, and the capabilities that it claims to carry; raises BadHeader.

    `lineages`: as in `decode_short_untrusted`.
    """
    fields, root = _fields_untrusted(header), None
    if lineages and len(fields) == _FIELDS + 1 and fields[0] == _REQUEST:
        root = _root_untrusted(fields.pop())
    if len(fields) != _FIELDS:
        raise BadHeader(f"the header is not an array of {_FIELDS} fields")
    kind, id, source, target, reply_to, inherit, expects, body, metadata, mime, claims = fields
    if type(id) is not int or not 0 <= id < _U64 or type(inherit) is not bool or type(body) is not bytes:
        raise BadHeader("the header's id, inherit or body has a wrong type")
    if len(body) > limits.MAX_BODY_BYTES:
        raise BadHeader("the body is too large")
    if not (metadata is None or _is_json_text(metadata)) or not (mime is None or _is_text(mime, limits.MAX_MIME_BYTES)):
        raise BadHeader("the header's metadata is not JSON, or its mime is not text, or one is too long")
    if kind == _REQUEST and (expects is None or _is_u64(expects)):
        message: Request | Response = _new(Request, (inherit, expects, body, metadata, ()))
    elif kind == _RESPONSE and expects is None and reply_to is None:
        message = _new(Response, (inherit, body, metadata, ()))
    else:
        raise BadHeader("the header is neither a request's nor a response's")
    sender, receiver = _address_untrusted(node, source), _address_untrusted(our, target)
    answer_to = None if reply_to is None else _reply_to_untrusted(reply_to)
    carried = None if blob is None else LazyLoadBlob(mime, blob)
    envelope = _new(Envelope, (id, sender, receiver, answer_to, message, carried, True, root))
    return envelope, () if claims == [] else _claims_untrusted(claims)


def _fields_untrusted(header: bytes) -> list[Any]:
    try:
        fields = loads_untrusted(header, items=_MAX_ITEMS, depth=3, text=_MAX_TEXT)
    except BadCbor as error:
        raise BadHeader("the header is not CBOR") from error
    if not isinstance(fields, list):
        raise BadHeader("the header is no array")
    return fields


def _root_untrusted(value: object) -> int:
    if type(value) is not bytes or len(value) != _ROOT_BYTES:
        raise BadHeader(f"the root of the lineage does not have {_ROOT_BYTES} bytes")
    return int.from_bytes(value, "big")


def _claims_untrusted(value: object) -> tuple[Claim, ...]:
    """Return the claims whose params can be a capability's, as far as they fit; their sender has logged which it left
    out.
    """
    if not isinstance(value, list) or len(value) > MAX_CLAIMS:
        raise BadHeader(f"the capabilities are not an array of at most {MAX_CLAIMS}")
    claims, left = [], MAX_CLAIM_BYTES
    for each in value:
        claim = _claim_untrusted(each)
        if claim is not None and len(claim.params) <= left:
            left -= len(claim.params)
            claims.append(claim)
    return tuple(claims)


def _claim_untrusted(value: object) -> Claim | None:
    if not isinstance(value, list) or len(value) != 4:
        raise BadHeader("a capability is not an array of four fields")
    issuer, params, issue, signature = value
    if not isinstance(params, str) or not _is_u64(issue):
        raise BadHeader("a capability's params or issue has a wrong type")
    if not isinstance(signature, bytes) or len(signature) > _SIGNATURE_BYTES:
        raise BadHeader("a capability's signature is not one")
    claimed = Capability(_node_address_untrusted(issuer), params)
    try:
        return Claim(*canonical_untrusted(claimed), issue, signature)
    except ValueError:
        return None


def _reply_to_untrusted(value: object) -> ReplyTo:
    if not isinstance(value, list) or len(value) != 2 or not _is_u64(value[1]):
        raise BadHeader("the reply-to is not a pair of address and id")
    return _new(ReplyTo, (_node_address_untrusted(value[0]), value[1]))


@lru_cache(4096)
def _address_at(node: str, text: str) -> Address:
    return Address(node, ProcessId.parse(text))


@lru_cache(4096)
def _address(text: str) -> Address:
    return Address.parse(text)


def _address_untrusted(node: str, value: object) -> Address:
    """Return the address of the process `value` at `node`."""
    if type(value) is not str or len(value) > limits.MAX_NAME_BYTES:
        raise BadHeader("a process id is not text")
    try:
        return _address_at(node, value)
    except BadAddress as error:
        raise BadHeader(str(error)) from error


def _node_address_untrusted(value: object) -> Address:
    """Return an address with the name of a node: `our` would mean this node here, and meant the sender's."""
    if not isinstance(value, str) or len(value) > limits.MAX_NAME_BYTES:
        raise BadHeader("an address is not text")
    try:
        address = _address(value)
    except BadAddress as error:
        raise BadHeader(str(error)) from error
    if address.node == OUR_NODE:
        raise BadHeader(f"{value!r} does not say on which node")
    return address


def _is_u64(value: object) -> bool:
    return type(value) is int and 0 <= value < _U64  # a bool does not count as a number here


def _is_json_text(value: object) -> bool:
    return _is_text(value, limits.MAX_METADATA_BYTES) and is_json(str(value))


def _is_text(value: object, most: int) -> bool:
    """Whether `value` is a text of at most `most` bytes."""
    return isinstance(value, str) and len(value) <= most and (value.isascii() or len(value.encode()) <= most)
