"""Reads the file in which a node kept its name records before it had a store.

The file is a head and batches. The head is `MAGIC` and its MAC; a batch is the length of its payload as a big-endian
u32, the MAC, and the payload: a CBOR array of `[name, sequence, expiry, record]`. A MAC is keyed BLAKE2b over the
batch's offset and payload; its key is derived from the node's key and the registrar's. A crash can tear only the last
batch, whose records nobody was told are kept. Anything else that does not fit is damage.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path

import cbor2

from nectar_node.base import log, own_files
from nectar_node.base.errors import BadFolder, NodeError
from net.names.directory import HeldRecord
from net.names.identity import Identity

RECORDS_FILE = "names"
"""Name of the file in the folder of the name records."""
MAGIC = b"nectar records 1"
MAX_BATCH_BYTES = 1 << 20
"""Bytes of a batch's payload: what a crash may leave torn."""
_MAC_BYTES = 16
_FRAME = struct.Struct(f">I{_MAC_BYTES}s")
_BEGINNING = re.compile(rb"(?=\x00[\x00-\x10].{%d}[\x80-\x9b])" % (_FRAME.size - 2), re.DOTALL)
"""What a batch may begin with: a length up to MAX_BATCH_BYTES, and behind its frame a CBOR array."""
_OFFSET = struct.Struct(">Q")
_HEAD_BYTES = len(MAGIC) + _MAC_BYTES


class DamagedRecords(NodeError):
    """The file is not what a node has written."""


def read_names(path: Path, identity: Identity) -> Iterable[HeldRecord]:
    """Return the names that this registrar has granted; raises BadFolder if some may be lost, since others would get
    them.
    """
    try:
        records, damage = _read(path, file_key(identity, identity.public_key))
    except DamagedRecords as error:
        records, damage = {}, str(error)
    if damage is not None:
        raise BadFolder(
            f"The registrar cannot use its names in {path}: {damage}. Put back a copy of the file; "
            "without it, the first to ask for a name gets it."
        )
    return records.values()


def read_cache(path: Path, keys: Iterable[Identity], registrar_key: bytes) -> Iterable[HeldRecord]:
    """Return the name records in the file, as far as they are whole: the registrar has them too.

    `keys` are the node's identities under which the file may have been written.
    """
    problem: str | None = None
    for identity in keys:
        try:
            records, problem = _read(path, file_key(identity, registrar_key))
        except DamagedRecords as error:
            problem = str(error)
            continue
        if problem is not None:
            log.write_line("net", f"of the name records in {path} some are not used: {problem}")
        return records.values()
    log.write_line("net", f"the name records in {path} are not used: {problem}")
    return ()


def file_key(identity: Identity, registrar_key: bytes) -> bytes:
    """Return the key of the MACs in the file of a node, in the network of the registrar with that public key."""
    return identity.derive(b"nectar/1 name records" + registrar_key)


def read_untrusted(data: bytes, key: bytes) -> tuple[dict[str, HeldRecord], str | None]:
    """Return the newest record of each name, and what is wrong with the file; None: nothing, or only what a crash
    leaves.

    Raises DamagedRecords if the head is damaged.
    """
    if not compare_digest(data[:_HEAD_BYTES], MAGIC + _mac(key, 0, MAGIC)):
        raise DamagedRecords("it is not a file of this node and this network")
    view = memoryview(data)
    records: dict[str, HeldRecord] = {}
    position = _HEAD_BYTES
    while (payload := _payload_untrusted(view, position, key)) is not None:
        for fields in cbor2.loads(payload):
            record = HeldRecord(*fields)
            records.pop(record.name, None)  # the order is that of the latest entries, as in the directory
            records[record.name] = record
        position += _FRAME.size + len(payload)
    torn = len(data) - position
    damaged = torn > MAX_BATCH_BYTES + _FRAME.size or _goes_on_untrusted(view, position, key)
    return records, f"it is damaged from byte {position} on" if damaged else None


def _read(path: Path, key: bytes) -> tuple[dict[str, HeldRecord], str | None]:
    try:
        return read_untrusted(own_files.read(path), key)
    except OSError as error:
        raise DamagedRecords(f"it cannot be read: {error.strerror}") from error


def _payload_untrusted(view: memoryview, position: int, key: bytes) -> memoryview | None:
    """Return the payload of the batch at `position`; None: there is no whole one."""
    start = position + _FRAME.size
    if start > len(view):
        return None
    length, mac = _FRAME.unpack_from(view, position)
    payload = view[start : start + length]
    return payload if len(payload) == length and compare_digest(mac, _mac(key, position, payload)) else None


def _goes_on_untrusted(view: memoryview, position: int, key: bytes) -> bool:
    """Whether there is a whole batch anywhere behind `position`.

    Where the next one begins is not known if the damage is in the length of this one.
    """
    found = _BEGINNING.finditer(view, position)
    return any(_payload_untrusted(view, match.start(), key) is not None for match in found)


def _mac(key: bytes, position: int, payload: bytes | memoryview) -> bytes:
    mac = blake2b(_OFFSET.pack(position), key=key, digest_size=_MAC_BYTES)
    mac.update(payload)
    return mac.digest()
