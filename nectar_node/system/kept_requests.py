"""What other nodes ask of `backups:distro:sys`, read from what they sent; raises RequestRefused and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from kernel.contract.message import Buffer, LazyLoadBlob
from nectar_node.backup.format.access import NONCE_BYTES, SIGNATURE_BYTES
from nectar_node.backup.format.keys import KEY_BYTES
from nectar_node.backup.format.limits import LEAST_OBJECT_BYTES, MAX_PACK_BYTES
from nectar_node.backup.format.names import PREFIXES, is_name
from nectar_node.backup.stores.node_messages import MAX_PART_BYTES
from nectar_node.contract.json_shapes import (
    bad_request,
    field_untrusted,
    load_untrusted,
    number_untrusted,
    text_untrusted,
    variant_untrusted,
)
from net.base.node_names import is_node_name

MAX_BODY_BYTES = 4096
"""Bytes of a request's body: two names and two numbers in JSON."""
MAX_OBJECT_BYTES = MAX_PACK_BYTES
"""Bytes of an object: no other of the format is larger than a pack."""


@dataclass(frozen=True, slots=True)
class PutKept:
    """Store an object."""

    owner: str
    name: str
    data: Buffer


@dataclass(frozen=True, slots=True)
class GetKept:
    """Return a part of an object."""

    owner: str
    name: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class ListKept:
    """Return the next objects below a prefix."""

    owner: str
    prefix: str
    after: str


@dataclass(frozen=True, slots=True)
class DeleteKept:
    """Remove an object."""

    owner: str
    name: str


@dataclass(frozen=True, slots=True)
class IntroducePhrase:
    """Keep the public key of the owner's recovery phrase."""

    owner: str
    key: bytes


@dataclass(frozen=True, slots=True)
class ChallengePhrase:
    """Return a nonce for a proof."""

    owner: str


@dataclass(frozen=True, slots=True)
class ProvePhrase:
    """Let the sender read, since it knows the phrase."""

    owner: str
    nonce: bytes
    proof: bytes


KeepRequest = PutKept | GetKept | ListKept | DeleteKept | IntroducePhrase | ChallengePhrase | ProvePhrase


def parse_untrusted(body: bytes, blob: LazyLoadBlob | None) -> KeepRequest:
    """Return the request; raises RequestRefused."""
    kind, fields = variant_untrusted(load_untrusted(body, MAX_BODY_BYTES))
    owner = text_untrusted(field_untrusted(fields, "owner"))
    if not is_node_name(owner):
        raise bad_request("owner is a node's name")
    match kind:
        case "Put":
            data: Buffer = b"" if blob is None else blob.bytes
            if not LEAST_OBJECT_BYTES <= len(data) <= MAX_OBJECT_BYTES:
                raise bad_request(f"an object has {LEAST_OBJECT_BYTES} to {MAX_OBJECT_BYTES} bytes, in the blob")
            return PutKept(owner, _name(fields), data)
        case "Get":
            start = number_untrusted(field_untrusted(fields, "start"))
            return GetKept(
                owner, _name(fields), start, number_untrusted(field_untrusted(fields, "length"), MAX_PART_BYTES)
            )
        case "List":
            prefix, after = (text_untrusted(field_untrusted(fields, name)) for name in ("prefix", "after"))
            if prefix not in PREFIXES:
                raise bad_request(f"prefix is one of {', '.join(PREFIXES)}")
            return ListKept(owner, prefix, after)
        case "Delete":
            return DeleteKept(owner, _name(fields))
        case "Introduce":
            return IntroducePhrase(owner, _hex(fields, "key", KEY_BYTES))
        case "Challenge":
            return ChallengePhrase(owner)
        case "Prove":
            return ProvePhrase(owner, _hex(fields, "nonce", NONCE_BYTES), _hex(fields, "proof", SIGNATURE_BYTES))
    raise bad_request("expected Put, Get, List, Delete, Introduce, Challenge or Prove")


def _name(fields: object) -> str:
    name = text_untrusted(field_untrusted(fields, "name"))
    if not is_name(name):
        raise bad_request("name is that of an object of a backup")
    return name


def _hex(fields: object, name: str, length: int) -> bytes:
    text = text_untrusted(field_untrusted(fields, name))
    if len(text) != 2 * length or not set(text) <= set("0123456789abcdef"):
        raise bad_request(f"{name} has {2 * length} lower-case hexadecimal digits")
    return bytes.fromhex(text)
