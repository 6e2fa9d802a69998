"""Values that kv:distro:sys has in memory, so that a get of one of them waits for no disk. Pure.

All that changes a database passes through that process, in order: it tells here what it has read and what a commit has
written, and forgets a database whose commit has failed. So what is here is what the disk has.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from typing import Final, Literal

from kernel.contract.message import Buffer

MAX_CACHED_BYTES = 8 << 20
"""Bytes of all values, with their keys: a node's share of memory for what it could read again."""
MAX_CACHED_VALUE_BYTES = 64 << 10
"""Bytes of one value: a longer one takes so long to pass on that reading it matters little."""
_ENTRY_BYTES = 200
"""Bytes that an entry takes beside its key and its value."""


class CacheMiss(Enum):
    """What a get finds that is not in the cache."""

    NOTHING = 0


NOTHING: Final = CacheMiss.NOTHING


class ValueCache:
    """The latest values of keys, the longest unused forgotten first."""

    def __init__(self) -> None:
        self._databases: OrderedDict[str, OrderedDict[bytes, bytes | None]] = OrderedDict()
        self.bytes = 0
        """Bytes of all that is here."""

    def get(self, place: str, key: bytes) -> bytes | Literal[CacheMiss.NOTHING] | None:
        """Return the value of a key of the database there; None: it has none. NOTHING: that is not known."""
        values = self._databases.get(place)
        if values is None or (value := values.get(key, NOTHING)) is NOTHING:
            return NOTHING
        values.move_to_end(key)
        self._databases.move_to_end(place)
        return value

    def put(self, place: str, key: bytes, value: Buffer | None) -> None:
        """Learn the value of a key; None: it has none."""
        values = self._databases.setdefault(place, OrderedDict())
        if key in values:
            self._forget(key, values.pop(key))
        if value is None or len(value) <= MAX_CACHED_VALUE_BYTES:
            values[key] = kept = None if value is None else bytes(value)
            self.bytes += _size(key, kept)
            self._databases.move_to_end(place)
        while self.bytes > MAX_CACHED_BYTES:
            oldest = next(iter(self._databases.values()))
            if oldest:
                self._forget(*oldest.popitem(last=False))
            else:
                self._databases.popitem(last=False)
        if not values:
            self._databases.pop(place, None)

    def drop(self, place: str) -> None:
        """Forget all of a database."""
        for key, value in self._databases.pop(place, {}).items():
            self._forget(key, value)

    def _forget(self, key: bytes, value: bytes | None) -> None:
        self.bytes -= _size(key, value)


def _size(key: bytes, value: bytes | None) -> int:
    return _ENTRY_BYTES + len(key) + len(value or b"")
