"""Keeps the name records of a node on disk: one file that grows at its end, for a registrar and for a cache alike.

The file is a head and batches. The head is `MAGIC` and its MAC; a batch is the length of its payload as a big-endian
u32, the MAC, and the payload: a CBOR array of `[name, sequence, expiry, record]`. A MAC is keyed BLAKE2b over the
batch's offset and payload; its key is derived from the node's key and the registrar's. So what the file holds was
verified when it was written, and its signatures are not verified again at every boot.

All records that wait are written as one batch, with one fsync. A crash can tear only the last batch, whose records
nobody was told are kept; it is cut off. Anything else that does not fit is damage, and reported. When most entries are
superseded, the file is rewritten, whole or not at all. That takes the node's thread a tenth of a second for 100,000
names, after as many registrations. Tests: tests/nectar_node/peers/test_record_store.py.
"""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple

import cbor2

from nectar_node.base.errors import NodeError
from nectar_node.storage.operations import DiskError, DiskFault, Extend, Job, Location, Outcome, Replace
from net.names.directory import HeldRecord
from net.names.identity import Identity

RECORDS_FILE = "names"
"""Name of the file in the folder of the name records."""
MAGIC = b"nectar records 1"
MAX_BATCH_BYTES = 1 << 20
"""Bytes of a batch's payload: what a crash may leave torn, and what is read and checked at once."""
LEAST_SUPERSEDED = 1024
"""Superseded entries, beyond as many as there are names, from which a rewrite of the file is worthwhile."""
_MAC_BYTES = 16
_FRAME = struct.Struct(f">I{_MAC_BYTES}s")
_BEGINNING = re.compile(rb"(?=\x00[\x00-\x10].{%d}[\x80-\x9b])" % (_FRAME.size - 2), re.DOTALL)
"""What a batch may begin with: a length up to MAX_BATCH_BYTES, and behind its frame a CBOR array."""
_OFFSET = struct.Struct(">Q")
_HEAD_BYTES = len(MAGIC) + _MAC_BYTES
_LANE = "records"


class DamagedRecords(NodeError):
    """The file is not what this node has written."""


def store_key(identity: Identity, registrar_key: bytes) -> bytes:
    """Return the key of the MACs in the file of a node, in the network of the registrar with that public key."""
    return identity.derive(b"nectar/1 name records" + registrar_key)


@dataclass(frozen=True, slots=True)
class Written:
    """How far a file goes, for the store that continues it."""

    key: bytes = bytes(32)
    """The key of the MACs."""
    length: int = 0
    """Bytes; 0: the file is to be written from its beginning."""
    entries: int = 0
    """Entries in it."""
    names: int = 0
    """Names in it."""


class Contents(NamedTuple):
    """What a file holds."""

    records: dict[str, HeldRecord]
    """The newest record of each name."""
    written: Written
    """How far the valid part goes."""
    torn: int
    """Bytes behind that which a crash has left unfinished."""
    damage: str | None
    """What is wrong with the file, if a crash does not explain it."""


def read_untrusted(data: bytes, key: bytes) -> Contents:
    """Return what is in a file, up to the first damage. Raises DamagedRecords if that is in the head."""
    if not compare_digest(data[:_HEAD_BYTES], _head(key)):
        raise DamagedRecords("it is not a file of this node and this network")
    view = memoryview(data)
    records: dict[str, HeldRecord] = {}
    position, entries = _HEAD_BYTES, 0
    while (payload := _payload_untrusted(view, position, key)) is not None:
        for fields in cbor2.loads(payload):
            record = HeldRecord(*fields)
            records.pop(record.name, None)  # the order is that of the latest entries, as in the directory
            records[record.name] = record
            entries += 1
        position += _FRAME.size + len(payload)
    torn = len(data) - position
    damage = None
    if torn > MAX_BATCH_BYTES + _FRAME.size or _goes_on_untrusted(view, position, key):
        damage = f"it is damaged from byte {position} on"
    return Contents(records, Written(key, position, entries, len(records)), torn, damage)


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


def _head(key: bytes) -> bytes:
    return MAGIC + _mac(key, 0, MAGIC)


def _mac(key: bytes, position: int, payload: bytes | memoryview) -> bytes:
    mac = blake2b(_OFFSET.pack(position), key=key, digest_size=_MAC_BYTES)
    mac.update(payload)
    return mac.digest()


def _batches(records: Iterable[HeldRecord], position: int, key: bytes) -> Iterator[bytes]:
    """Return records as batches, the first of which is to lie at `position`."""
    waiting = deque(records)
    while waiting:
        payload = cbor2.dumps([tuple(record) for record in take_batch(waiting)])
        yield _FRAME.pack(len(payload), _mac(key, position, payload)) + payload
        position += _FRAME.size + len(payload)


def take_batch(waiting: deque[HeldRecord]) -> list[HeldRecord]:
    """Take out the first records, as many as fit into one batch."""
    taken: list[HeldRecord] = []
    left = MAX_BATCH_BYTES - 16
    while waiting and (left := left - _cost(waiting[0])) >= 0:
        taken.append(waiting.popleft())
    if waiting and len(taken) > 1 and not taken[-1].encoded:
        waiting.appendleft(taken.pop())  # the use of an invitation, and the record that it was for is the next
    return taken


def _cost(record: HeldRecord) -> int:
    """Return at least the bytes that the record takes as an entry."""
    return len(record.encoded) + len(record.name) + 32


class WriteResult(NamedTuple):
    """The result of a write."""

    records: Sequence[HeldRecord]
    """The records that were to be written."""
    problem: str | None
    """Why they were not; None: they were."""


class RecordStore:
    """The file of one node's name records. One job at a time is under way; later records wait for the next."""

    def __init__(self, folder: str, written: Written, everything: Callable[[], list[HeldRecord]]) -> None:
        """`folder` is where the file is; `everything` returns all records that the directory holds, for a new file."""
        self._location = Location(folder, (RECORDS_FILE,))
        self._key = written.key
        self._length = written.length
        self._entries = written.entries
        self._rewrite_at = 2 * written.names + LEAST_SUPERSEDED
        """Entries at which a rewrite of the file may be worthwhile."""
        self._everything = everything
        self._waiting: deque[HeldRecord] = deque()
        self._writing: list[HeldRecord] = []
        self._busy = False
        """Whether a write is under way."""
        self._shrinks = False
        """Whether the file is to be rewritten because of records in it that are no longer needed."""
        self._after = (0, 0)
        """Length and entries of the file when the write under way is done."""

    def put(self, record: HeldRecord, use: HeldRecord | None = None) -> None:
        """Keep a record and the `use` of an invitation, if any, both or neither; `done` tells when that is durable."""
        if use is not None:
            self._waiting.append(use)
        self._waiting.append(record)

    def freed(self) -> None:
        """Consider a rewrite, since the directory has forgotten records, even if there is nothing to add."""
        if self._entries >= LEAST_SUPERSEDED:
            self._rewrite_at = 2 * len(self._everything()) + LEAST_SUPERSEDED
            self._shrinks = self._entries >= self._rewrite_at

    def next_job(self) -> Job | None:
        """Return the write that is to be done now, or None; its owner is this object."""
        if self._busy or not (self._waiting or self._shrinks):
            return None
        self._busy = True
        self._writing = take_batch(self._waiting)
        if self._length == 0 or self._shrinks or self._superseded():
            self._shrinks = False
            return self._rewrite()
        data = b"".join(_batches(self._writing, self._length, self._key))
        self._after = (self._length + len(data), self._entries + len(self._writing))
        return Job(Extend(self._location, self._length, data), _LANE, self)

    def done(self, outcome: Outcome) -> WriteResult:
        """Learn the outcome of the write."""
        settled, self._writing, self._busy = self._writing, [], False
        if not isinstance(outcome, DiskError):
            self._length, self._entries = self._after
            return WriteResult(settled, None)
        if outcome.fault is DiskFault.NOT_FOUND:
            self._length = 0  # somebody has removed the file: the next write makes it whole again
        return WriteResult(settled, f"{len(settled)} name records cannot be kept: {outcome.text}")

    def _superseded(self) -> bool:
        """Whether most entries of the file are superseded."""
        if self._entries < self._rewrite_at:
            return False
        self._rewrite_at = 2 * len(self._everything()) + LEAST_SUPERSEDED
        return self._entries >= self._rewrite_at

    def _rewrite(self) -> Job:
        records = {record.name: record for record in (*self._everything(), *self._writing)}
        data = b"".join((_head(self._key), *_batches(records.values(), _HEAD_BYTES, self._key)))
        self._after = (len(data), len(records))
        self._rewrite_at = 2 * len(records) + LEAST_SUPERSEDED
        return Job(Replace(self._location, data), _LANE, self)
