"""Opens what a location names, component by component and without following links, so that none leads out of it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterator
from typing import NamedTuple

from kernel.contract.message import Buffer
from nectar_node.storage.ledger import UNCOUNTED, DiskAccount, Ledger
from nectar_node.storage.operations import Location

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe in a drive must not hang the thread that opens it

SETTLED_NS = 50_000_000
"""Nanoseconds after which a change of a file has a time of its own: a tick of the kernel's clock, which stamps them, is
at most a fifth of that.
"""


class Opened(NamedTuple):
    """A regular file."""

    descriptor: int
    length: int
    """Its length when it was opened, in bytes."""


@contextlib.contextmanager
def folder_of(location: Location) -> Iterator[tuple[int, str]]:
    """Return the descriptor of the folder that holds the location's last part, and that part."""
    descriptor = os.open(location.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in location.parts[:-1]:
            inner = os.open(part, FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor, location.parts[-1] if location.parts else "."
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened(location: Location, flags: int) -> Iterator[Opened]:
    """Open a file for the length of this context."""
    with folder_of(location) as (folder, name):
        descriptor = os.open(name, flags | FILE, 0o600, dir_fd=folder)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file")  # whose end might never come
        yield Opened(descriptor, found.st_size)
    finally:
        os.close(descriptor)


def version_of(found: os.stat_result) -> str:
    """Return what differs between two contents of a file, unless the second came within SETTLED_NS of the first."""
    return f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}-{found.st_ctime_ns:x}"


def is_settled(found: os.stat_result) -> bool:
    """Whether the file has not changed lately, so that its next change gives it another version."""
    return abs(time.time_ns() - found.st_ctime_ns) > SETTLED_NS


def size_in(folder: int, name: str) -> int | None:
    """Return the bytes of a file in a folder, as accounts have them; None: there is nothing of that name."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def check_space(account: DiskAccount, descriptor: int, wanted: int, lent: int = 0) -> None:
    """Check that the disk can take so many bytes, `lent` of its floor; raises OverQuota."""
    if wanted and account is not UNCOUNTED:
        disk = os.fstatvfs(descriptor)
        account.check_space(wanted, disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize, lent)


@contextlib.contextmanager
def growing(account: DiskAccount, file: Opened, end: int, wanted: int) -> Iterator[None]:
    """Claim what a file grows by if it becomes as long as `end`, with `wanted` bytes written; raises OverQuota."""
    check_space(account, file.descriptor, wanted)
    more = max(0, end - file.length)
    if more:
        account.claim(more)
    try:
        yield
    except BaseException:
        account.settle(os.fstat(file.descriptor).st_size - file.length - more)
        raise


def write_all(descriptor: int, data: Buffer) -> None:
    """Write all of `data` where the descriptor stands."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def make_folders(location: Location, ledger: Ledger, *, synced: bool) -> None:
    """Make those of the location's folders that are missing.

    With `synced`, what is durable in one of them can be reached after a crash of the machine.
    """
    descriptor = os.open(location.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for depth, part in enumerate(location.parts, 1):
            try:
                inner = os.open(part, FOLDER, dir_fd=descriptor)
            except FileNotFoundError:
                account = ledger.account_of(Location(location.root, location.parts[:depth]))
                with contextlib.suppress(FileExistsError):
                    make_folder_in(descriptor, part, account, synced=synced)
                inner = os.open(part, FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
    finally:
        os.close(descriptor)


def make_folder_in(folder: int, name: str, account: DiskAccount, *, synced: bool) -> None:
    """Make a folder that is not there yet."""
    account.claim(0, 1)
    try:
        os.mkdir(name, 0o700, dir_fd=folder)
    except OSError:
        account.settle(0, -1)
        raise
    if synced:
        os.fsync(folder)
