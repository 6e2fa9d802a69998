"""Streams: bytes of any length as chunks. A long list of chunks is itself a stream of ids, one level up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nectar_node.backup.format.limits import INLINE_IDS, MAX_LEVEL, MAX_NUMBER
from nectar_node.backup.format.packs import CHUNK_ID_BYTES


@dataclass(frozen=True, slots=True)
class ChunkStream:
    """A reference to a stream."""

    size: int
    """Bytes of the stream."""
    level: int
    """0: the ids are those of its chunks; else they are those of a list of ids, which has one level less."""
    ids: bytes
    """At most `INLINE_IDS` ids, one after the other."""

    def value(self) -> list[Any]:
        """Return it as CBOR has it."""
        return [self.size, self.level, self.ids]


NOTHING = ChunkStream(0, 0, b"")


def stream_untrusted(value: object) -> ChunkStream | None:
    """Return the stream that a CBOR value means; None: it is none."""
    match value:
        case [int(size), int(level), bytes(ids)] if (
            0 <= size <= MAX_NUMBER
            and 0 <= level <= MAX_LEVEL
            and len(ids) % CHUNK_ID_BYTES == 0
            and len(ids) <= INLINE_IDS * CHUNK_ID_BYTES
            and (size == 0) == (not ids)
        ):
            return ChunkStream(size, level, ids)
    return None


def split_ids(ids: bytes) -> list[bytes]:
    """Return the ids that stand one after the other."""
    return [ids[start : start + CHUNK_ID_BYTES] for start in range(0, len(ids), CHUNK_ID_BYTES)]
