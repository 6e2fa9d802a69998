"""Brings a snapshot back: every chunk is checked against its id, every file against its size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nectar_node.backup.format.errors import RemoteFailed
from nectar_node.backup.format.heads import Head, HeadLink
from nectar_node.backup.format.keys import Ring
from nectar_node.backup.format.listing import EntryKind, ListingEntry
from nectar_node.backup.format.names import PACKS
from nectar_node.backup.format.streams import ChunkStream, split_ids
from nectar_node.backup.operations import Steps
from nectar_node.backup.reading import chunks_of, fetch, read_listing
from nectar_node.backup.repository import Repository, open_heads, open_rings, read_head, read_heads, read_table
from nectar_node.backup.source import RestoreTarget

_BATCH_CHUNKS = 4096
"""Chunks that are asked for before files are finished: 2 GiB of files, or 4,096 small ones."""

Progress = Callable[[int, int], None]
"""Gets how many bytes are restored, and how many there are."""


@dataclass(frozen=True, slots=True)
class RestoredCopy:
    """A snapshot that is restored, complete."""

    head: Head
    link: HeadLink
    ring: Ring
    sealed_ring: tuple[str, bytes]
    """The ring as an object: its name, and its bytes."""
    newest: HeadLink
    """The newest head of the remote, which the next backup follows."""


def restore(
    remote: str,
    key: bytes,
    target_of: Callable[[Head], RestoreTarget],
    at: int | None = None,
    least: int = 0,
    progress: Progress = lambda done, total: None,
) -> Steps[RestoredCopy]:
    """Restore the newest snapshot, or the newest at the time `at` (milliseconds since 1970), with the phrase's `key`.

    Raises RolledBack if the remote's newest head has a number less than `least`, and any other BackupError.
    """
    ring, sealed_ring = yield from open_rings(remote, key)
    repository = yield from open_heads(remote, ring, least)
    if repository.latest is None:
        raise RemoteFailed(f"There is no complete copy in {remote}: its first backup has not come to its end.")
    newest = yield from (read_head(repository, repository.latest) if at is None else _newest_legible(repository))
    repository.heads = {number: size for number, size in repository.heads.items() if not newest[0].is_pruned(number)}
    head, link = newest if at is None else (yield from head_at(repository, at))
    yield from read_table(repository, {})
    writing = _Writing(repository, target_of(head), head.bytes, progress)
    yield from read_listing(repository, head.listing, writing.entries)
    yield from writing.close()
    return RestoredCopy(head, link, ring, sealed_ring, newest[1])


def _newest_legible(repository: Repository) -> Steps[tuple[Head, HeadLink]]:
    """Return the newest head that can be read, and forget the others: whoever asks for an earlier copy needs no more.

    Raises DamagedBackup if there is none.
    """
    heads, damaged = yield from read_heads(repository)
    if not heads:
        raise next(iter(damaged.values()))
    for number in damaged:
        del repository.heads[number]
    return heads[max(heads)]


def head_at(repository: Repository, at: int) -> Steps[tuple[Head, HeadLink]]:
    """Return the newest head that is not later than `at`; raises RemoteFailed if all are later."""
    numbers = sorted(repository.heads)
    low, high = 0, len(numbers)
    best: tuple[Head, HeadLink] | None = None
    oldest = 0
    while low < high:
        middle = (low + high) // 2
        found = yield from read_head(repository, numbers[middle])
        if found[0].time <= at:
            best, low = found, middle + 1
        else:
            oldest, high = found[0].time, middle
    if best is None:
        raise RemoteFailed(
            f"{repository.remote} has no copy that old: its oldest is {(oldest - at) // 1000 + 1} s newer."
        )
    return best


@dataclass(slots=True)
class _Writing:
    """What has been read of the listing, and is being written."""

    repository: Repository
    target: RestoreTarget
    total: int
    progress: Progress
    done: int = 0
    wanted: dict[bytes, list[tuple[bytes, int]]] = field(default_factory=lambda: defaultdict(list))
    """For each chunk, the files and places where it belongs."""
    unfinished: list[ListingEntry] = field(default_factory=list)
    """Files of which all pieces are wanted or written."""
    folders: list[ListingEntry] = field(default_factory=list)

    def entries(self, entries: Iterable[ListingEntry]) -> Steps[None]:
        """Restore some entries."""
        for entry in entries:
            self.target.begin(entry)
            if entry.kind is EntryKind.FOLDER:
                self.folders.append(entry)
            elif entry.kind is EntryKind.FILE:
                yield from self._file(entry)

    def close(self) -> Steps[None]:
        """Finish everything; folders come last, since what is made in them changes their times."""
        yield from self._write()
        for entry in reversed(self.folders):
            self.target.finish(entry)

    def _file(self, entry: ListingEntry) -> Steps[None]:
        if not isinstance(entry.content, ChunkStream):
            assert entry.content is not None
            self.target.write(entry.path, 0, entry.content)
            self.target.finish(entry)
            self._count(len(entry.content))
            return
        yield from self._stream(entry, entry.content)

    def _stream(self, entry: ListingEntry, stream: ChunkStream) -> Steps[None]:
        ids = split_ids((yield from chunks_of(self.repository, stream)))
        start = 0
        for chunk in ids:
            where = self.repository.table.find(chunk)
            if where is None:
                raise self.repository.lost()
            self.wanted[chunk].append((entry.path, start))
            start += where[1].size
            if len(self.wanted) >= _BATCH_CHUNKS:
                yield from self._write()
        if start != stream.size:
            raise self.repository.damaged(PACKS, f"holds {start} bytes of a file that has {stream.size}")
        self.unfinished.append(entry)

    def _write(self) -> Steps[None]:
        wanted, self.wanted = self.wanted, defaultdict(list)

        def take(chunk: bytes, data: bytes) -> None:
            for path, start in wanted[chunk]:
                self.target.write(path, start, data)
                self._count(len(data))

        yield from fetch(self.repository, wanted, take)
        for entry in self.unfinished:
            self.target.finish(entry)
        self.unfinished.clear()

    def _count(self, size: int) -> None:
        self.done += size
        self.progress(self.done, self.total)
