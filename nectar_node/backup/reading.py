"""Reads chunks and streams: what lies side by side in a pack is read at once, and several reads are under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nectar_node.backup.format.errors import ObjectMissing
from nectar_node.backup.format.index import Pack
from nectar_node.backup.format.limits import IN_FLIGHT, MAX_CHUNK_BYTES, PACK_RAW_BYTES
from nectar_node.backup.format.listing import BadListing, EntryReader, ListingEntry
from nectar_node.backup.format.names import PACKS
from nectar_node.backup.format.packs import CHUNK_ID_BYTES, ChunkPlace, Unseal
from nectar_node.backup.format.streams import ChunkStream, split_ids
from nectar_node.backup.operations import AwaitOperation, BeginOperation, GetObject, OperationDone, Steps
from nectar_node.backup.repository import Repository, unexpected

_MAX_GAP = 64 * 1024
"""Bytes that are read and thrown away rather than asked around."""
_LISTING_CHUNKS = 64
"""Chunks of a listing that are held at once: 8 MiB at most."""

Take = Callable[[bytes, bytes], None]
"""Gets the id of a chunk, and its content."""


@dataclass(slots=True)
class _Range:
    """What is read at once of a pack."""

    pack: Pack
    places: list[ChunkPlace]

    @property
    def start(self) -> int:
        return self.places[0].start

    @property
    def end(self) -> int:
        return self.places[-1].start + self.places[-1].stored


def fetch(repository: Repository, ids: Iterable[bytes], take: Take) -> Steps[None]:
    """Read chunks, each once; `take` gets them in the order in which they come. Raises DamagedBackup."""
    waiting = _ranges(repository, ids)
    reading: dict[tuple[str, int], _Range] = {}
    running = 0
    while True:
        while running < IN_FLIGHT and (each := next(waiting, None)) is not None:
            reading[each.pack.name, each.start] = each
            yield BeginOperation(GetObject(each.pack.name, each.start, each.end - each.start))
            running += 1
        if not running:
            return
        done: OperationDone = yield AwaitOperation()
        match done.operation:
            case GetObject(name, start, _):
                if isinstance(done.error, ObjectMissing):
                    raise repository.damaged(name, "is missing")
                if done.error is not None:
                    raise done.error
                each = reading[name, start]
                key = repository.ring.epochs[each.pack.epoch].data
                yield BeginOperation(
                    Unseal(name, key, repository.ring.chunk_ids, done.result, start, tuple(each.places))
                )
            case Unseal(name, start=start):
                if done.error is not None:
                    raise done.error
                running -= 1
                for place, chunk in zip(reading.pop((name, start)).places, done.result, strict=True):
                    if chunk is None:
                        raise repository.damaged(name, f"is altered at byte {place.start}")
                    take(place.chunk, chunk)
            case operation:
                raise unexpected(operation)


def _ranges(repository: Repository, ids: Iterable[bytes]) -> Iterator[_Range]:
    found: dict[str, tuple[Pack, list[ChunkPlace]]] = {}
    for chunk in dict.fromkeys(ids):
        where = repository.table.find(chunk)
        if where is None:
            raise repository.lost()
        found.setdefault(where[0].name, (where[0], []))[1].append(where[1])
    for pack, places in found.values():
        places.sort(key=lambda place: place.start)
        current = _Range(pack, places[:1])
        for place in places[1:]:
            near = place.start - current.end <= _MAX_GAP
            if near and place.start + place.stored - current.start <= PACK_RAW_BYTES + MAX_CHUNK_BYTES:
                current.places.append(place)
            else:
                yield current
                current = _Range(pack, [place])
        yield current


def chunks_of(repository: Repository, stream: ChunkStream, seen: Callable[[bytes], None] | None = None) -> Steps[bytes]:
    """Return the ids of a stream's chunks, one after the other; `seen` is told all ids, also those of lists of ids.

    Raises DamagedBackup.
    """
    ids = stream.ids
    for _ in range(stream.level):
        level = split_ids(ids)
        if seen is not None:
            for chunk in level:
                seen(chunk)
        contents: dict[bytes, bytes] = {}
        yield from fetch(repository, level, contents.__setitem__)
        ids = b"".join(contents[chunk] for chunk in level)
        if len(ids) % CHUNK_ID_BYTES:
            raise repository.damaged(PACKS, "holds a list of chunks that ends within an id")
    if seen is not None:
        for chunk in split_ids(ids):
            seen(chunk)
    return ids


def read_listing(
    repository: Repository,
    listing: ChunkStream,
    each: Callable[[list[ListingEntry]], Steps[None]],
    seen: Callable[[bytes], None] | None = None,
) -> Steps[None]:
    """Read the entries of a snapshot and give them to `each`, some at a time. Raises DamagedBackup."""
    ids = split_ids((yield from chunks_of(repository, listing, seen)))
    reader = EntryReader()
    size = 0
    try:
        for start in range(0, len(ids), _LISTING_CHUNKS):
            part = ids[start : start + _LISTING_CHUNKS]
            contents: dict[bytes, bytes] = {}
            yield from fetch(repository, part, contents.__setitem__)
            size += sum(len(contents[chunk]) for chunk in part)
            yield from each([entry for chunk in part for entry in reader.feed(contents[chunk])])
        reader.close()
    except BadListing as error:
        raise repository.damaged(PACKS, f"holds a listing that is wrong: {error}") from error
    if size != listing.size:
        raise repository.damaged(PACKS, f"holds a listing of {size} bytes in place of {listing.size}")
