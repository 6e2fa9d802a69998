"""Copies of whole folders on the real disk: whole or not at all.

All is counted first, so that a copy for which there is no room is refused before a byte of it is written. Then it is
made under another name beside its place, and gets its own name when it is durable.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Generator, Iterator
from typing import NamedTuple

from nectar_node.storage import operations as ops
from nectar_node.storage import steps
from nectar_node.storage.ledger import UNCOUNTED, Ledger
from nectar_node.storage.opened import FILE, FOLDER, check_space, folder_of, size_in
from nectar_node.storage.removing import Below, empty
from nectar_node.storage.steps import Work
from nectar_node.storage.whole_files import blocks, write_on

MAX_SYNCS = 64
"""Files and folders of a copy that are synced one by one: each sync takes milliseconds. Of a larger one the whole file
system is synced once, which takes the longer the more others have written to it.
"""
INTO_ITSELF = "a folder cannot be copied into itself"
TOO_DEEP = f"the copy would be more than {ops.MAX_DEPTH} folders deep"
CHANGED = "the folder has grown while it was copied"


class _Found(NamedTuple):
    name: str
    is_folder: bool
    bytes: int


def staging_name(name: str) -> str:
    """Return the name of a copy until it is whole; that of no file's new content."""
    return ops.new_file_name(f"{name}/")


def copy_folder(operation: ops.CopyFolder, ledger: Ledger) -> Work:
    """Copy a folder (`CopyFolder`)."""
    source, target = operation.location, operation.target
    if target.root == source.root and target.parts[: len(source.parts)] == source.parts:
        raise OSError(errno.EINVAL, INTO_ITSELF)
    with folder_of(target) as (outer, name):
        check_absent(outer, name)
        total = yield from _total(source, ops.MAX_DEPTH - len(target.parts))
        staged, account = staging_name(name), ledger.account_of(target)
        place = ops.Location(target.root, (*target.parts[:-1], staged))
        yield from clear(outer, place, ledger)
        with staging(outer, place, ledger, total):
            copied = yield from _copy_all(source, outer, place, ledger, total)
            if total.files > MAX_SYNCS:
                sync_file_system(outer)
                yield
            yield from Below(place, ledger).keep()
            check_absent(outer, name)
            os.rename(staged, name, src_dir_fd=outer, dst_dir_fd=outer)
        account.settle(copied.bytes - total.bytes, copied.files - total.files)
        os.fsync(outer)
    return None


def clear(outer: int, place: ops.Location, ledger: Ledger) -> Iterator[None]:
    """Remove what a crash has left of a folder that was to be made."""
    name, account = place.parts[-1], ledger.account_of(place)
    if size_in(outer, name) is not None:
        yield from empty(outer, name, account, place, ledger)
        os.rmdir(name, dir_fd=outer)
        account.settle(0, -1)


def check_absent(folder: int, name: str) -> None:
    """Check that there is nothing of that name; raises FileExistsError."""
    if size_in(folder, name) is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _found(descriptor: int) -> Iterator[_Found]:
    """Yield what is in a folder; raises OSError for what is neither a file nor a folder."""
    with os.scandir(descriptor) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                found = os.stat(entry.name, dir_fd=descriptor, follow_symlinks=False)
                is_folder = stat.S_ISDIR(found.st_mode)
                if not is_folder and not stat.S_ISREG(found.st_mode):
                    raise OSError(errno.EINVAL, f"{entry.name[:100]!r} in it is neither a file nor a folder")
                yield _Found(entry.name, is_folder, 0 if is_folder else found.st_size)


@contextlib.contextmanager
def _folder(location: ops.Location) -> Iterator[int]:
    with folder_of(location) as (outer, name):
        descriptor = os.open(name, FOLDER, dir_fd=outer)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _total(source: ops.Location, deepest: int) -> Generator[None, None, ops.Usage]:
    """Return what a copy of `source` takes; raises OSError if it cannot be copied."""
    size, files, folders = 0, 1, [source]
    while folders:
        location = folders.pop()
        if len(location.parts) - len(source.parts) > deepest:
            raise OSError(errno.EINVAL, TOO_DEEP)
        with _folder(location) as descriptor:
            for found in _found(descriptor):
                size, files = size + found.bytes, files + 1
                if found.is_folder:
                    folders.append(ops.Location(location.root, (*location.parts, found.name)))
                elif len(location.parts) - len(source.parts) == deepest:
                    raise OSError(errno.EINVAL, TOO_DEEP)
                if not files % steps.ENTRIES:
                    yield
        yield
    return ops.Usage(size, files)


@contextlib.contextmanager
def staging(outer: int, place: ops.Location, ledger: Ledger, total: ops.Usage) -> Iterator[None]:
    """Make an empty folder, for a copy that is counted from now on; it is removed if the copy fails."""
    name, account = place.parts[-1], ledger.account_of(place)
    check_space(account, outer, total.bytes)
    account.claim(*total)
    try:
        os.mkdir(name, 0o700, dir_fd=outer)
        yield
    except BaseException:
        account.settle(-total.bytes, -total.files)
        if size_in(outer, name) is not None:
            for _step in empty(outer, name, UNCOUNTED, place, ledger):
                pass
            os.rmdir(name, dir_fd=outer)
        raise


def _copy_all(
    source: ops.Location, outer: int, place: ops.Location, ledger: Ledger, total: ops.Usage
) -> Generator[None, None, ops.Usage]:
    """Copy all that is in a folder, and return what that took; no more than `total`."""
    size, files, folders = 0, 1, list[tuple[str, ...]]([()])
    while folders:
        below = folders.pop()
        with (
            _folder(ops.Location(source.root, source.parts + below)) as taken,
            below_of(outer, (place.parts[-1], *below)) as given,
        ):
            for found in _found(taken):
                files += 1
                if files > total.files:
                    raise OSError(errno.EBUSY, CHANGED)
                if found.is_folder:
                    os.mkdir(found.name, 0o700, dir_fd=given)
                    folders.append((*below, found.name))
                else:
                    room = total.bytes - size
                    synced = total.files <= MAX_SYNCS
                    size += yield from _copy_file(taken, given, found.name, room, place, ledger, synced=synced)
                yield
            if total.files <= MAX_SYNCS:
                os.fsync(given)
    return ops.Usage(size, files)


@contextlib.contextmanager
def below_of(outer: int, parts: tuple[str, ...]) -> Iterator[int]:
    """Open a folder below another one, for the length of this context."""
    descriptor = os.dup(outer)
    try:
        for part in parts:
            inner = os.open(part, FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _copy_file(
    taken: int, given: int, name: str, room: int, place: ops.Location, ledger: Ledger, *, synced: bool
) -> Generator[None, None, int]:
    """Copy one file from a folder to another, and return its length. Holes are written out."""
    source = os.open(name, os.O_RDONLY | FILE, dir_fd=taken)
    try:
        copy = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE, 0o600, dir_fd=given)
        try:
            if (preserver := ledger.preserver_of(place)) is not None:
                preserver.made(copy)
            written = 0
            for block in blocks(source):
                if written + len(block) > room:
                    raise OSError(errno.EBUSY, CHANGED)
                write_on(copy, block, place, ledger)
                written += len(block)
                yield
            if synced:
                os.fsync(copy)
        finally:
            os.close(copy)
    finally:
        os.close(source)
    return written


def sync_file_system(descriptor: int) -> None:
    """Make durable all that was written to the file system of this descriptor, which Python has no call for."""
    if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
        failed = ctypes.get_errno()
        raise OSError(failed, os.strerror(failed))
