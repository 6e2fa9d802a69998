"""The name records of a node as rows of its store, for a registrar and for a cache alike.

A row of `names` has the name as its key; its value is a CBOR array of sequence, expiry and the encoded record. Records
were found valid when they were written, and their signatures are not verified again at every boot; so the table
`registrar` holds the key of the registrar that granted them, and those of another registrar are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import cbor2

from nectar_node.base.errors import NodeError
from nectar_node.storage.operations import Row
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor
from net.names.directory import HeldRecord

NAMES = "names"
REGISTRAR = "registrar"
"""The tables."""
LEAST_STALE = 1024
"""Rows of names that the directory has forgotten, beyond as many as it knows, from which removing them is worthwhile.
"""
_KEY = "key"


class DamagedNames(NodeError):
    """A row is not a name record."""


class KeptNames(NamedTuple):
    """What earlier boots have kept."""

    records: tuple[HeldRecord, ...] = ()
    """In the order in which they were learned."""
    registrar: bytes | None = None
    """The public key of the registrar that granted them; None: there are none yet."""

    def of(self, registrar: bytes) -> tuple[HeldRecord, ...]:
        """Return the records that the registrar with this public key has granted."""
        return self.records if registrar == self.registrar else ()


class NameRows:
    """Follows the name records of one node: what is learned is to be written."""

    def __init__(self, kept: KeptNames, registrar: bytes, everything: Callable[[], list[HeldRecord]]) -> None:
        """`registrar` is the public key of the network's registrar; `everything` returns all records that the directory
        holds.
        """
        self._everything = everything
        self._waiting: list[HeldRecord] = []
        self._writing: tuple[HeldRecord, ...] = ()
        self._rows = {record.name for record in kept.records}
        """Names of the rows."""
        self._registrar = registrar if registrar != kept.registrar else None
        """The registrar's key, if it is to be written, and what another registrar has granted to be removed."""

    def put(self, record: HeldRecord, use: HeldRecord | None = None) -> None:
        """Keep a record and the `use` of an invitation, if any, both or neither; `take_written` has them then."""
        if use is not None:
            self._waiting.append(use)
        self._waiting.append(record)

    @property
    def has_changed(self) -> bool:
        """Whether `changes` returns any."""
        return bool(self._waiting)

    def changes(self) -> list[Row]:
        """Return the rows that are to be written since this was called last."""
        rows: list[Row] = []
        if self._registrar is not None:
            rows = [Row(NAMES, name, None) for name in sorted(self._rows)]
            rows.append(Row(REGISTRAR, _KEY, self._registrar))
            self._rows, self._registrar = set(), None
        waiting, self._waiting = self._waiting, []
        self._writing = (*self._writing, *waiting)
        rows += map(row, waiting)
        self._rows.update(record.name for record in waiting)
        return rows + self._stale()

    def _stale(self) -> list[Row]:
        """Return what removes the rows that the directory has forgotten, once they are many."""
        if len(self._rows) < LEAST_STALE:
            return []
        known = {record.name for record in self._everything()} | {record.name for record in self._writing}
        if len(self._rows) < 2 * len(known) + LEAST_STALE:
            return []
        gone = sorted(self._rows - known)
        self._rows = known
        return [Row(NAMES, name, None) for name in gone]

    def take_written(self) -> tuple[HeldRecord, ...]:
        """Return the records of the rows that were returned since this was called last."""
        written, self._writing = self._writing, ()
        return written


def row(record: HeldRecord) -> Row:
    """Return the row of a record, or of the use of an invitation."""
    return Row(NAMES, record.name, cbor2.dumps(record[1:]))


def rows_of(records: Iterable[HeldRecord], registrar: bytes) -> list[Row]:
    """Return rows with all records that a registrar has granted."""
    return [*map(row, records), Row(REGISTRAR, _KEY, registrar)]


def decode_untrusted(names: Mapping[str, bytes], registrar: Mapping[str, bytes]) -> KeptNames:
    """Return what the two tables hold; raises DamagedNames."""
    try:
        records = tuple(_record(name, *loads_untrusted(value, items=1 << 16, depth=2)) for name, value in names.items())
    except (BadCbor, TypeError, ValueError) as error:
        raise DamagedNames("a row is not a name record") from error
    return KeptNames(records, registrar.get(_KEY))


def _record(name: str, sequence: int, expires_at: int, encoded: bytes) -> HeldRecord:
    if type(sequence) is not int or type(expires_at) is not int or not isinstance(encoded, bytes):
        raise TypeError("not a record")
    return HeldRecord(name, sequence, expires_at, encoded)
