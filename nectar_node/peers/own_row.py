"""What a node keeps of its own name record: the number of the last that it signed, and which copy took its place.

The table `own` has these two rows. The number is on the disk before the record goes to the registrar, so a record with
a higher one shows that the store is older than the network knows, or that a copy of the node runs elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import cbor2

from nectar_node.base.errors import NodeError
from nectar_node.storage.operations import Row
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor
from net.names.directory import NameRecord

OWN = "own"
"""The table."""
_SEQUENCE, _SUCCESSOR = "sequence", "successor"
FORGET_SUCCESSOR = Row(OWN, _SUCCESSOR, None)
"""What removes the row of the copy."""
_LATEST = 253402300799
"""The last second of the year 9999: what a clock can say at most that is to be shown."""


class DamagedOwnRow(NodeError):
    """A row does not say what a node keeps of its own record."""


class Successor(NamedTuple):
    """The copy of the node that has registered after it."""

    where: str
    """The host and port in its record, or its routers."""
    since: int
    """When it registered, in Unix seconds."""

    @staticmethod
    def of(record: NameRecord) -> Successor:
        """Return what the copy's record says."""
        endpoints = [f"{each.host}:{each.port}" for each in record.endpoints]
        return Successor((endpoints or [f"the router {each}" for each in record.routers] or ["?"])[0], record.issued_at)

    def sentence(self, our: str) -> str:
        """Return, for people, why this copy of the node `our` ends, and what to do."""
        since = datetime.fromtimestamp(min(max(self.since, 0), _LATEST), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return (
            f"A copy of {our} at {self.where} has taken its place since {since}, so this one stands down: a node runs "
            "in one place only. To run it here again, stop the copy and boot this one with --take-over."
        )


class KeptOwn(NamedTuple):
    """What earlier boots have kept."""

    sequence: int | None = None
    """The highest number of a record that the node has signed; None: it is not known."""
    successor: Successor | None = None


class OwnRow:
    """Follows the node's own record: what is new of it is to be written."""

    def __init__(self, kept: KeptOwn) -> None:
        self.successor = kept.successor
        """The copy in whose favour this one has stood down; only `stand_down` and `take_over` change it."""
        self._waiting: list[Row] = []
        self._sequence = self._written = kept.sequence or 0

    @property
    def has_changed(self) -> bool:
        """Whether `changes` returns any."""
        return bool(self._waiting)

    def changes(self) -> list[Row]:
        """Return the rows that are to be written since this was called last."""
        rows, self._waiting = self._waiting, []
        return rows

    def signed(self, sequence: int) -> None:
        """Keep the number of a record; `take_written` has it then."""
        self._sequence = sequence
        self._waiting.append(sequence_row(sequence))

    def take_written(self) -> int | None:
        """Return the highest number that is on the disk, if that is a new one, now that a commit is done."""
        if self._waiting or self._sequence == self._written:
            return None
        self._written = self._sequence
        return self._written

    def stand_down(self, successor: Successor) -> None:
        """Keep that a copy has taken the node's place: it does not run at the next boot either."""
        self.successor = successor
        self._waiting.append(Row(OWN, _SUCCESSOR, cbor2.dumps(successor)))

    def take_over(self) -> None:
        """Forget the copy: the user says that this one runs from now on."""
        if self.successor is not None:
            self.successor = None
            self._waiting.append(FORGET_SUCCESSOR)


def sequence_row(sequence: int) -> Row:
    """Return the row of the number."""
    return Row(OWN, _SEQUENCE, cbor2.dumps(sequence))


def decode_untrusted(rows: Mapping[str, bytes], *, is_new: bool = False) -> KeptOwn:
    """Return what the table holds; raises DamagedOwnRow.

    `is_new`: there is nothing in the store at all, so the node has never signed a record, or has lost its store.
    """
    sequence, successor = 0 if is_new else None, None
    try:
        if _SEQUENCE in rows:
            sequence = loads_untrusted(rows[_SEQUENCE], items=1, depth=1)
        if _SUCCESSOR in rows:
            where, since = loads_untrusted(rows[_SUCCESSOR], items=8, depth=2)
            successor = Successor(where, since)
    except (BadCbor, TypeError, ValueError) as error:
        raise DamagedOwnRow("a row of the node's own record cannot be read") from error
    if not (sequence is None or (type(sequence) is int and sequence >= 0)):
        raise DamagedOwnRow("the number of the node's own record is not one")
    if successor is not None and not (isinstance(successor.where, str) and type(successor.since) is int):
        raise DamagedOwnRow("a row of the node's own record cannot be read")
    return KeptOwn(sequence, successor)
