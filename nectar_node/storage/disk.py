"""The real disk: carries out one operation, blocking, on whatever thread calls it.

Every path is opened component by component from its root without following links, so that no link inside a drive leads
out of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from typing import Any

from blake3 import blake3

from kernel.message import Buffer
from nectar_node.storage.archive import BadArchive, read_archive_untrusted, unpack_untrusted
from nectar_node.storage.operations import (
    Append,
    Copy,
    Create,
    CreateFolder,
    DiskError,
    DiskFault,
    FileStat,
    FileType,
    Hash,
    ListFolder,
    Location,
    MakeFolder,
    Operation,
    Outcome,
    ReadAt,
    RemoveFile,
    RemoveFolder,
    Rename,
    Replace,
    SetLength,
    Stat,
    Sync,
    Unpack,
    WriteAt,
)

_FAULTS = {
    errno.ENOENT: DiskFault.NOT_FOUND,
    errno.ENOTDIR: DiskFault.NOT_FOUND,
    errno.EACCES: DiskFault.NOT_PERMITTED,
    errno.EPERM: DiskFault.NOT_PERMITTED,
    errno.EROFS: DiskFault.NOT_PERMITTED,
    errno.ELOOP: DiskFault.NOT_PERMITTED,
    errno.ENOSPC: DiskFault.FULL,
    errno.EDQUOT: DiskFault.FULL,
    errno.EFBIG: DiskFault.FULL,
    errno.EEXIST: DiskFault.EXISTS,
}
_BLOCK = 1 << 20
"""Fits into a core's cache; one thread then hashes 4 GB/s, reading included, and leaves the others alone."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe in a drive must not hang the thread that opens it


def perform(operation: Operation) -> Outcome:
    """Carry out `operation`; what the disk refuses is an outcome, not an exception."""
    try:
        return _PERFORMERS[type(operation)](operation)
    except OSError as error:
        fault = _FAULTS.get(error.errno or 0, DiskFault.OTHER)
        return DiskError(fault, error.strerror or str(error))
    except BadArchive as error:
        return DiskError(DiskFault.BAD_ARCHIVE, f"the archive {error}")


@contextlib.contextmanager
def _folder_of(location: Location) -> Iterator[tuple[int, str]]:
    """The descriptor of the folder that holds the location's last part, and that part."""
    descriptor = os.open(location.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in location.parts[:-1]:
            inner = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor, location.parts[-1] if location.parts else "."
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened(location: Location, flags: int) -> Iterator[int]:
    with _folder_of(location) as (folder, name):
        descriptor = os.open(name, flags | _FILE, 0o600, dir_fd=folder)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        yield descriptor
    finally:
        os.close(descriptor)


def _read_at(operation: ReadAt) -> bytes:
    with _opened(operation.location, os.O_RDONLY) as descriptor:
        return os.pread(descriptor, operation.length, operation.offset)


def _write_at(operation: WriteAt) -> None:
    with _opened(operation.location, os.O_WRONLY) as descriptor:
        rest, offset = memoryview(operation.data), operation.offset
        while rest:
            written = os.pwrite(descriptor, rest, offset)
            rest, offset = rest[written:], offset + written


def _append(operation: Append) -> int:
    with _opened(operation.location, os.O_WRONLY | os.O_APPEND) as descriptor:
        _write_all(descriptor, operation.data)
        return os.fstat(descriptor).st_size


def _write_all(descriptor: int, data: Buffer) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _create(operation: Create) -> None:
    with _opened(operation.location, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if operation.cut_off else 0)):
        pass


def _create_folder(operation: CreateFolder) -> None:
    with _folder_of(operation.location) as (folder, name):
        os.mkdir(name, 0o700, dir_fd=folder)


def _make_folder(operation: MakeFolder) -> None:
    descriptor = os.open(operation.location.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in operation.location.parts:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=descriptor)
            inner = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
    finally:
        os.close(descriptor)


def _stat(operation: Stat) -> FileStat:
    with _folder_of(operation.location) as (folder, name):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    kind = FileType.DIRECTORY if stat.S_ISDIR(found.st_mode) else FileType.FILE
    return FileStat(kind, found.st_size, found.st_mtime_ns)


def _list_folder(operation: ListFolder) -> list[tuple[str, FileType]]:
    with _folder_of(operation.location) as (folder, name):
        descriptor = os.open(name, _FOLDER, dir_fd=folder)
    try:
        with os.scandir(descriptor) as entries:
            return sorted(
                ((e.name, FileType.DIRECTORY if e.is_dir(follow_symlinks=False) else FileType.FILE) for e in entries),
                key=lambda pair: pair[0],
            )
    finally:
        os.close(descriptor)


def _remove_file(operation: RemoveFile) -> None:
    with _folder_of(operation.location) as (folder, name):
        os.unlink(name, dir_fd=folder)


def _remove_folder(operation: RemoveFolder) -> None:
    with _folder_of(operation.location) as (folder, name):
        if operation.recursive:
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.rmdir(name, dir_fd=folder)


def _rename(operation: Rename) -> None:
    with (
        _folder_of(operation.location) as (folder, name),
        _folder_of(operation.target) as (target_folder, target_name),
    ):
        os.rename(name, target_name, src_dir_fd=folder, dst_dir_fd=target_folder)
        os.fsync(target_folder)


def _set_length(operation: SetLength) -> None:
    with _opened(operation.location, os.O_WRONLY) as descriptor:
        os.ftruncate(descriptor, operation.length)


def _sync(operation: Sync) -> None:
    with _opened(operation.location, os.O_RDONLY) as descriptor:
        os.fsync(descriptor)


def _hash(operation: Hash) -> bytes:
    hasher, block = blake3(), bytearray(_BLOCK)
    with _opened(operation.location, os.O_RDONLY) as descriptor:
        while read := os.readv(descriptor, [block]):
            hasher.update(memoryview(block)[:read])
    return hasher.digest()


@contextlib.contextmanager
def _replacing(location: Location) -> Iterator[int]:
    """A descriptor for a file's new content; it takes the place of the old one at the end, if all went well."""
    with _folder_of(location) as (folder, name):
        temporary = f".{name}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FILE, 0o600, dir_fd=folder)
        try:
            yield descriptor
            os.fsync(descriptor)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            os.unlink(temporary, dir_fd=folder)  # the bytes of one that did not fit would fill the disk
            raise
        finally:
            os.close(descriptor)
        os.fsync(folder)


def _replace(operation: Replace) -> None:
    with _replacing(operation.location) as descriptor:
        _write_all(descriptor, operation.data)


def _copy(operation: Copy) -> None:
    with _opened(operation.location, os.O_RDONLY) as source, _replacing(operation.target) as target:
        while block := os.read(source, _BLOCK):
            _write_all(target, block)


def _unpack(operation: Unpack) -> None:
    into, made = operation.location, set[tuple[str, ...]]()
    for entry in read_archive_untrusted(operation.data):
        folder = entry.parts if entry.is_folder else entry.parts[:-1]
        if folder not in made:
            _make_folder(MakeFolder(Location(into.root, into.parts + folder)))
            made.add(folder)
        if not entry.is_folder:
            location = Location(into.root, into.parts + entry.parts)
            with _opened(location, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
                for piece in unpack_untrusted(operation.data, entry):
                    _write_all(descriptor, piece)


_PERFORMERS: dict[type, Callable[[Any], Outcome]] = {
    ReadAt: _read_at,
    WriteAt: _write_at,
    Create: _create,
    MakeFolder: _make_folder,
    Stat: _stat,
    ListFolder: _list_folder,
    RemoveFile: _remove_file,
    RemoveFolder: _remove_folder,
    Rename: _rename,
    SetLength: _set_length,
    Sync: _sync,
    Hash: _hash,
    Replace: _replace,
    Append: _append,
    CreateFolder: _create_folder,
    Copy: _copy,
    Unpack: _unpack,
}
