"""The files of packages' databases, for SQLite: a file system whose writes count against the packages' quotas.

SQLite's own file system knows no quota, follows links and makes temporary files elsewhere. This one opens a file as the
vfs does (`storage.opened`), claims what it grows by before it grows, and keeps temporary files in memory, bounded. It
locks nothing: one node owns the folder, and has one connection to each database.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import weakref
from collections.abc import Iterator
from itertools import count
from typing import Any

import apsw

from nectar_node.storage.ledger import NO_ROOM, DiskAccount, Ledger, OverQuota
from nectar_node.storage.long_operations import disk_space
from nectar_node.storage.opened import FILE, check_space, folder_of, make_folders, size_in
from nectar_node.storage.operations import Location
from nectar_node.storage.preserving import Preserver

MAX_TEMPORARY_BYTES = 64 << 20
"""Bytes of one temporary file: what a query sorts, or keeps while it runs."""
SUFFIXES = ("", "-wal", "-journal")
"""What the names of a database's files end in."""
_NAME = "nectar-packages"
_numbers = count(1)


class OfThread(threading.local):
    """What one thread, which carries out an operation, knows of it."""

    refused: OverQuota | None = None
    """Why the last write that found no room was refused."""
    lent: int = 0
    """Bytes that it may take beyond the quota, as it only removes."""


class PackageFiles:
    """The files of all databases of one node's packages."""

    def __init__(self, ledger: Ledger, root: str) -> None:
        """`root` is the folder of all drives."""
        self._ledger = ledger
        self._root = root
        self._number = next(_numbers)
        self.file_system = _NAME
        """The name of the file system, for SQLite."""
        self.here = OfThread()
        _mounted[self._number] = self
        if not _registered:
            _registered.append(_FileSystem())

    def path(self, location: Location) -> str:
        """Return how SQLite is told of a database."""
        return f"/{self._number}/{'/'.join(location.parts)}"

    def location(self, path: str) -> Location:
        """Return which file SQLite means, by the path without the number."""
        return Location(self._root, tuple(path.split("/")))

    def exists(self, location: Location) -> bool:
        """Whether there is such a file."""
        try:
            with folder_of(location) as (folder, name):
                return size_in(folder, name) is not None
        except (FileNotFoundError, NotADirectoryError):
            return False

    def siblings(self, location: Location) -> list[str]:
        """Return the names in the folder of a file; raises OSError."""
        with folder_of(location) as (folder, _):
            return os.listdir(folder)

    def make_folder(self, location: Location) -> None:
        """Make the folder of a file; raises OSError."""
        make_folders(Location(location.root, location.parts[:-1]), self._ledger, synced=True)

    def remove(self, location: Location) -> None:
        """Remove a file if there is one; raises OSError."""
        with folder_of(location) as (folder, name):
            size = size_in(folder, name)
            if size is not None:
                if (preserver := self.preserver_of(location)) is not None:
                    preserver.leaving(folder, name, for_good=True)
                os.unlink(name, dir_fd=folder)
                self._ledger.account_of(location).settle(-size, -1)

    def is_tight(self, location: Location) -> bool:
        """Whether what is removed from a database is to be free at once (`DiskAccount.is_tight`)."""
        return self._ledger.account_of(location).is_tight(*disk_space(location.root))

    def sync_folder(self, location: Location) -> None:
        """Make what is in the folder of a file durable; raises OSError."""
        with folder_of(location) as (folder, _):
            os.fsync(folder)

    def preserver_of(self, location: Location) -> Preserver | None:
        """Return what must be told before a file changes, if a snapshot is being copied."""
        return self._ledger.preserver_of(location)

    def open(self, location: Location) -> _File:
        """Open a file, made if it is missing; raises OSError."""
        account = self._ledger.account_of(location)
        with folder_of(location) as (folder, name):
            is_new = size_in(folder, name) is None
            account.claim(0, int(is_new))
            try:
                descriptor = os.open(name, os.O_RDWR | os.O_CREAT | FILE, 0o600, dir_fd=folder)
            except OSError:
                account.settle(0, -int(is_new))
                raise
            if is_new and (preserver := self.preserver_of(location)) is not None:
                preserver.made(descriptor)
        return _File(self, location, account, descriptor, is_new=is_new)


_mounted: weakref.WeakValueDictionary[int, PackageFiles] = weakref.WeakValueDictionary()
_registered: list[apsw.VFS] = []


def _split(path: str) -> tuple[PackageFiles, Location]:
    _, number, name = path.split("/", 2)
    files = _mounted[int(number)]
    return files, files.location(name)


@contextlib.contextmanager
def _translated(files: PackageFiles) -> Iterator[None]:
    """Translate errors of the operating system into SQLite's."""
    try:
        yield
    except OverQuota as error:
        files.here.refused = error
        raise apsw.FullError(str(error)) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            files.here.refused = OverQuota(errno.ENOSPC, NO_ROOM)
            raise apsw.FullError(str(error)) from error
        raise apsw.IOError(str(error)) from error


class _FileSystem(apsw.VFS):
    def __init__(self) -> None:
        super().__init__(_NAME, "")

    def xOpen(self, name: Any, flags: list[int]) -> _File | _TemporaryFile:  # type: ignore[override]  # noqa: N802
        flags[1] = flags[0]
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None:
            return temporary_file()
        files, location = _split(path)
        with _translated(files):
            return files.open(location)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        files, location = _split(filename)
        with _translated(files):
            files.remove(location)
            if syncdir:
                files.sync_folder(location)

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        files, location = _split(pathname)
        with _translated(files):
            return files.exists(location)

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802
        return os.urandom(numbytes)

    def xGetLastError(self) -> tuple[int, str]:  # noqa: N802
        return 0, ""


class UnlockedFile:
    """What an open file is to SQLite, where nobody else can open it: locks mean nothing."""

    def xLock(self, level: int) -> None:  # noqa: N802
        """Give a lock that is free."""

    def xUnlock(self, level: int) -> None:  # noqa: N802
        """Take it back."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        """Return whether somebody else writes."""
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802
        """Return whether a request of another kind was understood."""
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        """Return the bytes that a write may tear."""
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        """Return what SQLite may rely on: a power cut tears what is being written, and nothing beside it.

        SQLite relies on that wherever it writes by itself, as to a node's store, unless it is told not to
        (https://www.sqlite.org/psow.html). Without it, each commit is filled up to a sector, with twice the writes.
        """
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE


class _TemporaryFile(UnlockedFile):
    """A file that is gone when it is closed."""

    def __init__(self) -> None:
        self._data = bytearray()

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        return bytes(self._data[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if offset + len(data) > MAX_TEMPORARY_BYTES:
            raise apsw.FullError("it sorts or keeps too much")
        if offset > len(self._data):
            self._data.extend(bytes(offset - len(self._data)))
        self._data[offset : offset + len(data)] = data

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        del self._data[newsize:]

    def xSync(self, flags: int) -> None: ...  # noqa: N802

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._data)

    def xClose(self) -> None:  # noqa: N802
        self._data = bytearray()


def temporary_file() -> _TemporaryFile:
    """Return a file for SQLite that is in memory, bounded, and gone when it is closed."""
    return _TemporaryFile()


class _File(UnlockedFile):
    """An open file of a database."""

    def __init__(
        self, files: PackageFiles, location: Location, account: DiskAccount, descriptor: int, *, is_new: bool
    ) -> None:
        self._files = files
        self._location = location
        self._account = account
        self._descriptor = descriptor
        self._is_in_folder = not is_new
        """Whether its name in its folder is durable."""

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        with _translated(self._files):
            return os.pread(self._descriptor, amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        with _translated(self._files):
            length = os.fstat(self._descriptor).st_size
            more, lent = max(0, offset + len(data) - length), self._files.here.lent
            check_space(self._account, self._descriptor, len(data), lent)
            if more:
                self._account.claim(more, lent=lent)
            if (preserver := self._files.preserver_of(self._location)) is not None:
                if more:
                    preserver.extending(self._descriptor)
                preserver.writing(self._descriptor, offset, min(len(data), length - offset) if offset < length else 0)
            try:
                rest, at = memoryview(data), offset
                while rest:
                    written = os.pwrite(self._descriptor, rest, at)
                    rest, at = rest[written:], at + written
            except OSError:
                self._account.settle(os.fstat(self._descriptor).st_size - length - more)
                raise

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        with _translated(self._files):
            length = os.fstat(self._descriptor).st_size
            if newsize < length:
                if (preserver := self._files.preserver_of(self._location)) is not None:
                    preserver.cutting(self._descriptor, newsize)
                os.ftruncate(self._descriptor, newsize)
                self._account.settle(newsize - length)

    def xSync(self, flags: int) -> None:  # noqa: N802
        with _translated(self._files):
            os.fdatasync(self._descriptor)
            if not self._is_in_folder:
                self._files.sync_folder(self._location)
                self._is_in_folder = True

    def xFileSize(self) -> int:  # noqa: N802
        return os.fstat(self._descriptor).st_size

    def xClose(self) -> None:  # noqa: N802
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
