"""The operations of the real disk that may take long, as generators: each `yield` ends a step. `removing`
and `whole_files` have more of them.

Closing a generator gives it up: it leaves no temporary file and no claim in an account.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Generator, Iterator

from nectar_node.storage import operations as ops
from nectar_node.storage import steps
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.opened import (
    FOLDER,
    folder_of,
    growing,
    is_settled,
    opened,
    size_in,
    version_of,
)
from nectar_node.storage.removing import DEEPEST, Below
from nectar_node.storage.steps import Work

_ANY_QUOTA = 1 << 62


def read_at(operation: ops.ReadAt, ledger: Ledger) -> Work:
    """Read bytes from an offset (`ReadAt`)."""
    with opened(operation.location, os.O_RDONLY) as file:
        if operation.version is not None:
            return _read_version(operation, file.descriptor)
        length = min(operation.length, file.length - operation.offset)
        if length <= 0:
            return b""  # which the system refuses to read where offset and length are large
        if operation.hashed and length <= ops.LONG_BYTES:
            return _read_hashed(operation, file.descriptor, ledger)
        if length <= ops.LONG_BYTES:
            return os.pread(file.descriptor, min(operation.length, ops.LONG_BYTES), operation.offset)
        data = bytearray(length)
        view, done = memoryview(data), 0
        while done < length:
            read = os.preadv(file.descriptor, [view[done : done + ops.STEP_BYTES]], operation.offset + done)
            if not read:
                break
            done += read
            yield
        view.release()
        del data[done:]
        return data


def _read_hashed(operation: ops.ReadAt, descriptor: int, ledger: Ledger) -> bytes:
    """Read from a file, and go on with its running hash. That of a file which changes at this moment is not begun:
    another change could leave its version as it is.
    """
    found = os.fstat(descriptor)
    running = ledger.hashes.take(operation.location, operation.offset, version_of(found))
    data = os.pread(descriptor, min(operation.length, ops.LONG_BYTES), operation.offset)
    if running is not None and (running.length or is_settled(found)):
        running.add(operation.offset, data)
        ledger.hashes.put(operation.location, running)
    return data


def _read_version(operation: ops.ReadAt, descriptor: int) -> bytes:
    """Read from a file unless it has changed: a guest writes to its drive beside the lanes."""
    before = version_of(os.fstat(descriptor))
    data = os.pread(descriptor, min(operation.length, ops.LONG_BYTES), operation.offset)
    if not before == operation.version == version_of(os.fstat(descriptor)):
        raise OSError(errno.ESTALE, ops.CHANGED)
    return data


def write_at(operation: ops.WriteAt, ledger: Ledger) -> Work:
    """Write into an existing file (`WriteAt`)."""
    rest, offset = memoryview(operation.data), operation.offset
    account, size = ledger.account_of(operation.location), len(rest)
    with opened(operation.location, os.O_WRONLY) as file, growing(account, file, offset + size if size else 0, size):
        running = None
        if operation.hashed:
            running = ledger.hashes.take(operation.location, offset, version_of(os.fstat(file.descriptor)))
            if running is not None and offset < running.length:
                running = None  # what it has hashed is overwritten
        while rest:
            if (preserver := ledger.preserver_of(operation.location)) is not None:  # it may have come meanwhile
                preserver.writing(file.descriptor, offset, min(len(rest), ops.LONG_BYTES))
            written = os.pwrite(file.descriptor, rest[: ops.LONG_BYTES], offset)
            if running is not None:
                running.add(offset, rest[:written])
            rest, offset = rest[written:], offset + written
            if rest:
                yield
        if running is not None:
            running.version = version_of(os.fstat(file.descriptor))
            ledger.hashes.put(operation.location, running)
    return None


def list_folder(operation: ops.ListFolder, _: Ledger) -> Work:
    """List a folder, or a page of it (`ListFolder`)."""
    with folder_of(operation.location) as (folder, name):
        descriptor = os.open(name, FOLDER, dir_fd=folder)
    limit, listed = operation.limit, list[tuple[str, ops.FileType]]()
    try:
        with os.scandir(descriptor) as entries:
            for number, entry in enumerate(entries, 1):
                if limit is None and len(listed) == ops.MAX_LISTED:
                    raise OSError(errno.EOVERFLOW, ops.TOO_MANY_LISTED)
                if limit is None or (entry.name > operation.after and ops.is_part(entry.name)):
                    listed.append((entry.name, _type_of(entry)))
                if limit is not None and len(listed) > 2 * limit + steps.ENTRIES:
                    del sorted_in_place(listed)[limit:]
                if not number % steps.ENTRIES:
                    yield
    finally:
        os.close(descriptor)
    return sorted_in_place(listed)[:limit]


def _type_of(entry: os.DirEntry[str]) -> ops.FileType:
    if entry.is_file(follow_symlinks=False):
        return ops.FileType.FILE
    if entry.is_dir(follow_symlinks=False):
        return ops.FileType.DIRECTORY
    return ops.FileType.SYMLINK if entry.is_symlink() else ops.FileType.OTHER


def sorted_in_place(listed: list[tuple[str, ops.FileType]]) -> list[tuple[str, ops.FileType]]:
    """Sort entries by name, and return them."""
    listed.sort(key=lambda pair: pair[0])
    return listed


def rename(operation: ops.Rename, ledger: Ledger) -> Work:
    """Rename a file or folder (`Rename`). What goes to another package moves to that one's account."""
    giver, taker = ledger.account_of(operation.location), ledger.account_of(operation.target)
    with (
        folder_of(operation.location) as (folder, name),
        folder_of(operation.target) as (target_folder, target_name),
    ):
        moved = (yield from _count(operation.location)) if giver is not taker else ops.Usage(0, 0)
        replaced = _replaced(folder, name, target_folder, target_name)
        yield from Below(operation.location, ledger).keep()
        if (preserver := ledger.preserver_of(operation.location)) is not None:
            preserver.leaving(folder, name, for_good=False)
        if (preserver := ledger.preserver_of(operation.target)) is not None:
            preserver.leaving(target_folder, target_name, for_good=True)
        taker.claim(*moved)
        try:
            os.rename(name, target_name, src_dir_fd=folder, dst_dir_fd=target_folder)
        except OSError:
            taker.settle(-moved.bytes, -moved.files)
            raise
        giver.settle(-moved.bytes, -moved.files)
        taker.settle(-replaced.bytes, -replaced.files)
        os.fsync(target_folder)
    return None


def _replaced(folder: int, name: str, target_folder: int, target_name: str) -> ops.Usage:
    """Return what a rename replaces."""
    size = size_in(target_folder, target_name)
    if size is None:
        return ops.Usage(0, 0)
    try:
        moved = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return ops.Usage(0, 0)  # as the rename will say
    there = os.stat(target_name, dir_fd=target_folder, follow_symlinks=False)
    return ops.Usage(0, 0) if os.path.samestat(moved, there) else ops.Usage(size, 1)


# --- counting ---------------------------------------------------------------------------------------------------------


def measure(operation: ops.Measure, ledger: Ledger) -> Work:
    """Count a package (`Measure`), and set its account to the result."""
    drives = yield from _count(operation.location, itself=False)
    return ops.Counted(*ledger.account(operation.package).count(drives), *disk_space(operation.location.root))


def _count(location: ops.Location, *, itself: bool = True) -> Generator[None, None, ops.Usage]:
    """Return the size of what is there and below. Files and folders that go away meanwhile may or may not be
    counted.
    """
    with folder_of(location) as (folder, name):
        size = size_in(folder, name)
    if size is None:
        return ops.Usage(0, 0)
    files, looked = int(itself), 0
    folders: list[tuple[str, ...]] = [()]
    while folders:
        below = folders.pop()
        if len(below) > DEEPEST:
            return ops.Usage(_ANY_QUOTA, _ANY_QUOTA)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            for name, is_folder, bytes in _list_sizes(ops.Location(location.root, location.parts + below)):
                files += 1
                size += bytes
                if is_folder:
                    folders.append((*below, name))
                looked += 1
                if not looked % steps.ENTRIES:
                    yield
        yield
    return ops.Usage(size, files)


def _list_sizes(location: ops.Location) -> Iterator[tuple[str, bool, int]]:
    with folder_of(location) as (folder, name):
        descriptor = os.open(name, FOLDER, dir_fd=folder)
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                yield entry.name, is_folder, 0 if is_folder else size_in(descriptor, entry.name) or 0
    finally:
        os.close(descriptor)


def survey(operation: ops.Survey, ledger: Ledger) -> Work:
    """Find all packages (`Survey`)."""
    names, location = ledger.with_states, operation.location
    with folder_of(ops.Location(location.root, (*location.parts, "."))) as (folder, _), os.scandir(folder) as entries:
        for number, entry in enumerate(entries, 1):
            names.add(entry.name)
            if not number % steps.ENTRIES:
                yield
    return ops.Surveyed(sorted(names), *disk_space(location.root))


def disk_space(folder: str) -> tuple[int, int]:
    """Return the free bytes and all bytes of the disk that holds `folder`."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
