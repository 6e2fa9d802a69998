"""The operations of the real disk that may take long, as generators: each `yield` ends a step.

Closing a generator gives it up: it leaves no temporary file and no claim in an account.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Generator, Iterator
from itertools import count, islice

from blake3 import blake3

from kernel.contract.message import Buffer
from nectar_node.storage import operations as ops
from nectar_node.storage.archive import Entry, entries_untrusted, unpack_untrusted, verify_untrusted
from nectar_node.storage.ledger import DiskAccount, Ledger
from nectar_node.storage.opened import (
    FILE,
    FOLDER,
    check_space,
    folder_of,
    growing,
    make_folders,
    opened,
    size_in,
    version_of,
    write_all,
)
from nectar_node.storage.preserving import Preserver
from nectar_node.storage.steps import Work

_ENTRIES = 256
"""Entries of folders that are looked at or removed in one step."""
_LISTED_AT_ONCE = 10_000
"""Entries that are read in one listing of a folder that is being emptied."""
_MOST_LISTINGS = 1_000_000
"""Listings of a folder that is being emptied: somebody may add to it meanwhile, without end."""
DEEPEST = 256
"""Nesting of folders that are counted; the vfs makes none so deep."""
_ANY_QUOTA = 1 << 62
_ZEROS = memoryview(bytes(ops.STEP_BYTES))


def read_at(operation: ops.ReadAt, _: Ledger) -> Work:
    """Read bytes from an offset (`ReadAt`)."""
    with opened(operation.location, os.O_RDONLY) as file:
        if operation.version is not None:
            return _read_version(operation, file.descriptor)
        length = min(operation.length, file.length - operation.offset)
        if length <= 0:
            return b""  # which the system refuses to read where offset and length are large
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
        while rest:
            if (preserver := ledger.preserver_of(operation.location)) is not None:  # it may have come meanwhile
                preserver.writing(file.descriptor, offset, min(len(rest), ops.LONG_BYTES))
            written = os.pwrite(file.descriptor, rest[: ops.LONG_BYTES], offset)
            rest, offset = rest[written:], offset + written
            if rest:
                yield
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
                if limit is not None and len(listed) > 2 * limit + _ENTRIES:
                    del sorted_in_place(listed)[limit:]
                if not number % _ENTRIES:
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


# --- removing -------------------------------------------------------------------------------------------------------


def remove_folder(operation: ops.RemoveFolder, ledger: Ledger) -> Work:
    """Remove a folder (`RemoveFolder`)."""
    account = ledger.account_of(operation.location)
    with folder_of(operation.location) as (folder, name):
        if operation.recursive:
            yield from empty(folder, name, account, operation.location, ledger)
        os.rmdir(name, dir_fd=folder)
        account.settle(0, -1)
        if operation.synced:
            os.fsync(folder)
    return None


def empty(folder: int, name: str, account: DiskAccount, location: ops.Location, ledger: Ledger) -> Iterator[None]:
    """Remove all that is in a folder, however deep.

    A folder in a folder is first moved up beside the outermost ones. So neither the stack nor the descriptors grow with
    the depth, and there is no path back up that somebody could redirect meanwhile.
    """
    unique = os.urandom(8).hex()
    names = (f".{unique}.{number}" for number in count())
    removing = _Removing(account, location, ledger)
    outer = os.open(name, FOLDER, dir_fd=folder)
    try:
        for number, (each, is_folder) in enumerate(_listed_anew(outer), 1):
            if is_folder:
                yield from _move_up(outer, each, names, removing)
                os.rmdir(each, dir_fd=outer)
                removing.account.settle(0, -1)
            else:
                removing.unlink(outer, each)
            if not number % _ENTRIES:
                yield
    finally:
        os.close(outer)


def _move_up(outer: int, name: str, names: Iterator[str], removing: _Removing) -> Iterator[None]:
    """Remove all files in a folder, and move the folders in it to its own, under `names`."""
    inner = os.open(name, FOLDER, dir_fd=outer)
    try:
        for number, (each, is_folder) in enumerate(_listed_anew(inner), 1):
            if is_folder:
                yield from removing.below.keep()
                os.rename(each, next(names), src_dir_fd=inner, dst_dir_fd=outer)
            else:
                removing.unlink(inner, each)
            if not number % _ENTRIES:
                yield
    finally:
        os.close(inner)


class _Removing:
    """How all that is in a folder is removed."""

    def __init__(self, account: DiskAccount, location: ops.Location, ledger: Ledger) -> None:
        self.account = account
        self.below = Below(location, ledger)
        self._location = location
        self._ledger = ledger

    def unlink(self, folder: int, name: str) -> None:
        """Remove a file."""
        size = size_in(folder, name)
        if (preserver := self._ledger.preserver_of(self._location)) is not None:
            preserver.leaving(folder, name, for_good=True)
        os.unlink(name, dir_fd=folder)
        self.account.settle(-(size or 0), -1)


class Below:
    """All files in a folder that is about to lose its name, and its folders theirs."""

    def __init__(self, location: ops.Location, ledger: Ledger) -> None:
        self._location = location
        self._ledger = ledger
        self._kept: Preserver | None = None

    def keep(self) -> Iterator[None]:
        """Keep the files for the snapshot that there is, if they are not yet: it may have begun between two steps."""
        while (preserver := self._ledger.preserver_of(self._location)) not in (None, self._kept):
            assert preserver is not None
            self._kept = preserver
            try:
                yield from self._keep(preserver)
            except OSError as error:  # the snapshot's misfortune, and not the operation's
                preserver.fail(f"a folder that went away cannot be kept: {error.strerror}")

    def _keep(self, preserver: Preserver) -> Iterator[None]:
        root, parts = self._location
        folders: list[tuple[str, ...]] = [()]
        while folders:
            below = folders.pop()
            if len(below) > DEEPEST:
                return preserver.fail("a folder that went away has too many folders in each other")
            with (
                contextlib.suppress(FileNotFoundError, NotADirectoryError),
                folder_of(ops.Location(root, (*parts, *below, "."))) as (folder, _),
                os.scandir(folder) as entries,
            ):
                for number, entry in enumerate(entries, 1):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((*below, entry.name))
                    else:
                        preserver.leaving(folder, entry.name, for_good=False)
                    if not number % _ENTRIES:
                        yield
            yield


def _listed_anew(folder: int) -> Iterator[tuple[str, bool]]:
    """Yield what is in a folder, and whether each is a folder, until it is empty; the caller removes each.

    A few are read at a time: a folder that changes while it is read may hold back some, and one can be large.
    """
    for _ in range(_MOST_LISTINGS):
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in islice(entries, _LISTED_AT_ONCE)]
        if not found:
            return
        yield from found
    raise OSError(errno.EBUSY, "the folder does not get empty")


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


# --- whole files ----------------------------------------------------------------------------------------------------


def hash_file(operation: ops.Hash, _: Ledger) -> Work:
    """Hash a file (`Hash`)."""
    hasher = blake3()
    with opened(operation.location, os.O_RDONLY) as file:
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


# --- archives -------------------------------------------------------------------------------------------------------


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


# --- counting -------------------------------------------------------------------------------------------------------


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
                if not looked % _ENTRIES:
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
            if not number % _ENTRIES:
                yield
    return ops.Surveyed(sorted(names), *disk_space(location.root))


def disk_space(folder: str) -> tuple[int, int]:
    """Return the free bytes and all bytes of the disk that holds `folder`."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
