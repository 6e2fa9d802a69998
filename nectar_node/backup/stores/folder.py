"""A folder as a remote: an object is a file, which appears whole and durable, or not at all."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from nectar_node.backup.format.errors import ObjectExists, ObjectMissing, RemoteFailed
from nectar_node.backup.format.limits import MAX_OBJECTS
from nectar_node.backup.format.names import PREFIXES
from nectar_node.backup.operations import Listed

_STAGING = ".new-"
"""What the names of files begin with that are not whole yet."""
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""A pipe that somebody has left must not hang the opener."""
_LEFT_SECONDS = 24 * 3600.0
"""After so long, nobody is still writing such a file."""


class FolderRemote:
    """A remote in a folder, such as one on another disk, or one that is mounted from elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    def make(self) -> None:
        """Make the folder and those in it, and remove what interrupted puts have left; raises RemoteFailed."""
        with self._refusals():
            for prefix in PREFIXES:
                folder = self._folder / prefix
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                for path in folder.iterdir():
                    if path.name.startswith(_STAGING) and time.time() - path.stat().st_mtime > _LEFT_SECONDS:
                        path.unlink(missing_ok=True)
            _sync(self._folder)

    def put(self, name: str, data: bytes) -> None:
        """Write a file beside the others, and give it its name when it is durable."""
        path = self._folder / name
        staging = path.with_name(_STAGING + os.urandom(16).hex())  # another copy of the node may put the same name
        with self._refusals():
            try:
                descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "wb", buffering=0) as file:
                    rest = memoryview(data)
                    while rest:
                        rest = rest[file.write(rest) :]
                    os.fsync(file.fileno())
                _name(staging, path)
            except FileExistsError:
                raise ObjectExists(name) from None
            finally:
                with suppress(FileNotFoundError):
                    staging.unlink()
            _sync(path.parent)

    def get(self, name: str, start: int, length: int) -> bytes:
        """Read a part of a file."""
        with self._refusals():
            try:
                descriptor = os.open(self._folder / name, _FILE)
            except FileNotFoundError:
                raise ObjectMissing(name) from None
            try:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise ObjectMissing(name)
                return os.pread(descriptor, max(0, min(length, found.st_size - start)), start)
            finally:
                os.close(descriptor)

    def list(self, prefix: str) -> list[Listed]:
        """Return the files in one of the folders."""
        with self._refusals():
            if not self._folder.is_dir():
                raise RemoteFailed(f"There is no folder {self._folder}: is its disk there, and mounted?")
            try:
                with os.scandir(self._folder / prefix) as entries:
                    files = (
                        Listed(prefix + entry.name, entry.stat(follow_symlinks=False).st_size)
                        for entry in entries
                        if not entry.name.startswith(_STAGING) and entry.is_file(follow_symlinks=False)
                    )
                    return [*islice(files, MAX_OBJECTS + 1)]
            except FileNotFoundError:
                return []

    def delete(self, name: str) -> None:
        """Remove a file."""
        with self._refusals(), suppress(FileNotFoundError):
            (self._folder / name).unlink()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RemoteFailed(f"{self._folder} cannot be used: {error.strerror or error}.") from error


def _name(staging: Path, path: Path) -> None:
    """Give a file its name unless that exists; raises FileExistsError."""
    try:
        os.link(staging, path)
    except PermissionError:  # a file system without links, such as FAT: names are random, and one process writes
        if path.exists():
            raise FileExistsError(path) from None
        os.rename(staging, path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
