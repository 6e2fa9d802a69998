"""Backs a source up to one remote: packs first, then an index of them, then the head. Until that is there, nothing has
changed for a reader.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nectar_node.backup.cache import Cache, FileRow, KnownFiles
from nectar_node.backup.format import names
from nectar_node.backup.format.chunking import Chunker
from nectar_node.backup.format.errors import CopyElsewhere, DamagedBackup, OlderState
from nectar_node.backup.format.heads import Head, HeadLink, hash_of, seal_head
from nectar_node.backup.format.keys import Entropy, Ring
from nectar_node.backup.format.limits import IN_FLIGHT, INLINE_BYTES
from nectar_node.backup.format.listing import Content, EntryKind, ListingEntry, encode_entry
from nectar_node.backup.format.streams import ChunkStream, split_ids
from nectar_node.backup.operations import PutObject, Steps
from nectar_node.backup.repository import Repository, listed, open_heads, put_once, read_head, read_table
from nectar_node.backup.source import BackupSource, FileChanged, FileGone, SourceEntry
from nectar_node.backup.writing import PackWriter, StreamWriter

_RACY = 200_000_000
"""Nanoseconds: a file that has changed so shortly before a run may change again with the same stamp, so the next run
reads it again. File systems have clocks of 10 ms and less.
"""


@dataclass(frozen=True, slots=True)
class BackupJob:
    """Who backs up to which remote, and what is known of it."""

    remote: str
    """The remote as people know it."""
    ring: Ring
    sealed_ring: tuple[str, bytes]
    """The ring as an object: its name, and its bytes."""
    writer: bytes
    """This copy of the node, 16 random bytes."""
    node: str
    """The node's name."""
    known: HeadLink | None
    """The newest head that this remote is known to have; None: nothing is known."""
    number: int
    """The number that this copy gets, unless the remote has it already: one more than the newest on any remote."""
    now: int
    """Milliseconds since 1970."""
    entropy: Entropy
    reserve: Callable[[int], None]
    """Remembers durably that a copy of this number is about to be put: whether or not it arrives, the number is used.
    New keys begin after it.
    """
    takes_over: bool = False
    """Whether to go on where another copy of the node has written."""
    check: Callable[[], None] = lambda: None
    """Called when everything has been read and stored, before that becomes a copy: raises BackupError if what was read
    is not what the node had at one instant.
    """
    in_flight: int = IN_FLIGHT
    """Packs that are sealed or put at the same time: each takes 16 MiB of memory."""
    boot: str = ""
    """The boot of the machine: another text after each."""


@dataclass(frozen=True, slots=True)
class Report:
    """A backup that is complete."""

    link: HeadLink
    """The head that was written."""
    files: int
    bytes: int
    """The sizes of all files."""
    new_bytes: int
    """Bytes of the chunks that the remote did not have."""
    stored_bytes: int
    """Bytes that were put."""
    cache: Cache
    damages: tuple[DamagedBackup, ...]
    """What was found wrong at the remote; what of it this backup needs was written again."""
    unsettled: int = 0
    """Files that changed past the node while they were copied: what is in the copy may be of no one instant."""


@dataclass(slots=True)
class _Totals:
    files: int = 0
    bytes: int = 0


Progress = Callable[[int, int], None]
"""Gets how many bytes of files are done, and how many of them are new to the remote."""


Keep = Callable[[bytes, FileRow], None]
"""Gets the path of a file, and what was in it."""


def back_up(
    job: BackupJob,
    source: BackupSource,
    cache: Cache,
    progress: Progress = lambda done, new: None,
    keep: Keep | None = None,
) -> Steps[Report]:
    """Back up everything that the source has. Raises BackupError; then the remote has its former copies.

    `keep` gets what was in each file, in the order of the source; without it, the report's cache has all of that.
    """
    repository = yield from open_heads(job.remote, job.ring)
    yield from put_ring(job.remote, job.sealed_ring)
    newest, passed = yield from check_newest(job, repository)
    yield from read_table(repository, cache.indexes)
    chunker = Chunker(job.ring.cut_seed)
    writer = PackWriter(repository, job.entropy, chunker, in_flight=job.in_flight)
    intact = cache.packs <= repository.table.by_name.keys()
    files: dict[bytes, FileRow] = {}
    known: KnownFiles = cache.files if intact else {}
    run = _Run(writer, chunker, known, job.now * 1_000_000 - _RACY, progress, keep or files.__setitem__)
    run.written = cache.written_until(job.boot)
    listing = yield from run.all_of(source)
    yield from writer.flush()
    job.check()
    number = max(job.number, (repository.latest or 0) + 1)
    head = Head(
        number,
        None if newest is None else newest[1],
        max(job.now, 0 if newest is None else newest[0].time),
        job.writer,
        job.node,
        listing,
        run.totals.files,
        run.totals.bytes,
        without(() if newest is None else newest[0].pruned, passed),
    )
    link, size = yield from put_head(job, head)
    return Report(
        link,
        head.files,
        head.bytes,
        writer.new_bytes,
        writer.stored_bytes + size,
        Cache(
            repository.indexes | writer.indexes,
            files,
            frozenset(repository.table.by_name),
            job.boot,
            job.now * 1_000_000,
        ),
        tuple(repository.damages),
    )


def put_ring(remote: str, sealed_ring: tuple[str, bytes]) -> Steps[None]:
    """See that the remote has this key ring."""
    name, data = sealed_ring
    if all(name != each.name for each in (yield from listed(remote, names.RINGS))):
        yield from put_once(remote, PutObject(name, data))


def put_head(job: BackupJob, head: Head) -> Steps[tuple[HeadLink, int]]:
    """Write a head; return how the next one names it, and its size in bytes."""
    data = seal_head(head, job.ring, job.entropy)
    job.reserve(head.number)
    yield from put_once(job.remote, PutObject(names.head_name(job.ring, head.number), data))
    return HeadLink(head.number, hash_of(data)), len(data)


def check_newest(job: BackupJob, repository: Repository) -> Steps[tuple[tuple[Head, HeadLink] | None, list[int]]]:
    """Return the newest head that a new one may follow, if there is one, having seen that it is what this copy of the
    node has left there; and the numbers of later heads that are damaged, which the new one does not count as copies.

    A damaged head is passed over if this copy of the node is known to have put it, or if it takes over: another copy's
    would be lost. Raises OlderState, CopyElsewhere and DamagedBackup.
    """
    known, latest = job.known, repository.latest
    if known is not None and (latest is None or latest < known.number):
        newest = "no copy" if latest is None else f"copy {latest} as its newest"
        raise OlderState(
            f"{job.remote} has {newest}, and had copy {known.number}: it has lost copies, or shows an older state. "
            "Remove it and add it again to go on from what it has."
        )
    passed: list[int] = []
    for number in sorted(repository.heads, reverse=True):
        try:
            head, link = yield from read_head(repository, number)
        except DamagedBackup as damage:
            if (known is None or number > known.number) and not job.takes_over:
                raise DamagedBackup(
                    damage.remote, damage.name, f"{damage.what}; --take-over goes on after it"
                ) from damage
            repository.damages.append(damage)
            passed.append(number)
            continue
        if known is not None and number <= known.number:
            if number == known.number and link != known and not job.takes_over:
                raise repository.damaged(names.head_name(job.ring, number), "is not the one that was put there")
        elif head.writer != job.writer and not job.takes_over:
            raise CopyElsewhere(
                f"Another copy of {head.node} has written copy {number} to {job.remote}: only one may go on. "
                "If it is this one, say --take-over."
            )
        return (head, link), passed
    return None, passed


def without(pruned: tuple[tuple[int, int], ...], numbers: list[int]) -> tuple[tuple[int, int], ...]:
    """Return the ranges of removed heads with some more numbers, all of which are higher."""
    return *pruned, *((number, number) for number in sorted(numbers))


@dataclass(slots=True)
class _Run:
    """One pass over the source."""

    writer: PackWriter
    chunker: Chunker
    before: KnownFiles
    racy: int
    """Nanoseconds since 1970: what has changed later is read again next time."""
    progress: Progress
    keep: Keep
    totals: _Totals = field(default_factory=_Totals)
    written: int | None = None
    """Nanoseconds since 1970: of what had changed later, a power cut may have left something older; None: of none."""

    def all_of(self, source: BackupSource) -> Steps[ChunkStream]:
        """Return the listing of everything."""
        listing = StreamWriter(self.writer, self.chunker)
        for found in source.entries():
            content: Content = None
            if found.kind is EntryKind.LINK:
                content = found.target
            elif found.kind is EntryKind.FILE:
                try:
                    content = yield from self._file(source, found)
                except FileGone:
                    continue
            yield from listing.write(
                encode_entry(ListingEntry(found.path, found.kind, found.mode, found.modified, content))
            )
        return (yield from listing.close())

    def _file(self, source: BackupSource, found: SourceEntry) -> Steps[Content]:
        before = self._unchanged(found)
        content: ChunkStream | bytes
        if before is not None:
            content = before[1]
            self.keep(found.path, before)
        else:
            content = yield from self._read(source, found)
            if found.stamp is not None and found.stamp.changed < self.racy:
                self.keep(found.path, (found.stamp, content))
        self.totals.files += 1
        self.totals.bytes += content.size if isinstance(content, ChunkStream) else len(content)
        self.progress(self.totals.bytes, self.writer.new_bytes)
        return content

    def _unchanged(self, found: SourceEntry) -> FileRow | None:
        before = self.before.get(found.path)
        if before is None or before[0] != found.stamp:
            return None
        if self.written is not None and before[0].changed >= self.written:
            return None
        content = before[1]
        if isinstance(content, ChunkStream) and not self.writer.knows(split_ids(content.ids)):
            return None
        return before

    def _read(self, source: BackupSource, found: SourceEntry) -> Steps[ChunkStream | bytes]:
        while True:
            try:
                return (yield from self._read_once(source, found))
            except FileChanged:
                continue  # what was stored of it is of use, or is pruned

    def _read_once(self, source: BackupSource, found: SourceEntry) -> Steps[ChunkStream | bytes]:
        ids = bytearray()
        size = 0
        with source.open(found) as reader:
            for piece in self.chunker.file(reader):
                if not size and len(piece) <= INLINE_BYTES:
                    return bytes(piece)  # the only chunk: others are longer
                size += len(piece)
                ids += yield from self.writer.chunk(piece)
                self.progress(self.totals.bytes + size, self.writer.new_bytes)
        return (yield from self.writer.stream(bytes(ids), size)) if size else b""
