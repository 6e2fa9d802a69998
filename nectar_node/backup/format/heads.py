"""Heads: each is a snapshot, signed, and names the one before it by number and hash."""

from __future__ import annotations

from dataclasses import dataclass

import cbor2
from blake3 import blake3
from nacl.bindings import crypto_sign, crypto_sign_open
from nacl.exceptions import CryptoError

from nectar_node.backup.format import boxes
from nectar_node.backup.format.errors import DamagedBackup
from nectar_node.backup.format.keys import ID_BYTES, Entropy, Ring
from nectar_node.backup.format.limits import MAX_BOX_BYTES, MAX_NAME_BYTES, MAX_NUMBER
from nectar_node.backup.format.names import head_name
from nectar_node.backup.format.streams import ChunkStream, stream_untrusted
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor

_MAGIC = "nectar-backup head 1"
_SIGNATURE_BYTES = 64
HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class HeadLink:
    """The head before another one."""

    number: int
    hash: bytes
    """The BLAKE3 hash of the object, 32 bytes."""


@dataclass(frozen=True, slots=True)
class Head:
    """A snapshot of a node at one time."""

    number: int
    """One more for each backup of the node to any of its remotes; some numbers are on other remotes only."""
    before: HeadLink | None
    """The head before it on this remote; None: it is the first."""
    time: int
    """Milliseconds since 1970, never less than that of the head before it."""
    writer: bytes
    """Which copy of the node has written it, 16 random bytes: there must be one only."""
    node: str
    """The node's name."""
    listing: ChunkStream
    """The entries (`nectar_node.backup.format.listing`)."""
    files: int
    """How many files there are."""
    bytes: int
    """The sizes of all files."""
    pruned: tuple[tuple[int, int], ...] = ()
    """Numbers of heads that were removed on purpose: first and last of each range, in order."""

    def is_pruned(self, number: int) -> bool:
        """Whether the head of that number was removed on purpose."""
        return any(first <= number <= last for first, last in self.pruned)


def hash_of(data: bytes) -> bytes:
    """Return the hash by which the next head names the object with these bytes."""
    return blake3(data).digest()


def seal_head(head: Head, ring: Ring, entropy: Entropy) -> bytes:
    """Return the object of a head, in the ring's current epoch."""
    epoch = ring.epochs[ring.epoch_of(head.number)]
    before = None if head.before is None else [head.before.number, head.before.hash]
    body = cbor2.dumps(
        [
            _MAGIC,
            ring.backup,
            head.number,
            before,
            head.time,
            head.writer,
            head.node,
            head.listing.value(),
            head.files,
            head.bytes,
            [list(each) for each in head.pruned],
        ]
    )
    signature = crypto_sign(body, epoch.signing)[:_SIGNATURE_BYTES]
    return boxes.seal(
        head_name(ring, head.number), cbor2.dumps([body, signature]), epoch.head, entropy(boxes.NONCE_BYTES)
    )


def open_head_untrusted(remote: str, number: int, data: bytes, ring: Ring) -> Head:
    """Return the head of that number from its object. Raises DamagedBackup."""
    name, epoch = head_name(ring, number), ring.epochs[ring.epoch_of(number)]
    payload = boxes.unseal(name, data, epoch.head) if len(data) <= MAX_BOX_BYTES else None
    if payload is None:
        raise DamagedBackup(
            remote, name, "is altered, or was written with keys that the key ring does not have (is the phrase old?)"
        )
    try:
        outer = loads_untrusted(payload, items=3, depth=2)
        match outer:
            case [bytes(body), bytes(signature)] if len(signature) == _SIGNATURE_BYTES:
                crypto_sign_open(signature + body, epoch.public)
                fields = loads_untrusted(body, items=len(body), depth=4)
            case _:
                fields = None
    except (BadCbor, CryptoError):
        fields = None
    head = _head_untrusted(fields, ring)
    if head is None or head.number != number:
        raise DamagedBackup(remote, name, "is not signed by this backup's key, or of a form that is not known")
    return head


def _head_untrusted(fields: object, ring: Ring) -> Head | None:
    match fields:
        case [
            str(magic),
            bytes(backup),
            int(number),
            before,
            int(time),
            bytes(writer),
            str(node),
            listing,
            int(files),
            int(size),
            list(pruned),
        ] if magic == _MAGIC and backup == ring.backup and len(writer) == ID_BYTES:
            link, stream, ranges = _link_untrusted(before), stream_untrusted(listing), _ranges_untrusted(pruned)
            if (
                stream is not None
                and ranges is not None
                and (before is None) == (link is None)
                and 0 < number <= MAX_NUMBER
                and (link is None or 0 < link.number < number)
                and 0 <= time <= MAX_NUMBER
                and len(node) <= MAX_NAME_BYTES
                and files >= 0
                and size >= 0
            ):
                return Head(number, link, time, writer, node, stream, files, size, ranges)
    return None


def _link_untrusted(value: object) -> HeadLink | None:
    match value:
        case [int(number), bytes(digest)] if len(digest) == HASH_BYTES:
            return HeadLink(number, digest)
    return None


def _ranges_untrusted(rows: list[object]) -> tuple[tuple[int, int], ...] | None:
    found = []
    end = 0
    for row in rows:
        match row:
            case [int(first), int(last)] if end < first <= last <= MAX_NUMBER:
                found.append((first, last))
                end = last
            case _:
                return None
    return tuple(found)
