"""Index objects, and the table of all chunks that a remote has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cbor2

from nectar_node.backup.format import boxes, packs
from nectar_node.backup.format.keys import ID_BYTES, Entropy, Epoch
from nectar_node.backup.format.limits import MAX_BOX_BYTES, MAX_PACK_BYTES
from nectar_node.backup.format.names import PACKS
from nectar_node.backup.format.packs import ChunkPlace
from net.base.cbor import loads_untrusted
from net.base.errors import BadCbor

_MAGIC = "nectar-backup index 1"


class Pack(NamedTuple):
    """What an index says of a pack."""

    name: str
    epoch: int
    """The number of the epoch whose key it is encrypted with."""
    size: int
    """Bytes."""
    directory: bytes


def seal_index(name: str, described: Iterable[Pack], epoch: Epoch, entropy: Entropy) -> bytes:
    """Return the index object `name` of some packs."""
    return boxes.seal(name, encode_index(described), epoch.index, entropy(boxes.NONCE_BYTES))


def encode_index(described: Iterable[Pack]) -> bytes:
    """Return the CBOR of an index."""
    rows = [[bytes.fromhex(pack.name.removeprefix(PACKS)), pack.epoch, pack.size, pack.directory] for pack in described]
    return cbor2.dumps([_MAGIC, rows])


def decode_index_untrusted(payload: bytes, epochs: int) -> list[Pack] | None:
    """Return the packs that an index describes; None: it is not one."""
    try:
        fields = loads_untrusted(payload, items=len(payload), depth=4) if len(payload) <= MAX_BOX_BYTES else None
    except BadCbor:
        return None
    match fields:
        case [str(magic), list(rows)] if magic == _MAGIC:
            found = [pack for row in rows if (pack := _pack_untrusted(row, epochs)) is not None]
            return found if len(found) == len(rows) else None
    return None


def _pack_untrusted(row: object, epochs: int) -> Pack | None:
    match row:
        case [bytes(name), int(epoch), int(size), bytes(directory)] if (
            len(name) == ID_BYTES and 0 <= epoch < epochs and 0 < size <= MAX_PACK_BYTES
        ):
            pack = Pack(PACKS + name.hex(), epoch, size, directory)
            return pack if packs.places(directory, size) is not None else None
    return None


class ChunkTable:
    """All chunks that a remote has, and where: a number a chunk, since there may be millions."""

    def __init__(self) -> None:
        self.packs: list[Pack] = []
        """Those that were added."""
        self.by_name: dict[str, Pack] = {}
        self._chunks: dict[bytes, int] = {}

    def __contains__(self, chunk: bytes) -> bool:
        return chunk in self._chunks

    def __len__(self) -> int:
        return len(self._chunks)

    def add(self, pack: Pack) -> None:
        """Add the chunks of a pack; one that is known already keeps its place."""
        number = len(self.packs)
        self.packs.append(pack)
        self.by_name[pack.name] = pack
        for place in packs.places(pack.directory, pack.size) or ():
            self._chunks.setdefault(place.chunk, ((number << 32 | place.start) << 32 | place.stored) << 32 | place.size)

    def find(self, chunk: bytes) -> tuple[Pack, ChunkPlace] | None:
        """Return where a chunk lies; None: the remote does not have it."""
        value = self._chunks.get(chunk)
        if value is None:
            return None
        low = (1 << 32) - 1
        place = ChunkPlace(chunk, value >> 64 & low, value >> 32 & low, value & low)
        return self.packs[value >> 96], place

    def places(self, pack: Pack) -> Iterator[ChunkPlace]:
        """Yield the place of each chunk in a pack."""
        yield from packs.places(pack.directory, pack.size) or ()
