"""What a remote has of a backup: its heads, its packs, and the table of all chunks. All of it is read as untrusted.

An index that is damaged or missing costs nothing but time: the packs that no index describes are asked themselves. So
the packs of a run that was interrupted are found again, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nectar_node.backup.format import boxes, packs
from nectar_node.backup.format.errors import (
    CopyElsewhere,
    DamagedBackup,
    ObjectExists,
    ObjectMissing,
    OlderState,
    RemoteFailed,
    WrongPhrase,
)
from nectar_node.backup.format.heads import Head, HeadLink, hash_of, open_head_untrusted
from nectar_node.backup.format.index import ChunkTable, Pack, decode_index_untrusted
from nectar_node.backup.format.keys import Ring, open_ring_untrusted
from nectar_node.backup.format.limits import (
    IN_FLIGHT,
    MAX_BOX_BYTES,
    MAX_OBJECTS,
    MAX_PACK_BYTES,
    MAX_RING_BYTES,
    MAX_RINGS,
)
from nectar_node.backup.format.names import HEADS, INDEXES, PACKS, RINGS, head_name, head_number, is_name
from nectar_node.backup.operations import (
    AwaitOperation,
    BeginOperation,
    GetObject,
    Listed,
    ListObjects,
    Operation,
    OperationDone,
    PerformOperation,
    PutObject,
    Steps,
)


@dataclass(slots=True)
class Repository:
    """A backup in one remote."""

    remote: str
    """The remote as people know it."""
    ring: Ring
    heads: dict[int, int]
    """The numbers of the heads that are there, and their sizes."""
    table: ChunkTable = field(default_factory=ChunkTable)
    indexes: dict[str, bytes] = field(default_factory=dict)
    """The index objects that are there, decrypted."""
    unindexed: list[Pack] = field(default_factory=list)
    """Packs that no index describes."""
    packs: dict[str, int] = field(default_factory=dict)
    """All packs that are there, and their sizes."""
    damages: list[DamagedBackup] = field(default_factory=list)
    """What was found wrong, and did not keep anything from going on."""
    strangers: list[str] = field(default_factory=list)
    """Objects that are not of this backup."""

    @property
    def latest(self) -> int | None:
        """The number of the newest head; None: there is none."""
        return max(self.heads, default=None)

    def damaged(self, name: str, what: str) -> DamagedBackup:
        """Return the error that says so of an object."""
        return DamagedBackup(self.remote, name, what)

    def lost(self) -> DamagedBackup:
        """Return the error that says why a chunk is missing: the first damage found so far, if there is any."""
        if self.damages:
            return self.damages[0]
        return self.damaged(PACKS, "lacks a pack that this snapshot needs, and no index describes it")


def listed(remote: str, prefix: str) -> Steps[list[Listed]]:
    """Return the objects of a remote; raises DamagedBackup if there are more than a backup can have."""
    found: list[Listed] = yield PerformOperation(ListObjects(prefix))
    if len(found) > MAX_OBJECTS:
        raise DamagedBackup(remote, prefix, f"has {len(found)} objects, and a backup has at most {MAX_OBJECTS}")
    return found


def get_all(wanted: Iterable[tuple[str, int, int]], take: Callable[[str, bytes | None], None]) -> Steps[None]:
    """Read parts of objects (name, first byte, length), several at once; `take` gets each, or None: it is missing."""
    waiting = iter(wanted)
    running = 0
    while True:
        while running < IN_FLIGHT and (part := next(waiting, None)) is not None:
            yield BeginOperation(GetObject(*part))
            running += 1
        if not running:
            return
        done: OperationDone = yield AwaitOperation()
        running -= 1
        assert isinstance(done.operation, GetObject)
        if done.error is not None and not isinstance(done.error, ObjectMissing):
            raise done.error
        take(done.operation.name, None if done.error is not None else done.result)


def put_once(remote: str, operation: PutObject, error: Exception | None = None) -> Steps[None]:
    """Put an object, or see to one whose put has ended with `error`.

    A name that is taken is no failure if the same bytes are there: a store may have tried twice. Raises CopyElsewhere
    if it is a head, RemoteFailed if it is anything else.
    """
    if error is None:
        try:
            yield PerformOperation(operation)
            return
        except ObjectExists as exists:
            error = exists
    if not isinstance(error, ObjectExists):
        raise error
    there = yield PerformOperation(GetObject(operation.name, 0, len(operation.data) + 1))
    if there == operation.data:
        return
    if operation.name.startswith(HEADS):
        raise CopyElsewhere(
            f"Another copy of this node has just backed itself up to {remote}: only one of the two may go on."
        )
    raise RemoteFailed(f"{remote} has another object in the place of {operation.name} already.")


def open_rings(remote: str, key: bytes) -> Steps[tuple[Ring, tuple[str, bytes]]]:
    """Return the newest ring that the phrase's `key` opens, with its object's name and bytes; raises WrongPhrase."""
    names = sorted(name for name, _ in (yield from listed(remote, RINGS)) if is_name(name))
    rings: list[tuple[Ring, tuple[str, bytes]]] = []

    def take(name: str, data: bytes | None) -> None:
        ring = None if data is None else open_ring_untrusted(remote, name, data, key)
        if ring is not None and data is not None:
            rings.append((ring, (name, data)))

    yield from get_all(((name, 0, MAX_RING_BYTES + 1) for name in names[:MAX_RINGS]), take)
    if not names:
        raise RemoteFailed(f"There is no backup in {remote}.")
    if not rings:
        raise WrongPhrase(
            f"This recovery phrase does not open the backup in {remote}: it is another node's, or was replaced."
        )
    return max(rings, key=lambda found: found[0].number)


def read_head(repository: Repository, number: int) -> Steps[tuple[Head, HeadLink]]:
    """Return the head of that number, and how the next one names it; raises DamagedBackup."""
    name = head_name(repository.ring, number)
    try:
        data: bytes = yield PerformOperation(GetObject(name, 0, MAX_BOX_BYTES + 1))
    except ObjectMissing:
        raise repository.damaged(name, f"is missing (it is the head of copy {number})") from None
    return open_head_untrusted(repository.remote, number, data, repository.ring), HeadLink(number, hash_of(data))


def read_heads(repository: Repository) -> Steps[tuple[dict[int, tuple[Head, HeadLink]], dict[int, DamagedBackup]]]:
    """Return all heads by their numbers, and the damage of those that cannot be read."""
    heads: dict[int, tuple[Head, HeadLink]] = {}
    damaged: dict[int, DamagedBackup] = {}
    for number in sorted(repository.heads, reverse=True):
        try:
            heads[number] = yield from read_head(repository, number)
        except DamagedBackup as damage:
            damaged[number] = damage
    return heads, damaged


def open_heads(remote: str, ring: Ring, least: int = 0) -> Steps[Repository]:
    """Return a repository of which only the heads are known; raises RolledBack if the newest is older than `least`."""
    heads, strangers = {}, []
    for name, size in (yield from listed(remote, HEADS)):
        number = head_number(ring, name)
        if number is None:
            strangers.append(name)
        else:
            heads[number] = size
    repository = Repository(remote, ring, heads, strangers=strangers)
    if (repository.latest or 0) < least:
        newest = f"only copy {repository.latest}" if heads else "no copy"
        raise OlderState(
            f"{remote} has {newest}, and must have copy {least}: it shows an older state, or has lost one."
        )
    return repository


def newest_number(remote: str, ring: Ring) -> Steps[int]:
    """Return the number of the newest head, whoever has written it; 0: there is none. New keys begin after it."""
    return (yield from open_heads(remote, ring)).latest or 0


def read_table(repository: Repository, cached: dict[str, bytes]) -> Steps[None]:
    """Learn which packs and chunks there are; `cached` are index objects of former times, decrypted."""
    remote = repository.remote
    yield from _read_indexes(repository, cached)
    for name, size in (yield from listed(remote, PACKS)):
        if is_name(name):
            repository.packs[name] = size
        else:
            repository.strangers.append(name)
    described: dict[str, Pack] = {}
    for name, payload in repository.indexes.items():
        rows = decode_index_untrusted(payload, len(repository.ring.epochs))
        if rows is None:
            repository.damages.append(repository.damaged(name, "is not an index of a form that is known"))
        for pack in rows or ():
            described[pack.name] = pack
    for pack in described.values():
        there = repository.packs.get(pack.name)
        if there == pack.size:
            repository.table.add(pack)
        elif there is None:
            repository.damages.append(repository.damaged(pack.name, "is missing"))
        else:
            repository.damages.append(repository.damaged(pack.name, f"has {there} bytes in place of {pack.size}"))
    unknown = [name for name in sorted(repository.packs) if name not in described]
    yield from _read_directories(repository, unknown)


def _read_indexes(repository: Repository, cached: dict[str, bytes]) -> Steps[None]:
    wanted = []
    for name, size in (yield from listed(repository.remote, INDEXES)):
        if not is_name(name):
            repository.strangers.append(name)
        elif name in cached:
            repository.indexes[name] = cached[name]
        elif size > MAX_BOX_BYTES:
            repository.damages.append(repository.damaged(name, f"has {size} bytes, more than an index can have"))
        else:
            wanted.append((name, 0, size))

    def take(name: str, data: bytes | None) -> None:
        if data is None:
            repository.damages.append(repository.damaged(name, "is listed and cannot be read"))
            return
        for _, epoch in repository.ring.newest_first():
            payload = boxes.unseal(name, data, epoch.index)
            if payload is not None:
                repository.indexes[name] = payload
                return
        repository.damages.append(repository.damaged(name, "is altered, or another backup's"))

    yield from get_all(wanted, take)


def _read_directories(repository: Repository, unknown: list[str]) -> Steps[None]:
    """Add the packs that no index describes, by their own directories."""
    lengths: dict[str, tuple[int, int]] = {}

    def take_length(name: str, data: bytes | None) -> None:
        for number, epoch in repository.ring.newest_first():
            length = None if data is None else packs.directory_length_untrusted(name, data, epoch.data)
            if length is not None:
                lengths[name] = (number, length)
                return
        repository.damages.append(repository.damaged(name, "is altered, or another backup's"))

    def take_directory(name: str, data: bytes | None) -> None:
        number, _ = lengths[name]
        directory = packs.directory_untrusted(name, data or b"", repository.ring.epochs[number].data)
        if directory is None or packs.places(directory, repository.packs[name]) is None:
            repository.damages.append(repository.damaged(name, "is altered in its directory, or cut short"))
            return
        pack = Pack(name, number, repository.packs[name], directory)
        repository.table.add(pack)
        repository.unindexed.append(pack)

    fitting = [name for name in unknown if repository.packs[name] <= MAX_PACK_BYTES]
    yield from get_all(((name, 0, packs.LENGTH_PART_BYTES) for name in fitting), take_length)
    wanted = [(name, packs.LENGTH_PART_BYTES, size + boxes.TAG_BYTES) for name, (_, size) in sorted(lengths.items())]
    yield from get_all(wanted, take_directory)


def unexpected(operation: Operation) -> AssertionError:
    """Return the error for a result that nobody waits for."""
    return AssertionError(f"nobody waits for {type(operation).__name__}")
