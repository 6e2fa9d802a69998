"""SQLite's files on a simulated disk: a file system for apsw whose every write can fail, be the last one, or be torn.

What a power cut leaves of these files is harsher than for others: of what was not synced, each sector may be there or
not, as on a disk that writes in any order.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any, Protocol

import apsw

from nectar_node.storage.package_files import UnlockedFile, temporary_file
from testnet.sim.disk.file_content import File

SECTOR_BYTES = 512
"""Bytes that a disk writes as a whole or not at all."""
_NAME = "nectar-simulated"
_numbers = count(1)


class Files(Protocol):
    """The files of one disk that belong to databases, as SQLite names them."""

    def find(self, name: str) -> File | None:
        """Return a file, or None."""

    def make(self, name: str) -> File:
        """Make an empty file."""

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""

    def grow(self, name: str, more: int) -> bool:
        """Account for `more` bytes, which may be fewer than none; return whether there is room for them."""

    def sync_folder(self, name: str) -> None:
        """Make the entries of the folder of a file durable."""


class DatabaseFiles:
    """The files of the databases of one boot of one node."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.left: int | None = None
        """Writes and syncs that still happen; the following ones fail, as after a crash. None: all happen."""
        self.done = 0
        """Writes and syncs so far."""
        self.fails: Callable[[int], type[apsw.Error] | None] = lambda number: None
        """Returns the error with which the write or sync of that number fails, or None."""
        self._number = next(_numbers)
        _mounted[self._number] = self
        _register()

    def path(self, name: str) -> str:
        """Return how SQLite is told of the file of that name."""
        return f"/{self._number}/{name}"

    @property
    def file_system(self) -> str:
        """The name of the file system, for SQLite."""
        return _NAME

    def changes(self) -> None:
        """Take note of a write or sync that is about to happen; raises apsw.Error if it fails."""
        if self.left is not None:
            if not self.left:
                raise apsw.IOError("the node has crashed")
            self.left -= 1
        self.done += 1
        error = self.fails(self.done)
        if error is not None:
            raise error("the disk fails")


_mounted: weakref.WeakValueDictionary[int, DatabaseFiles] = weakref.WeakValueDictionary()
_registered: list[apsw.VFS] = []


def _register() -> None:
    if not _registered:
        _registered.append(_FileSystem())


def _split(path: str) -> tuple[DatabaseFiles, str]:
    _, number, name = path.split("/", 2)
    return _mounted[int(number)], name


class _FileSystem(apsw.VFS):
    def __init__(self) -> None:
        super().__init__(_NAME, "")

    def xOpen(self, name: Any, flags: list[int]) -> object:  # type: ignore[override]  # noqa: N802
        flags[1] = flags[0]
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None:
            return temporary_file()
        mounted, own = _split(path)
        return _OpenFile(mounted, own, bool(flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL)))

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        mounted, own = _split(filename)
        mounted.changes()
        mounted.files.remove(own)
        if syncdir:
            mounted.files.sync_folder(own)

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        mounted, own = _split(pathname)
        return mounted.files.find(own) is not None

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802
        return bytes(numbytes)

    def xSleep(self, microseconds: int) -> int:  # noqa: N802
        return microseconds

    def xCurrentTimeInt64(self) -> int:  # noqa: N802
        return 0

    def xGetLastError(self) -> tuple[int, str]:  # noqa: N802
        return 0, ""


class _OpenFile(UnlockedFile):
    def __init__(self, mounted: DatabaseFiles, name: str, is_journal: bool) -> None:
        self._mounted = mounted
        self._name = name
        found = mounted.files.find(name)
        self._file = mounted.files.make(name) if found is None else found
        self._is_in_folder = not is_journal

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        return self._file.read(offset, amount)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        mounted, file = self._mounted, self._file
        mounted.changes()
        more = offset + len(data) - len(file)
        if more > 0 and not mounted.files.grow(self._name, more):
            raise apsw.FullError("No space left on device")
        file.write(offset, data)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._mounted.changes()
        if newsize < len(self._file):
            self._mounted.files.grow(self._name, newsize - len(self._file))
            self._file.set_length(newsize)

    def xSync(self, flags: int) -> bool:  # noqa: N802
        self._mounted.changes()
        self._file.sync()
        if not self._is_in_folder:  # as SQLite's own file system has it for journals
            self._mounted.files.sync_folder(self._name)
            self._is_in_folder = True
        return True

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._file)

    def xClose(self) -> None: ...  # noqa: N802


def tear(file: File, chance: Random) -> None:
    """Cut the power: of what was not synced, each sector is there or not.

    A file that was cut off lies in other sectors from there on: either all of the old ones are there, or none.
    """
    live, cut = file.content(), file.cut
    file.lose_unsynced()
    synced = file.content()
    if cut is not None and cut < len(synced):
        if chance.random() < 0.5:
            return
        synced = synced[:cut]
    kept = bytearray(synced if chance.random() < 0.5 else live[: len(synced)] + bytes(max(0, len(synced) - len(live))))
    if len(live) > len(synced) and chance.random() < 0.5:
        kept.extend(bytes(chance.randint(0, len(live) - len(synced))))
    share = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
    for start in range(0, len(kept), SECTOR_BYTES):
        end = min(start + SECTOR_BYTES, len(kept))
        new, old = live[start:end], synced[start:end]
        written = new if chance.random() < share else old
        kept[start : start + len(written)] = written[: end - start]
    file.set_length(0)
    file.write(0, kept)
    file.sync()
