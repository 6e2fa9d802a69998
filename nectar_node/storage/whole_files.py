"""Reads and writes whole files of the real disk in steps: hashed, replaced, copied, unpacked."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from blake3 import blake3

from kernel.contract.message import Buffer
from nectar_node.storage import operations as ops
from nectar_node.storage.archive import Entry, entries_untrusted, unpack_untrusted, verify_untrusted
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.opened import (
    FILE,
    FOLDER,
    check_space,
    folder_of,
    make_folders,
    opened,
    size_in,
    version_of,
    write_all,
)
from nectar_node.storage.preserving import Preserver
from nectar_node.storage.removing import empty
from nectar_node.storage.steps import Work

_ZEROS = memoryview(bytes(ops.STEP_BYTES))


def hash_file(operation: ops.Hash, ledger: Ledger) -> Work:
    """Hash a file (`Hash`)."""
    hasher = blake3()
    with opened(operation.location, os.O_RDONLY) as file:
        whole = ledger.hashes.whole(operation.location, file.length, version_of(os.fstat(file.descriptor)))
        if whole is not None:
            return whole
        for block in blocks(file.descriptor):
            hasher.update(block)
            yield
    return hasher.digest()


def blocks(descriptor: int) -> Iterator[memoryview]:
    """Yield a file's content up to its present length: somebody may add to it meanwhile, without end.

    Each block is valid until the next. Holes are not read.
    """
    block, end = memoryview(bytearray(ops.STEP_BYTES)), os.fstat(descriptor).st_size
    position = data = hole = 0
    while position < end:
        if position >= hole:
            data, hole = _next_data(descriptor, position, end)
        if position < data:
            piece = _ZEROS[: min(data - position, ops.STEP_BYTES)]
        else:
            piece = block[: os.preadv(descriptor, [block[: min(end - position, ops.STEP_BYTES)]], position)]
            if not piece:
                return
        position += len(piece)
        yield piece


def _next_data(descriptor: int, position: int, end: int) -> tuple[int, int]:
    """Return where the next bytes begin that are not in a hole, and where they end."""
    try:
        data = min(os.lseek(descriptor, position, os.SEEK_DATA), end)
        return data, os.lseek(descriptor, data, os.SEEK_HOLE) if data < end else end
    except OSError as error:
        if error.errno == errno.ENXIO:
            return end, end  # a hole to the end, or it was cut off
        return position, end  # a file system without holes


@contextlib.contextmanager
def _replacing(location: ops.Location, ledger: Ledger, length: int) -> Iterator[int]:
    """Yield a descriptor for a file's new content, of `length` bytes, which replaces the old one at the end if all went
    well.
    """
    account = ledger.account_of(location)
    with folder_of(location) as (folder, name):
        temporary = ops.new_file_name(name)
        before, left = size_in(folder, name), size_in(folder, temporary)
        check_space(account, folder, length)
        more = length - (before or 0), int(before is None)
        account.claim(*more)
        try:
            descriptor = _open_emptied(folder, temporary, ledger.preserver_of(location))
        except OSError:
            account.settle(-more[0], -more[1])
            raise
        account.settle(-(left or 0), -(left is not None))  # what a crash has left is written over
        try:
            yield descriptor
            os.fsync(descriptor)
            if (preserver := ledger.preserver_of(location)) is not None:
                preserver.leaving(folder, temporary, for_good=False)
                preserver.leaving(folder, name, for_good=True)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            account.settle(-more[0], -more[1])
            if (preserver := ledger.preserver_of(location)) is not None:
                preserver.leaving(folder, temporary, for_good=True)
            os.unlink(temporary, dir_fd=folder)  # the bytes of one that did not fit would fill the disk
            raise
        finally:
            os.close(descriptor)
        os.fsync(folder)


def _open_emptied(folder: int, name: str, preserver: Preserver | None) -> int:
    """Open a new file; one that a crash has left is emptied."""
    flags = os.O_WRONLY | os.O_CREAT | FILE
    if preserver is None:
        return os.open(name, flags | os.O_TRUNC, 0o600, dir_fd=folder)
    there = size_in(folder, name)
    descriptor = os.open(name, flags, 0o600, dir_fd=folder)
    if there is None:
        preserver.made(descriptor)
    else:
        preserver.cutting(descriptor, 0)
        os.ftruncate(descriptor, 0)
    return descriptor


def write_on(descriptor: int, data: Buffer, location: ops.Location, ledger: Ledger) -> None:
    """Write the next piece of a file's new content: the snapshot may have begun after the file, and another operation
    may write to it, too.
    """
    if (preserver := ledger.preserver_of(location)) is not None:
        preserver.writing(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR), len(data))
    write_all(descriptor, data)


def replace(operation: ops.Replace, ledger: Ledger) -> Work:
    """Replace a file's content (`Replace`)."""
    rest = memoryview(operation.data)
    with _replacing(operation.location, ledger, len(rest)) as descriptor:
        while rest:
            write_on(descriptor, rest[: ops.LONG_BYTES], operation.location, ledger)
            rest = rest[ops.LONG_BYTES :]
            if rest:
                yield
    return None


def copy(operation: ops.Copy, ledger: Ledger) -> Work:
    """Copy a file (`Copy`). Holes are written out: a sparse file may be larger than any disk."""
    account = ledger.account_of(operation.target)
    with opened(operation.location, os.O_RDONLY) as source:
        with folder_of(operation.target) as (folder, _):
            disk = os.fstatvfs(folder)
        if source.length > disk.f_bavail * disk.f_frsize:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with _replacing(operation.target, ledger, source.length) as target:
            written = 0
            for block in blocks(source.descriptor):
                write_on(target, block[: source.length - written], operation.target, ledger)
                written += len(block)
                yield
            if written < source.length:
                account.settle(min(written, source.length) - source.length)  # it was cut off meanwhile
    return None


# --- archives ---------------------------------------------------------------------------------------------------------


def unpack(operation: ops.Unpack, ledger: Ledger) -> Work:
    """Unpack an archive (`Unpack`). All files are written beside what is there first, and then take their places."""
    into = operation.location
    entries = entries_untrusted(operation.data)
    for _ in verify_untrusted(operation.data, entries):
        yield
    make_folders(into, ledger, synced=False)
    files = dict(enumerate(entry for entry in entries if not entry.is_folder))
    with _staging(into, ledger, files) as folder:
        for number, entry in files.items():
            descriptor = os.open(str(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE, 0o600, dir_fd=folder)
            try:
                if (preserver := ledger.preserver_of(into)) is not None:
                    preserver.made(descriptor)
                for piece in unpack_untrusted(operation.data, entry):
                    write_on(descriptor, piece, into, ledger)
                    yield
            finally:
                os.close(descriptor)
        for parts in dict.fromkeys(entry.parts if entry.is_folder else entry.parts[:-1] for entry in entries):
            make_folders(ops.Location(into.root, into.parts + parts), ledger, synced=False)
        for entry in files.values():
            with contextlib.suppress(FileNotFoundError), opened(_place_of(entry, into), os.O_WRONLY):
                pass  # what is there is a file that may be replaced
        for number, entry in list(files.items()):
            _take_its_place(folder, str(number), into, entry, ledger)
            del files[number]
    return None


def _place_of(entry: Entry, into: ops.Location) -> ops.Location:
    return ops.Location(into.root, into.parts + entry.parts)


def _take_its_place(folder: int, name: str, into: ops.Location, entry: Entry, ledger: Ledger) -> None:
    with folder_of(_place_of(entry, into)) as (target, target_name):
        before = size_in(target, target_name)
        if (preserver := ledger.preserver_of(into)) is not None:
            preserver.leaving(folder, name, for_good=False)
            preserver.leaving(target, target_name, for_good=True)
        os.rename(name, target_name, src_dir_fd=folder, dst_dir_fd=target)
        ledger.account_of(into).settle(-(before or 0), -(before is not None))


@contextlib.contextmanager
def _staging(into: ops.Location, ledger: Ledger, files: dict[int, Entry]) -> Iterator[int]:
    """Yield a temporary folder for these files, which are counted from now on; those left in it at the end are removed
    with it.
    """
    account = ledger.account_of(into)
    with folder_of(ops.Location(into.root, (*into.parts, "."))) as (outer, _):
        name = ops.new_file_name("/archive")  # which is no file's
        if size_in(outer, name) is not None:  # a crash has left it
            left = ops.Location(into.root, (*into.parts, name))
            for _step in empty(outer, name, account, left, ledger):
                pass
            os.rmdir(name, dir_fd=outer)
            account.settle(0, -1)
        size = sum(entry.length for entry in files.values())
        check_space(account, outer, size)
        account.claim(size, len(files))
        try:
            os.mkdir(name, 0o700, dir_fd=outer)
            descriptor = os.open(name, FOLDER, dir_fd=outer)
            try:
                yield descriptor
            finally:
                for number in files:
                    with contextlib.suppress(FileNotFoundError):
                        if (preserver := ledger.preserver_of(into)) is not None:
                            preserver.leaving(descriptor, str(number), for_good=True)
                        os.unlink(str(number), dir_fd=descriptor)
                os.close(descriptor)
                os.rmdir(name, dir_fd=outer)
        finally:
            account.settle(-sum(entry.length for entry in files.values()), -len(files))
