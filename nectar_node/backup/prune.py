"""Removes snapshots, and what only they needed. It is the only thing that deletes.

First comes everything new: packs with what is left of packs that are mostly unused, an index of all that stays, and a
head that says which ones are gone. Only then is anything deleted, so that whoever reads meanwhile, or after a crash,
finds every snapshot that the newest head does not call removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from nectar_node.backup.format.chunking import Chunker
from nectar_node.backup.format.heads import Head, HeadLink
from nectar_node.backup.format.index import Pack
from nectar_node.backup.format.limits import IN_FLIGHT
from nectar_node.backup.format.listing import ListingEntry
from nectar_node.backup.format.names import RINGS, head_name
from nectar_node.backup.format.streams import ChunkStream
from nectar_node.backup.operations import AwaitOperation, BeginOperation, DeleteObject, OperationDone, Steps
from nectar_node.backup.reading import chunks_of, fetch, read_listing
from nectar_node.backup.repository import Repository, listed, open_heads, read_heads, read_table
from nectar_node.backup.run import BackupJob, check_newest, put_head, put_ring
from nectar_node.backup.verify import standing
from nectar_node.backup.writing import PackWriter

_SPARSE = 2
"""A pack is written anew if less than one part in so many is still used."""
_FEW_INDEXES = 16
"""Index objects that are not put together: each costs a reader one request."""
_MOVED_AT_ONCE = 32
"""Chunks that are held at once: 64 MiB at most."""
_DAY = 24 * 3600 * 1000

Keep = Callable[[Sequence[tuple[int, int]]], set[int]]
"""Gets the numbers and times (milliseconds since 1970) of all copies, the newest first; returns which ones stay."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What pruning has done."""

    link: HeadLink
    """The newest head now."""
    kept: int
    removed: int
    """Snapshots."""
    freed: int
    """Bytes that the remote has fewer."""


def keep_recent(last: int, days: int) -> Keep:
    """Return the rule that keeps the newest `last` copies, and the newest one of each of the last `days` with any."""

    def keep(copies: Sequence[tuple[int, int]]) -> set[int]:
        by_day: dict[int, int] = {}
        for number, time in copies:
            by_day.setdefault(time // _DAY, number)
        return {number for number, _ in copies[:last]} | set([*by_day.values()][:days])

    return keep


def prune(job: BackupJob, keep: Keep) -> Steps[Pruned]:
    """Remove the snapshots that `keep` does not want; the newest always stays.

    Raises DamagedBackup if anything is wrong with the copies that stay: then nothing is removed.
    """
    repository = yield from open_heads(job.remote, job.ring)
    yield from put_ring(job.remote, job.sealed_ring)
    newest, passed = yield from check_newest(job, repository)
    if newest is None:
        return Pruned(HeadLink(0, b""), 0, 0, 0)
    every, damaged = yield from read_heads(repository)
    if any(number not in passed and not newest[0].is_pruned(number) for number in damaged):
        raise next(iter(damaged.values()))
    heads = standing(every)
    kept = keep([(head.number, head.time) for head in heads]) | {newest[0].number}
    yield from read_table(repository, {})
    used = yield from _used(repository, [head for head in heads if head.number in kept])
    plan = _Plan(repository, used)
    replaced = {RINGS + name.hex() for name in job.ring.replaced}
    rings = [name for name, _ in (yield from listed(job.remote, RINGS)) if name in replaced]
    removed = [head.number for head in heads if head.number not in kept]
    left_over = [number for number in repository.heads if number in damaged or newest[0].is_pruned(number)]
    if not (removed or left_over or plan.dropped or rings or len(repository.indexes) > _FEW_INDEXES):
        return Pruned(newest[1], len(heads), 0, 0)
    put = yield from plan.write(job)
    # The new head is a copy of the newest, which it replaces.
    gone = {*removed, *left_over, newest[0].number}
    head = replace(
        newest[0],
        number=max(job.number, (repository.latest or 0) + 1),
        before=newest[1],
        writer=job.writer,
        pruned=_ranges(newest[0].pruned, gone, kept - gone),
    )
    link, size = yield from put_head(job, head)
    names = [head_name(job.ring, number) for number in sorted(gone)]
    yield from _delete_all(names)
    yield from _delete_all([*repository.indexes])
    yield from _delete_all([*(pack.name for pack in plan.dropped), *rings])
    freed = sum(pack.size for pack in plan.dropped) - put - size
    return Pruned(link, len(heads) - len(removed), len(removed), max(0, freed))


def _used(repository: Repository, heads: Iterable[Head]) -> Steps[set[bytes]]:
    """Return the ids of all chunks that these snapshots need."""
    used: set[bytes] = set()
    seen: set[ChunkStream] = set()

    def entries(some: list[ListingEntry]) -> Steps[None]:
        for entry in some:
            if isinstance(entry.content, ChunkStream) and entry.content not in seen:
                seen.add(entry.content)
                yield from chunks_of(repository, entry.content, used.add)

    for head in heads:
        if head.listing not in seen:
            seen.add(head.listing)
            yield from read_listing(repository, head.listing, entries, used.add)
    if not all(chunk in repository.table for chunk in used):
        raise repository.lost()
    return used


def _into(chunks: list[tuple[bytes, bytes]]) -> Callable[[bytes, bytes], None]:
    return lambda chunk, data: chunks.append((chunk, data))


class _Plan:
    """Which packs stay, and what of the others is written anew."""

    def __init__(self, repository: Repository, used: set[bytes]) -> None:
        self.dropped: list[Pack] = []
        self._repository = repository
        self._kept: list[Pack] = []
        self._moved: list[bytes] = []
        table = repository.table
        for pack in table.packs:
            places = [
                place
                for place in table.places(pack)
                if place.chunk in used and (found := table.find(place.chunk)) is not None and found[0] is pack
            ]
            if sum(place.stored for place in places) * _SPARSE >= pack.size:
                self._kept.append(pack)
            elif places and len(places) == len([*table.places(pack)]):
                self._kept.append(pack)  # a small one, all of which is used
            else:
                self.dropped.append(pack)
                self._moved += [place.chunk for place in places]

    def write(self, job: BackupJob) -> Steps[int]:
        """Write what stays of dropped packs, and an index of everything; return how many bytes were put."""
        writer = PackWriter(self._repository, job.entropy, Chunker(job.ring.cut_seed), describe=self._kept)
        for start in range(0, len(self._moved), _MOVED_AT_ONCE):
            chunks: list[tuple[bytes, bytes]] = []
            part = self._moved[start : start + _MOVED_AT_ONCE]
            yield from fetch(self._repository, part, _into(chunks))
            for chunk, data in chunks:
                yield from writer.add(chunk, data)
        yield from writer.flush()
        return writer.stored_bytes


def _ranges(former: Iterable[tuple[int, int]], gone: Iterable[int], kept: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return the ranges of removed numbers: what lies between two of them without a kept one has never been there."""
    numbers = sorted([*((first, last) for first, last in former), *((number, number) for number in gone)])
    stays = sorted(kept)
    merged: list[tuple[int, int]] = []
    for first, last in numbers:
        if merged and not any(merged[-1][1] < each < first for each in stays):
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _delete_all(names: Sequence[str]) -> Steps[None]:
    waiting = iter(names)
    running = 0
    while True:
        while running < IN_FLIGHT and (name := next(waiting, None)) is not None:
            yield BeginOperation(DeleteObject(name))
            running += 1
        if not running:
            return
        done: OperationDone = yield AwaitOperation()
        running -= 1
        if done.error is not None:
            raise done.error
