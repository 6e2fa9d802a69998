"""The node's operations on a disk, as values.

The core emits operations; a driver carries them out elsewhere (`storage.disk` on worker threads, the simulator's disk
in memory) and brings back the outcome. Operations of one lane are done one after another, in order.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from typing import NamedTuple

from blake3 import blake3

from kernel.contract.message import Buffer

MAX_DEPTH = 100
"""Names in a path that a process may write: every operation walks the folders on the way."""
MAX_NAME_BYTES = 255
"""Bytes of one name, as Linux's file systems have it."""
MAX_LISTED = 16_384
"""Entries of a folder that can be listed at once: their list as JSON takes the node's only thread 20 milliseconds."""
CHANGED = "the file has changed"
"""Why a piece of a file's version cannot be read."""
TOO_MANY_LISTED = f"the folder has more than {MAX_LISTED} entries: read it in pages"


class Location(NamedTuple):
    """A file or folder below a root that it cannot leave."""

    root: str
    """A host folder; for a simulated disk, any text."""
    parts: tuple[str, ...]
    """Names below it: none is empty, '.', '..' or has a '/' or NUL in it (`is_part`)."""

    def __str__(self) -> str:
        return "/".join((self.root, *self.parts))


def is_part(name: str) -> bool:
    """Whether `name` can be one component of a path on disk, and be written as UTF-8."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return False
    return 0 < length <= MAX_NAME_BYTES and name not in (".", "..") and not {"/", "\0"} & set(name)


def file_name(id: str) -> str:
    """Return the name of the file that holds what belongs to `id`, of any length: the id itself, or its hash."""
    return id if is_part(id) else blake3(id.encode()).hexdigest()


def new_file_name(name: str) -> str:
    """Return the name of a file's new content until it takes the place of the old one.

    All these names have one length, which fits whatever the name. The name is always the same, so that what a crash
    left is written over.
    """
    return f".{blake3(os.fsencode(name)).hexdigest(16)}.new"


class FileType(enum.Enum):
    """Types of files, as the vfs names them."""

    FILE = "File"
    DIRECTORY = "Directory"
    SYMLINK = "Symlink"
    """A link that a guest has made by WASI; the vfs follows none."""
    OTHER = "Other"
    """What the host's users have put there, such as a pipe."""


@dataclass(frozen=True, slots=True)
class ReadAt:
    """Read bytes from an offset; fewer at the end of the file. Outcome: bytes."""

    location: Location
    offset: int
    length: int
    version: str | None = None
    """Read nothing unless the file is of this version (`FileStat`), before and after; at most `LONG_BYTES` then."""
    hashed: bool = False
    """Whether the bytes go on with the file's running hash (`nectar_node.base.running_hashes`), for a `Hash`."""


@dataclass(frozen=True, slots=True)
class WriteAt:
    """Write into an existing file. Outcome: None."""

    location: Location
    offset: int
    data: Buffer
    hashed: bool = False
    """Whether the bytes go on with the file's running hash, for a `Hash`: nobody else writes to the file until then,
    but by operations of its lane.
    """


@dataclass(frozen=True, slots=True)
class Append:
    """Write at the end of an existing file. Outcome: its new length."""

    location: Location
    data: Buffer


@dataclass(frozen=True, slots=True)
class Create:
    """Make an empty file if there is none; with `cut_off`, empty the one that is there. Outcome: None."""

    location: Location
    cut_off: bool = False


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """Make a folder and those above it, if they are missing; done when they are durable. Outcome: None."""

    location: Location


@dataclass(frozen=True, slots=True)
class CreateFolder:
    """Make one folder, which must not exist yet, in one that does; done when it is durable. Outcome: None."""

    location: Location


@dataclass(frozen=True, slots=True)
class Stat:
    """Describe a file or folder. Outcome: `FileStat`."""

    location: Location


@dataclass(frozen=True, slots=True)
class ListFolder:
    """List a folder. Outcome: a list of (name, FileType), sorted; OTHER if there are more than `MAX_LISTED`.

    With a `limit` it is a page: the first so many of the names behind `after`, in the order of their code points. So
    names that come and go in between change no other page, and none that is there all the time is left out.
    """

    location: Location
    after: str = ""
    limit: int | None = None
    """At most `MAX_LISTED`; None: the whole folder."""


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Remove a file; with `synced`, done when that is durable. Outcome: None."""

    location: Location
    synced: bool = False


@dataclass(frozen=True, slots=True)
class RemoveFolder:
    """Remove a folder, with all that is in it if `recursive`. Outcome: None.

    If something in it cannot be removed, that is an error, and what is left of it may have other names. With `synced`,
    it is done when it is durable.
    """

    location: Location
    recursive: bool
    synced: bool = False


@dataclass(frozen=True, slots=True)
class Rename:
    """Give a file or folder another name, replacing a file (or an empty folder) that was there. Outcome: None."""

    location: Location
    target: Location


@dataclass(frozen=True, slots=True)
class Copy:
    """Make another file with the same content, whole or not at all, replacing what was there. Outcome: None."""

    location: Location
    target: Location


@dataclass(frozen=True, slots=True)
class CopyFolder:
    """Make another folder with the same content, where there is nothing yet; whole or not at all. Outcome: None.

    OTHER if anything in it is neither a file nor a folder: no link is followed. Done when it is durable.
    """

    location: Location
    target: Location


@dataclass(frozen=True, slots=True)
class SetLength:
    """Cut a file off, or extend it with zeros. Outcome: None."""

    location: Location
    length: int


@dataclass(frozen=True, slots=True)
class Sync:
    """Make a file's bytes, and its name in its folder, durable. Outcome: None."""

    location: Location


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Find by how many bytes the files on the disk of `location` may still grow, as quota and floor allow.

    The location need not exist. Outcome: the number of bytes.
    """

    location: Location


@dataclass(frozen=True, slots=True)
class Hash:
    """Hash a whole file, which is not read if its running hash is of all of it. Outcome: its BLAKE3 hash, 32 bytes."""

    location: Location


@dataclass(frozen=True, slots=True)
class StatPacked:
    """Look at all that is in a folder, and at what it is as one file (`packing.packed_folder`). Outcome: `PackedStat`.

    OTHER if it cannot be packed, with a sentence.
    """

    location: Location


@dataclass(frozen=True, slots=True)
class ReadPacked:
    """Read bytes of a folder as one file; fewer at its end. Outcome: `PackedBytes`.

    OTHER if the folder, or a file that is read, is no longer what it was when `StatPacked` gave its `version`.
    """

    location: Location
    version: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class HashPacked:
    """Hash a folder as one file, of that version. Outcome: its BLAKE3 hash, 32 bytes."""

    location: Location
    version: int


@dataclass(frozen=True, slots=True)
class UnpackFolder:
    """Make a folder of a file that is a packed one, where there is nothing yet; whole or not at all. Outcome: None.

    It has at most so many entries. BAD_ARCHIVE if it has more, or may harm. Done when it is durable.
    """

    location: Location
    target: Location
    entries: int


@dataclass(frozen=True, slots=True)
class Replace:
    """Set a file's whole content so that a crash at any moment leaves the old or the new, whole (G27).

    Done when it is durable. Outcome: None.
    """

    location: Location
    data: Buffer


@dataclass(frozen=True, slots=True)
class Extend:
    """Cut an existing file off at `length` and go on with `data`; done when that is durable. Outcome: None.

    If it fails, or a crash comes in between, the first `length` bytes are as they were. NOT_FOUND also if there are
    fewer.
    """

    location: Location
    length: int
    data: Buffer


@dataclass(frozen=True, slots=True)
class Unpack:
    """Unpack a zip archive into a folder, made if it is missing; files of the same name are replaced. Outcome: None.

    A damaged or harmful archive is not written at all (`storage.archive`). What is written is not durable until it is
    synced.
    """

    location: Location
    data: Buffer


@dataclass(frozen=True, slots=True)
class Measure:
    """Count what a package has on the disk (`storage.ledger`). Outcome: `Counted`."""

    package: str
    location: Location
    """The folder of its drives, which may be missing."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Find all packages that have anything on the disk. Outcome: `Surveyed`."""

    location: Location
    """The folder of all drives."""


class Row(NamedTuple):
    """A row of the node's store."""

    kind: str
    """Its table, such as `grants`."""
    key: str
    value: bytes | None
    """None: there is to be no such row."""


class StateRow(NamedTuple):
    """A process's saved state in the node's store."""

    key: str
    """The process's id; for a state of the first version whose process had a long id, that id's `file_name`."""
    value: Buffer | None
    """None: there is to be none."""


@dataclass(frozen=True, slots=True)
class Commit:
    """Write rows of the node's store (`storage.database`), all or none; done when they are durable.

    States for which the disk has no room beyond the floor (`storage.ledger`) are left out. Outcome: None, or `LeftOut`
    for those.
    """

    location: Location
    """The store's file."""
    rows: tuple[Row, ...]
    states: tuple[StateRow, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadState:
    """Read a saved state from the node's store. Outcome: its bytes; NOT_FOUND if there is none."""

    location: Location
    """The store's file."""
    key: str
    """As in `StateRow`."""
    length: int
    """The bytes that it is expected to have."""


DATABASES = ".databases"
"""The folder in a package's folder that holds its databases: no drive may have that name."""


BODIES = ".bodies"
"""The folder in a package's folder that holds what browsers are sending to it: no drive may have that name. It is
removed at every boot.
"""


@dataclass(frozen=True, slots=True)
class OpenDatabase:
    """Make a database of a package if there is none (`storage.package_databases`); durable when done. Outcome: None.

    FULL if there is none and the package has `most` databases already.
    """

    location: Location
    most: int


@dataclass(frozen=True, slots=True)
class RemoveDatabase:
    """Remove a database of a package. Outcome: None; NOT_FOUND if there is none."""

    location: Location


@dataclass(frozen=True, slots=True)
class PutPairs:
    """Write pairs of a database of keys and values, in order, all or none; done when they are durable. Outcome: None.

    NOT_FOUND if there is no such database.
    """

    location: Location
    pairs: tuple[tuple[bytes, Buffer | None], ...]
    """Keys and their new values; None: the key is to be gone."""


@dataclass(frozen=True, slots=True)
class GetValues:
    """Read the values of at least one key. Outcome: `Values`; NOT_FOUND: there is no such database."""

    location: Location
    keys: tuple[bytes, ...]


Parameter = str | bytes | int | float | None
"""A value in a statement of SQL."""


class Statement(NamedTuple):
    """A statement of SQL, and the values of its parameters."""

    text: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class RunSql:
    """Carry out statements of a package in one of its databases (`storage.package_sql`), in order, all or none.

    Outcome of those that write: None, when they are durable. Of one that reads: its rows, a JSON array of objects.
    OTHER if a statement is wrong, or may not be carried out; NOT_FOUND if there is no such database.
    """

    location: Location
    statements: tuple[Statement, ...]
    writes: bool
    """Whether they may write; otherwise there is one."""


Operation = (
    ReadAt
    | WriteAt
    | Append
    | Create
    | MakeFolder
    | CreateFolder
    | Stat
    | ListFolder
    | RemoveFile
    | RemoveFolder
    | Rename
    | Copy
    | CopyFolder
    | SetLength
    | Sync
    | FreeSpace
    | Hash
    | StatPacked
    | ReadPacked
    | HashPacked
    | UnpackFolder
    | Replace
    | Extend
    | Unpack
    | Measure
    | Survey
    | Commit
    | ReadState
    | OpenDatabase
    | RemoveDatabase
    | PutPairs
    | GetValues
    | RunSql
)


class FileStat(NamedTuple):
    """What the vfs tells of a file."""

    type: FileType
    length: int
    modified: int
    """Nanoseconds since 1970, by the disk's clock."""
    version: str = ""
    """Of a file: differs from that of each other content it has had. Empty: it changes at this moment, so that nobody
    knows."""


class PackedStat(NamedTuple):
    """What a folder is as one file."""

    length: int
    """Bytes."""
    version: int
    """Differs from that of any other content, as far as names, times and sizes tell."""
    entries: int
    """Files, folders and links, itself included."""
    files: int
    left_out: str
    """What in it is not in that file, in words; empty: nothing."""


class PackedBytes(NamedTuple):
    """Bytes of a folder as one file."""

    data: bytes | bytearray
    end: int
    """The offset of the byte after them."""
    files: int
    """How many files are whole before that."""


class Usage(NamedTuple):
    """What a package has on the disk."""

    bytes: int
    """Bytes of all its files and states, each as long as it appears: holes count."""
    files: int
    """Files and folders in its drives, and states."""


class Counted(NamedTuple):
    """What a package was found to have."""

    used: Usage
    unasked: Usage
    """How much more that is than its account had; nothing if that was not known."""
    free: int
    """Free bytes of the disk."""
    total: int


class Surveyed(NamedTuple):
    """What there is on the disk."""

    packages: list[str]
    """The packages that have drives or states, sorted."""
    free: int
    """Free bytes of the disk."""
    total: int


class LeftOut(NamedTuple):
    """The states of a `Commit` that were left out; all else is written."""

    keys: frozenset[str]
    text: str
    """Why, in the operating system's words."""


class DiskFault(enum.Enum):
    """Why an operation failed."""

    NOT_FOUND = "not found"
    NOT_PERMITTED = "not permitted"
    FULL = "no space left on the disk"
    EXISTS = "exists already"
    BAD_ARCHIVE = "the archive cannot be unpacked"
    STOPPED = "nobody waits for it any more"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class DiskError:
    """The outcome of an operation that was not done."""

    fault: DiskFault
    text: str
    """The operating system's words, or why it cannot be done."""


STOPPED = DiskError(DiskFault.STOPPED, DiskFault.STOPPED.value)
"""The outcome of an operation that was given up (`StopJob`): nothing half-made is left of it."""


class Values(NamedTuple):
    """The values of the first keys of a `GetValues`: of all of them, or of so many that the others are asked for in
    another operation.
    """

    values: tuple[bytes | None, ...]
    """None: there is no such key."""


Outcome = (
    bytes
    | bytearray
    | int
    | FileStat
    | PackedStat
    | PackedBytes
    | list[tuple[str, FileType]]
    | Counted
    | Surveyed
    | LeftOut
    | Values
    | DiskError
    | None
)


NO_TICKET = 0
"""The ticket of a job that nobody stops."""


class Job(NamedTuple):
    """An operation, with its requester."""

    operation: Operation
    lane: str
    owner: object
    """Opaque to the driver."""
    party: str = ""
    """The package whose turn it takes (`storage.turns`); empty: the node itself."""
    ticket: int = NO_TICKET
    """The number by which it can be stopped; unique among the jobs that are not done."""


class StopJob(NamedTuple):
    """Give up a job, wherever it is: its outcome comes as ever, and is STOPPED unless it was done already."""

    ticket: int


STEP_BYTES = 1 << 20
"""Bytes that are read or written between two moments at which an operation can be put off. They fit into a core's
cache; one thread then hashes 4 GB/s, reading included, and leaves the others alone.
"""
LONG_BYTES = 4 * STEP_BYTES
"""Bytes that are read or written by an operation in one piece; a transfer's chunks are no longer than that."""
_WHOLE_FILES = frozenset((Hash, Copy, CopyFolder, Unpack, Measure, StatPacked, HashPacked, UnpackFolder))
_WRITES = frozenset((WriteAt, Append, Replace))
_MAY_BE_LONG = frozenset((ListFolder, RemoveFolder, Rename, Survey, ReadPacked))
_READS_PACKED = (StatPacked, ReadPacked, HashPacked)
_READS = frozenset(
    (ReadAt, Stat, ListFolder, Sync, FreeSpace, Hash, Measure, Survey, ReadState, GetValues, *_READS_PACKED)
)


def may_change(operation: Operation) -> bool:
    """Whether an operation is one that changes what is on the disk, also if it fails half-way."""
    return type(operation) not in _READS and (type(operation) is not RunSql or operation.writes)


def is_long(operation: Operation) -> bool:
    """Whether an operation usually takes more than a moment: it leaves the threads for short ones alone."""
    kind = type(operation)
    if kind in _WRITES:
        return len(operation.data) > LONG_BYTES  # type: ignore[union-attr]
    if kind is ReadState:
        return operation.length > LONG_BYTES  # type: ignore[union-attr]
    return kind in _WHOLE_FILES or kind is RunSql


def may_be_long(operation: Operation) -> bool:
    """Whether an operation may take more than a moment: it is carried out in steps."""
    if type(operation) is ReadAt:
        return operation.length > LONG_BYTES
    if type(operation) is ReadState:
        return False  # SQLite does it in one go
    return type(operation) in _MAY_BE_LONG or is_long(operation)
