"""The real disk: carries out one operation, blocking, on whatever thread calls it.

Every path is opened component by component from its root without following links, so that no link inside a drive leads
out of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

from blake3 import blake3

from kernel.message import Buffer
from nectar_node import log
from nectar_node.descriptors import insist
from nectar_node.storage.archive import BadArchive, read_archive_untrusted, unpack_untrusted
from nectar_node.storage.operations import (
    MAX_LISTED,
    Append,
    Copy,
    Create,
    CreateFolder,
    DiskError,
    DiskFault,
    Extend,
    FileStat,
    FileType,
    FreeSpace,
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
    growth,
    new_file_name,
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
_LISTED_AT_ONCE = 10_000
"""Entries of a folder that is being emptied."""
_MOST_LISTINGS = 1_000_000
"""Times that a folder is listed while it is being emptied: somebody may add to it meanwhile, without end."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe in a drive must not hang the thread that opens it


def perform(operation: Operation) -> Outcome:
    """Carry out `operation`; what the disk refuses is an outcome, not an exception."""
    try:
        return insist(lambda: _PERFORMERS[type(operation)](operation))
    except OSError as error:
        fault = _FAULTS.get(error.errno or 0, DiskFault.OTHER)
        return DiskError(fault, error.strerror or str(error))
    except BadArchive as error:
        return DiskError(DiskFault.BAD_ARCHIVE, f"the archive {error}")
    except Exception as error:
        # Guests shape files and folders as they like, and this runs in a task of the node: what nobody has foreseen
        # is the trouble of whoever asked for it, not the end of all others.
        kind = type(operation).__name__
        log.write_line("disk", f"{kind} of {operation.location} failed unforeseen, please report it: {error!r}")
        return DiskError(DiskFault.OTHER, "the node could not do it: its log says why")


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
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "is no regular file")  # whose end might never come
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
        os.fsync(folder)


def _make_folder(operation: MakeFolder) -> None:
    _make_folders(operation.location, synced=True)


def _make_folders(location: Location, *, synced: bool) -> None:
    """`synced`: what is durable in one of them can be reached after a crash of the machine."""
    descriptor = os.open(location.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in location.parts:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=descriptor)
                if synced:
                    os.fsync(descriptor)
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
    listed: list[tuple[str, FileType]] = []
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if len(listed) == MAX_LISTED:
                    raise OSError(errno.EOVERFLOW, f"the folder has more than {MAX_LISTED} entries")
                kind = FileType.DIRECTORY if entry.is_dir(follow_symlinks=False) else FileType.FILE
                listed.append((entry.name, kind))
    finally:
        os.close(descriptor)
    return sorted(listed, key=lambda pair: pair[0])


def _remove_file(operation: RemoveFile) -> None:
    with _folder_of(operation.location) as (folder, name):
        os.unlink(name, dir_fd=folder)


def _remove_folder(operation: RemoveFolder) -> None:
    with _folder_of(operation.location) as (folder, name):
        if operation.recursive:
            _empty(folder, name)
        os.rmdir(name, dir_fd=folder)


def _empty(folder: int, name: str) -> None:
    """Remove all that is in a folder, however deep.

    A folder in a folder is first moved up beside the outermost ones, so that neither the stack nor the descriptors
    grow with the depth, and no way leads back up that somebody could bend meanwhile.
    """
    unique = os.urandom(8).hex()
    names = (f".{unique}.{number}" for number in count())
    outer = os.open(name, _FOLDER, dir_fd=folder)
    try:
        for each, is_folder in _listed_anew(outer):
            if is_folder:
                _move_up(outer, each, names)
                os.rmdir(each, dir_fd=outer)
            else:
                os.unlink(each, dir_fd=outer)
    finally:
        os.close(outer)


def _move_up(outer: int, name: str, names: Iterator[str]) -> None:
    """Remove all files in a folder, and move the folders in it to its own, under `names`."""
    inner = os.open(name, _FOLDER, dir_fd=outer)
    try:
        for each, is_folder in _listed_anew(inner):
            if is_folder:
                os.rename(each, next(names), src_dir_fd=inner, dst_dir_fd=outer)
            else:
                os.unlink(each, dir_fd=inner)
    finally:
        os.close(inner)


def _listed_anew(folder: int) -> Iterator[tuple[str, bool]]:
    """What is in a folder, and whether that is a folder, until nothing is: whoever asks removes each. A few at a time:
    a folder that changes while it is read may hold back some, and one can be large."""
    for _ in range(_MOST_LISTINGS):
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in islice(entries, _LISTED_AT_ONCE)]
        if not found:
            return
        yield from found
    raise OSError(errno.EBUSY, "the folder does not get empty")


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
    with _folder_of(operation.location) as (folder, _):
        os.fsync(folder)  # a new file is in it only then


def _hash(operation: Hash) -> bytes:
    hasher = blake3()
    with _opened(operation.location, os.O_RDONLY) as descriptor:
        for block in _blocks(descriptor):
            hasher.update(block)
    return hasher.digest()


def _free_space(operation: FreeSpace) -> int:
    disk = os.statvfs(operation.location.root)
    return growth(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)


def _blocks(descriptor: int) -> Iterator[memoryview]:
    """A file's content as far as it reaches now: somebody may add to it meanwhile, without end. Each is valid until the
    next."""
    block, rest = memoryview(bytearray(_BLOCK)), os.fstat(descriptor).st_size
    while rest and (read := os.readv(descriptor, [block[: min(rest, _BLOCK)]])):
        rest -= read
        yield block[:read]


@contextlib.contextmanager
def _replacing(location: Location) -> Iterator[int]:
    """A descriptor for a file's new content; it takes the place of the old one at the end, if all went well."""
    with _folder_of(location) as (folder, name):
        temporary = new_file_name(name)
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


def _extend(operation: Extend) -> None:
    with _opened(operation.location, os.O_WRONLY) as descriptor:
        if os.fstat(descriptor).st_size < operation.length:
            raise FileNotFoundError(errno.ENOENT, "the file is shorter than it was")
        os.ftruncate(descriptor, operation.length)
        os.lseek(descriptor, operation.length, os.SEEK_SET)
        _write_all(descriptor, operation.data)
        os.fsync(descriptor)


def _copy(operation: Copy) -> None:
    with _opened(operation.location, os.O_RDONLY) as source, _replacing(operation.target) as target:
        # Holes are written out: a sparse file may be larger than any disk.
        room = os.fstatvfs(target)
        if os.fstat(source).st_size > room.f_bavail * room.f_frsize:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        for block in _blocks(source):
            _write_all(target, block)


def _unpack(operation: Unpack) -> None:
    into, made = operation.location, set[tuple[str, ...]]()
    for entry in read_archive_untrusted(operation.data):
        folder = entry.parts if entry.is_folder else entry.parts[:-1]
        if folder not in made:
            _make_folders(Location(into.root, into.parts + folder), synced=False)
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
    FreeSpace: _free_space,
    Hash: _hash,
    Replace: _replace,
    Extend: _extend,
    Append: _append,
    CreateFolder: _create_folder,
    Copy: _copy,
    Unpack: _unpack,
}
