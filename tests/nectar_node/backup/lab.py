"""A node's files in memory, and backups of them to remotes in memory: everything from one seed, in any order."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from nectar_node.backup import writing
from nectar_node.backup.cache import Cache
from nectar_node.backup.format import chunking
from nectar_node.backup.format.chunking import Reader
from nectar_node.backup.format.heads import Head, HeadLink
from nectar_node.backup.format.keys import Ring, new_phrase, new_ring, phrase_key, rotated
from nectar_node.backup.format.listing import EntryKind, ListingEntry
from nectar_node.backup.format.names import RINGS, new_name
from nectar_node.backup.operations import Remote, Steps
from nectar_node.backup.playing import play
from nectar_node.backup.prune import Pruned, keep_recent, prune
from nectar_node.backup.repository import newest_number, open_heads, read_table
from nectar_node.backup.restore import RestoredCopy, restore
from nectar_node.backup.run import BackupJob, Report, back_up
from nectar_node.backup.source import SourceEntry, Stamp
from nectar_node.backup.stores.memory import MemoryRemote
from nectar_node.backup.verify import VerifyFindings, verify

START = 1_800_000_000_000
"""Milliseconds since 1970 at which a lab begins; a copy is made each minute."""
MINUTE = 60_000
SMALL = (
    (writing, "PACK_RAW_BYTES", 100_000),
    (writing, "INLINE_IDS", 2),
    (chunking, "CHUNK_LEAST", 2048),
    (chunking, "CHUNK_AVERAGE", 8192),
    (chunking, "MAX_CHUNK_BYTES", 32_768),
)
"""What makes small files have many chunks, many packs, and lists of ids: for `monkeypatch.setattr`."""


@dataclass
class Files:
    """Files in memory: both what is backed up, and what is restored into."""

    files: dict[bytes, bytes] = field(default_factory=dict)
    links: dict[bytes, bytes] = field(default_factory=dict)
    stamps: dict[bytes, int] = field(default_factory=dict)
    """When each file has changed, in nanoseconds."""
    reads: list[bytes] = field(default_factory=list)
    """The files that were opened."""
    finished: set[bytes] = field(default_factory=set)
    writes: int = 0
    _open: dict[bytes, bytearray] = field(default_factory=dict)

    def write_file(self, path: bytes, data: bytes, when: int | None = None) -> None:
        self.files[path] = data
        self.writes += 1
        self.stamps[path] = self.writes if when is None else when

    def entries(self) -> Iterator[SourceEntry]:
        folders = {path[:place] for path in {**self.files, **self.links} for place in _slashes(path)}
        for path in sorted({*folders, *self.files, *self.links}):
            if path in self.files:
                size, when = len(self.files[path]), self.stamps.get(path, 1)
                yield SourceEntry(path, EntryKind.FILE, 0o600, when, size, stamp=Stamp(size, when, when, 7))
            elif path in self.links:
                yield SourceEntry(path, EntryKind.LINK, 0o777, 5, target=self.links[path])
            else:
                yield SourceEntry(path, EntryKind.FOLDER, 0o700, 5)

    @contextmanager
    def open(self, found: SourceEntry) -> Iterator[Reader]:
        self.reads.append(found.path)
        yield io.BytesIO(self.files[found.path])

    def begin(self, entry: ListingEntry) -> None:
        if entry.kind is EntryKind.FILE:
            assert entry.path not in self.files
            self.files[entry.path] = b""
        elif entry.kind is EntryKind.LINK:
            assert isinstance(entry.content, bytes)
            self.links[entry.path] = entry.content

    def write(self, path: bytes, start: int, data: bytes) -> None:
        file = self._open.setdefault(path, bytearray())
        file += bytes(max(0, start + len(data) - len(file)))
        file[start : start + len(data)] = data

    def finish(self, entry: ListingEntry) -> None:
        assert entry.path not in self.finished
        self.finished.add(entry.path)
        if entry.kind is EntryKind.FILE:
            self.files[entry.path] = bytes(self._open.pop(entry.path, b""))


def _slashes(path: bytes) -> list[int]:
    return [place for place, letter in enumerate(path) if letter == ord("/")]


@dataclass
class Place:
    """A remote, and what the node knows of it."""

    remote: MemoryRemote = field(default_factory=MemoryRemote)
    known: HeadLink | None = None
    cache: Cache = field(default_factory=Cache)


class Lab:
    """A node whose files can be changed, backed up and restored."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.files = Files()
        self.phrase = new_phrase(self.random.randbytes)
        self.ring: Ring = new_ring(self.random.randbytes)
        self.writer = self.random.randbytes(16)
        self.sealed = self._seal()
        self.place = Place()
        self.number = 0
        self.now = START
        self.boot = "first"
        """The boot of the node's machine."""

    @property
    def remote(self) -> MemoryRemote:
        return self.place.remote

    def fill(self, *sizes: int) -> None:
        """Give the node a file of each size, with bytes that do not compress."""
        for number, size in enumerate(sizes):
            self.files.write_file(b"node/%d/file" % number, self.random.randbytes(size))

    def rotate(self, *places: Place) -> None:
        """Change phrase and keys, having asked these remotes for their newest copies."""
        for place in places or (self.place,):
            self.number = max(self.number, play(newest_number("disk", self.ring), place.remote))
        self.phrase = new_phrase(self.random.randbytes)
        self.ring = rotated(self.ring, self.sealed[0], self.number + 1, self.random.randbytes)
        self.number = self.ring.current.first - 1
        self.sealed = self._seal()

    def run(self, place: Place | None = None, *, takes_over: bool = False, via: Remote | None = None) -> Report:
        """Back up; the time and the number go on even if that fails."""
        place = place or self.place
        job = self.job(place, takes_over=takes_over)
        report = play(back_up(job, self.files, place.cache), via or place.remote, self._choose)
        self.learn(report.link, place)
        place.cache = report.cache
        return report

    def learn(self, link: HeadLink, place: Place | None = None) -> None:
        """Know that a copy is complete."""
        (place or self.place).known = link
        self.number = max(self.number, link.number)

    def job(self, place: Place | None = None, *, takes_over: bool = False) -> BackupJob:
        place = place or self.place
        self.now += MINUTE
        return BackupJob(
            "disk",
            self.ring,
            self.sealed,
            self.writer,
            "a.nec",
            place.known,
            self.number + 1,
            self.now,
            self.random.randbytes,
            self._reserve,
            takes_over,
            boot=self.boot,
        )

    def prune(self, last: int = 1, days: int = 0) -> Pruned:
        pruned = play(prune(self.job(), keep_recent(last, days)), self.remote, self._choose)
        self.learn(pruned.link)
        return pruned

    def verify(self, *, reads: bool = True) -> VerifyFindings:
        steps = verify("disk", self.ring, self.sealed, self.place.known, reads=reads)
        return play(steps, self.remote, self._choose)

    def unindexed(self) -> list[str]:
        """The packs that no index describes."""

        def steps() -> Steps[list[str]]:
            repository = yield from open_heads("disk", self.ring)
            yield from read_table(repository, {})
            return [pack.name for pack in repository.unindexed]

        return play(steps(), self.remote, self._choose)

    def damaged(self) -> list[str]:
        """The objects in which `verify` finds something wrong."""
        return [damage.name for damage in self.verify().damages]

    def restored(
        self, at: int | None = None, least: int = 0, phrase: str | None = None, remote: Remote | None = None
    ) -> Files:
        """What a machine restores that has nothing but the phrase."""
        files, _ = self.restore(at, least, phrase, remote)
        return files

    def restore(
        self, at: int | None = None, least: int = 0, phrase: str | None = None, remote: Remote | None = None
    ) -> tuple[Files, RestoredCopy]:
        files = Files()

        def target(head: Head) -> Files:
            assert head.node == "a.nec"
            return files

        steps = restore("disk", phrase_key(phrase or self.phrase), target, at, least)
        return files, play(steps, remote or self.remote, self._choose)

    def _reserve(self, number: int) -> None:
        self.number = max(self.number, number)

    def _choose(self, count: int) -> int:
        return self.random.randrange(count)

    def _seal(self) -> tuple[str, bytes]:
        name = new_name(RINGS, self.random.randbytes)
        return name, self.ring.seal(name, phrase_key(self.phrase), self.random.randbytes)


def kinds(remote: MemoryRemote) -> dict[str, int]:
    """How many objects of each kind a remote has."""
    found: dict[str, int] = {}
    for name in remote.objects:
        kind = name.partition("/")[0]
        found[kind] = found.get(kind, 0) + 1
    return found
