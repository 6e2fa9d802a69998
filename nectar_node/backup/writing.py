"""Writes chunks and streams: what a remote has already is not written again, the rest goes into packs."""

from __future__ import annotations

from collections.abc import Iterable

from nectar_node.backup.format.chunking import Chunker
from nectar_node.backup.format.index import Pack, encode_index, seal_index
from nectar_node.backup.format.keys import Entropy
from nectar_node.backup.format.limits import IN_FLIGHT, INDEX_CHUNKS, INLINE_IDS, MAX_PACK_CHUNKS, PACK_RAW_BYTES
from nectar_node.backup.format.names import INDEXES, PACKS, new_name
from nectar_node.backup.format.packs import CHUNK_ID_BYTES, RECORD_BYTES, Seal, Sealed, chunk_id
from nectar_node.backup.format.streams import NOTHING, ChunkStream
from nectar_node.backup.operations import AwaitOperation, BeginOperation, OperationDone, PutObject, Steps
from nectar_node.backup.repository import Repository, put_once, unexpected

_FULL = 1024 * 1024
"""Bytes of a listing that wait to be cut."""


class PackWriter:
    """Fills packs, seals and puts them, several at once, and describes them in index objects."""

    def __init__(
        self,
        repository: Repository,
        entropy: Entropy,
        chunker: Chunker,
        describe: Iterable[Pack] | None = None,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        """`in_flight` is how many packs are sealed or put at the same time."""
        self.new_bytes = 0
        """Bytes of the chunks that the remote did not have."""
        self.stored_bytes = 0
        """Bytes of the objects that were put."""
        self.indexes: dict[str, bytes] = {}
        """The index objects that were put, decrypted."""
        self._repository = repository
        self._entropy = entropy
        self._chunker = chunker
        self._epoch = repository.ring.epoch
        self._new: set[bytes] = set()
        self._filling: list[tuple[bytes, bytes]] = []
        self._filled = 0
        self._running = 0
        self._in_flight = in_flight
        self._directories: dict[str, bytes] = {}
        self._to_describe = list(repository.unindexed if describe is None else describe)
        """Packs that are at the remote, and in no index yet, or to be in a new one."""

    def knows(self, ids: Iterable[bytes]) -> bool:
        """Whether the remote has all these chunks."""
        table = self._repository.table
        return all(chunk in table for chunk in ids)

    def chunk(self, data: memoryview | bytes) -> Steps[bytes]:
        """See that the remote will have this chunk, and return its id."""
        name = chunk_id(self._repository.ring.chunk_ids, data)
        if name not in self._new and name not in self._repository.table:
            yield from self.add(name, bytes(data))
        return name

    def add(self, name: bytes, data: bytes) -> Steps[None]:
        """Write a chunk of this id, whether or not the remote has it."""
        self._new.add(name)
        self._filling.append((name, data))
        self._filled += len(data)
        self.new_bytes += len(data)
        if self._filled >= PACK_RAW_BYTES or len(self._filling) == MAX_PACK_CHUNKS:
            yield from self._close_pack()

    def stream(self, ids: bytes, size: int) -> Steps[ChunkStream]:
        """Return the reference to the stream whose chunks have these ids; a long list of them is written."""
        level = 0
        while len(ids) > INLINE_IDS * CHUNK_ID_BYTES:
            above = bytearray()
            for piece in self._chunker.listing(bytearray(ids), whole=True):
                above += yield from self.chunk(piece)
            ids, level = bytes(above), level + 1
        return ChunkStream(size, level, ids) if size else NOTHING

    def flush(self) -> Steps[None]:
        """Return when the remote has everything, and index objects describe it."""
        if self._filling:
            yield from self._close_pack()
        while self._running:
            yield from self._one_done()
        if self._to_describe:
            yield from self._describe()

    def _close_pack(self) -> Steps[None]:
        name = new_name(PACKS, self._entropy)
        yield BeginOperation(Seal(name, self._repository.ring.current.data, tuple(self._filling)))
        self._running += 1
        self._filling, self._filled = [], 0
        while self._running >= self._in_flight:
            yield from self._one_done()

    def _one_done(self) -> Steps[None]:
        done: OperationDone = yield AwaitOperation()
        match done.operation:
            case Seal():
                if done.error is not None:
                    raise done.error
                sealed: Sealed = done.result
                self._directories[sealed.name] = sealed.directory
                yield BeginOperation(PutObject(sealed.name, sealed.data))
            case PutObject(name, data) as operation:
                if done.error is not None:
                    yield from put_once(self._repository.remote, operation, done.error)
                self._running -= 1
                self.stored_bytes += len(data)
                self._to_describe.append(Pack(name, self._epoch, len(data), self._directories.pop(name)))
                if sum(len(pack.directory) for pack in self._to_describe) >= INDEX_CHUNKS * RECORD_BYTES:
                    yield from self._describe()
            case operation:
                raise unexpected(operation)

    def _describe(self) -> Steps[None]:
        while self._to_describe:
            part: list[Pack] = []
            rest: list[Pack] = []
            size = 0
            for pack in self._to_describe:
                size += len(pack.directory)
                (part if not part or size <= INDEX_CHUNKS * RECORD_BYTES else rest).append(pack)
            self._to_describe = rest
            name = new_name(INDEXES, self._entropy)
            data = seal_index(name, part, self._repository.ring.current, self._entropy)
            yield from put_once(self._repository.remote, PutObject(name, data))
            self.stored_bytes += len(data)
            self.indexes[name] = encode_index(part)
            for pack in part:
                if pack.name not in self._repository.table.by_name:
                    self._repository.table.add(pack)
                self._new.difference_update(place.chunk for place in self._repository.table.places(pack))


class StreamWriter:
    """Writes one stream piece by piece, cut as listings are."""

    def __init__(self, packs: PackWriter, chunker: Chunker) -> None:
        self._packs = packs
        self._chunker = chunker
        self._buffer = bytearray()
        self._ids = bytearray()
        self._size = 0

    def write(self, data: bytes) -> Steps[None]:
        """Add to the stream."""
        self._buffer += data
        self._size += len(data)
        if len(self._buffer) >= _FULL:
            yield from self._cut(whole=False)

    def close(self) -> Steps[ChunkStream]:
        """Return the reference to the stream."""
        yield from self._cut(whole=True)
        return (yield from self._packs.stream(bytes(self._ids), self._size))

    def _cut(self, *, whole: bool) -> Steps[None]:
        for piece in self._chunker.listing(self._buffer, whole=whole):
            self._ids += yield from self._packs.chunk(piece)
