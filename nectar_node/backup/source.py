"""What is backed up, and what is restored into: both are given to the engine by whoever knows the node's files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from nectar_node.backup.format.chunking import Reader
from nectar_node.backup.format.listing import EntryKind, ListingEntry


class Stamp(NamedTuple):
    """What shows whether a file has changed: while this is the same, its content is not read again."""

    size: int
    modified: int
    changed: int
    inode: int


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """Something that a source has."""

    path: bytes
    """As in `listing.ListingEntry`."""
    kind: EntryKind
    mode: int
    modified: int
    """Nanoseconds since 1970."""
    size: int = 0
    """Bytes of a file, as far as known before it is read."""
    target: bytes = b""
    """Where a link leads."""
    stamp: Stamp | None = None
    """None: it is always read."""


class FileGone(Exception):
    """A file of a source went away before it was read: the copy is made without it."""


class FileChanged(Exception):
    """A file of a source changed while it was read: it is to be read again."""


class BackupSource(Protocol):
    """What is backed up: it stays as it is until the backup is done, or what it was can still be read."""

    def entries(self) -> Iterator[SourceEntry]:
        """Yield everything, folders before what is in them, in the same order each time.

        Where the order is that of `order`, files that have not changed are found again.
        """

    def open(self, found: SourceEntry) -> AbstractContextManager[Reader]:
        """Open a file.

        Raises FileGone, and at the end of the context FileChanged.
        """


def order(path: bytes) -> bytes:
    """Return the key by which paths are sorted: each folder is followed by all that is in it."""
    return path.replace(b"/", b"\0")


class RestoreTarget(Protocol):
    """What is restored into: empty before."""

    def begin(self, entry: ListingEntry) -> None:
        """Make a folder, an empty file or a link."""

    def write(self, path: bytes, start: int, data: bytes) -> None:
        """Write a piece of a file; pieces come in any order."""

    def finish(self, entry: ListingEntry) -> None:
        """Give a file or a folder its mode and time; nothing is written into it afterwards."""
