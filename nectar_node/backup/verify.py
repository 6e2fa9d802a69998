"""Looks for everything that can be wrong with a backup, to the last byte, and names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from nectar_node.backup.format.errors import DamagedBackup, ObjectMissing
from nectar_node.backup.format.heads import Head, HeadLink
from nectar_node.backup.format.index import Pack
from nectar_node.backup.format.keys import Ring
from nectar_node.backup.format.limits import IN_FLIGHT
from nectar_node.backup.format.listing import ListingEntry
from nectar_node.backup.format.names import RINGS, head_name, is_name
from nectar_node.backup.format.packs import CheckPack
from nectar_node.backup.format.streams import ChunkStream, split_ids
from nectar_node.backup.operations import (
    AwaitOperation,
    BeginOperation,
    GetObject,
    OperationDone,
    PerformOperation,
    Steps,
)
from nectar_node.backup.reading import chunks_of, read_listing
from nectar_node.backup.repository import Repository, listed, open_heads, read_heads, read_table

Progress = Callable[[int, int], None]
"""Gets how many bytes of packs are checked, and how many there are."""


@dataclass(frozen=True, slots=True)
class VerifyFindings:
    """What was looked at, and what is wrong."""

    copies: int
    """Snapshots that are there."""
    newest: Head | None
    packs: int
    chunks: int
    bytes: int
    """Bytes of packs that were read; 0: they were not."""
    damages: tuple[DamagedBackup, ...]


def verify(
    remote: str,
    ring: Ring,
    sealed_ring: tuple[str, bytes],
    known: HeadLink | None = None,
    *,
    reads: bool = True,
    progress: Progress = lambda done, total: None,
) -> Steps[VerifyFindings]:
    """Check that each snapshot can be restored. With `reads`, all packs are read; else they must be there.

    `known` is the newest head that the remote is known to have. Raises RolledBack if it has only older ones, and
    RemoteFailed; everything else is found and returned.
    """
    repository = yield from open_heads(remote, ring, 0 if known is None else known.number)
    checking = _Checking(repository)
    yield from checking.ring(*sealed_ring)
    heads = yield from checking.heads(known)
    yield from read_table(repository, {})
    checking.damages += repository.damages
    checking.damages += [repository.damaged(name, "is not of this backup") for name in sorted(repository.strangers)]
    for head in heads:
        yield from checking.snapshot(head)
    read = 0
    if reads:
        read = yield from checking.packs(progress)
    return VerifyFindings(
        len(heads),
        heads[0] if heads else None,
        len(repository.packs),
        len(repository.table),
        read,
        tuple({(each.name, each.what): each for each in checking.damages}.values()),
    )


def standing(heads: dict[int, tuple[Head, HeadLink]]) -> list[Head]:
    """Return the heads that were not removed on purpose, the newest first: an interrupted pruning leaves some."""
    if not heads:
        return []
    newest = heads[max(heads)][0]
    return [heads[number][0] for number in sorted(heads, reverse=True) if not newest.is_pruned(number)]


@dataclass(slots=True)
class _Checking:
    repository: Repository
    damages: list[DamagedBackup] = field(default_factory=list)
    _seen: set[ChunkStream] = field(default_factory=set)

    def ring(self, name: str, data: bytes) -> Steps[None]:
        """Check that the current key ring is there as it was put."""
        names = [each for each, _ in (yield from listed(self.repository.remote, RINGS))]
        self.repository.strangers += [each for each in names if not is_name(each)]
        try:
            there = yield PerformOperation(GetObject(name, 0, len(data) + 1))
        except ObjectMissing:
            self.damages.append(self.repository.damaged(name, "is missing: it is the key ring"))
            return
        if there != data:
            self.damages.append(self.repository.damaged(name, "is altered: it is the key ring"))

    def heads(self, known: HeadLink | None) -> Steps[list[Head]]:
        """Check the chain of heads, and return those that stand, the newest first."""
        heads, damaged = yield from read_heads(self.repository)
        newest = heads[max(heads)][0] if heads else None
        self.damages += [
            damage
            for number, damage in damaged.items()
            if newest is None or not newest.is_pruned(number)  # a later copy was made without it
        ]
        if known is not None and known.number in heads and heads[known.number][1] != known:
            self._damaged_head(known.number, "is not the one that was put there")
        for number in sorted(heads):
            self._check_link(heads, number)
        return standing(heads)

    def _check_link(self, heads: dict[int, tuple[Head, HeadLink]], number: int) -> None:
        newest, head = heads[max(heads)][0], heads[number][0]
        if newest.is_pruned(number):
            return
        older = [each for each in self.repository.heads if each < number and not newest.is_pruned(each)]
        before = head.before
        if before is None or (older and before.number < max(older)):
            if older:
                self._damaged_head(max(older), f"was not there when copy {number} was made, and is now")
        elif before.number in heads:
            if heads[before.number][1] != before:
                self._damaged_head(before.number, f"is not the one that copy {number} follows")
        elif before.number not in self.repository.heads and not newest.is_pruned(before.number):
            self._damaged_head(before.number, f"is missing, and copy {number} follows it")

    def _damaged_head(self, number: int, what: str) -> None:
        self.damages.append(self.repository.damaged(head_name(self.repository.ring, number), what))

    def snapshot(self, head: Head) -> Steps[None]:
        """Check that all chunks of a snapshot are there, and that its files have their sizes."""
        if head.listing in self._seen:
            return
        self._seen.add(head.listing)
        try:
            yield from read_listing(self.repository, head.listing, self._entries)
        except DamagedBackup as damage:
            self.damages.append(damage)

    def _entries(self, entries: Iterable[ListingEntry]) -> Steps[None]:
        for entry in entries:
            stream = entry.content
            if not isinstance(stream, ChunkStream) or stream in self._seen:
                continue
            self._seen.add(stream)
            size = 0
            for chunk in split_ids((yield from chunks_of(self.repository, stream))):
                where = self.repository.table.find(chunk)
                if where is None:
                    raise self.repository.lost()
                size += where[1].size
            if size != stream.size:
                raise self.repository.damaged("packs/", f"holds {size} bytes of a file that has {stream.size}")

    def packs(self, progress: Progress) -> Steps[int]:
        """Read all packs, and return how many bytes that are."""
        ring, table = self.repository.ring, self.repository.table
        total, read, running = sum(pack.size for pack in table.packs), 0, 0
        waiting: Iterator[Pack] = iter(table.packs)
        while True:
            while running < IN_FLIGHT and (pack := next(waiting, None)) is not None:
                yield BeginOperation(GetObject(pack.name, 0, pack.size + 1))
                running += 1
            if not running:
                return read
            done: OperationDone = yield AwaitOperation()
            name = done.operation.name if isinstance(done.operation, GetObject | CheckPack) else ""
            pack = table.by_name[name]
            if isinstance(done.error, ObjectMissing):
                self.damages.append(self.repository.damaged(name, "is missing"))
                running -= 1
            elif done.error is not None:
                raise done.error
            elif isinstance(done.operation, GetObject):
                key = ring.epochs[pack.epoch].data
                yield BeginOperation(CheckPack(name, key, ring.chunk_ids, pack.directory, pack.size, done.result))
            else:
                if done.result is not None:
                    self.damages.append(self.repository.damaged(name, done.result))
                running -= 1
                read += pack.size
                progress(read, total)
