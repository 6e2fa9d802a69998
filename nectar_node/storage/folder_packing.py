"""Folders of the real disk as one file (`nectar_node.packing`), in steps: looked at, read, hashed, and made again.

Whoever reads a piece says of which version the folder is to be. What was looked at is kept for a while, with the hash
of what has been read in order: so a transfer looks once and reads each file once.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import NamedTuple

from blake3 import blake3

from nectar_node.packing import packed_folder as packing
from nectar_node.packing.packed_folder import BadPackedFolder, PackedEntry, PackedFolder, PackedKind, PackedPiece
from nectar_node.storage import operations as ops
from nectar_node.storage import steps
from nectar_node.storage.archive import BadArchive
from nectar_node.storage.folder_copies import (
    MAX_SYNCS,
    below_of,
    check_absent,
    clear,
    staging,
    staging_name,
    sync_file_system,
)
from nectar_node.storage.ledger import Ledger
from nectar_node.storage.names import why_refused
from nectar_node.storage.opened import FILE, FOLDER, Opened, folder_of, opened
from nectar_node.storage.removing import Below
from nectar_node.storage.steps import Work
from nectar_node.storage.whole_files import write_on

MAX_KEPT = 16
"""Folders that were looked at and are remembered."""
MAX_KEPT_ENTRIES = 2 * packing.MAX_ENTRIES
"""Entries of all of them together, but for the last: 100,000 take some 50 MiB."""


class _Looked:
    """A folder that was looked at."""

    def __init__(self, packed: PackedFolder, left_out: str) -> None:
        self.packed = packed
        self.left_out = left_out
        self.hasher = blake3()
        self.hashed = 0
        """Bytes that have been hashed, from the beginning on."""
        self.lock = threading.Lock()

    def read(self, offset: int, data: bytearray) -> None:
        """Hash what has been read, if it is what comes next."""
        with self.lock:
            if offset == self.hashed:
                self.hasher.update(data)
                self.hashed += len(data)


class _Kept:
    """The last folders that were looked at. Thread-safe."""

    def __init__(self) -> None:
        self._looked: OrderedDict[tuple[ops.Location, int], _Looked] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, location: ops.Location, looked: _Looked) -> None:
        """Keep one, anew."""
        with self._lock:
            self._looked.pop((location, looked.packed.version), None)
            self._looked[location, looked.packed.version] = looked
            sizes = [len(each.packed.entries) for each in self._looked.values()]
            while len(sizes) > 1 and (len(sizes) > MAX_KEPT or sum(sizes) > MAX_KEPT_ENTRIES):
                self._looked.popitem(last=False)
                del sizes[0]

    def get(self, location: ops.Location, version: int) -> _Looked | None:
        """Return one, if it is there."""
        with self._lock:
            return self._looked.get((location, version))


_kept = _Kept()


class _Found(NamedTuple):
    path: str
    status: os.stat_result
    target: str = ""


def stat_packed(operation: ops.StatPacked, _: Ledger) -> Work:
    """Look at a folder (`StatPacked`)."""
    looked = yield from _look(operation.location)
    packed = looked.packed
    return ops.PackedStat(packed.length, packed.version, len(packed.entries), len(packed.files), looked.left_out)


def _look(location: ops.Location) -> Generator[None, None, _Looked]:
    left_out, entries = packing.LeftOutOfFolder(), list[PackedEntry]()
    with folder_of(location) as (outer, name):
        root = os.open(name, FOLDER, dir_fd=outer)
    try:
        found = [_Found("", os.fstat(root))]
        while found:
            path, status, target = found.pop()
            entries.append(_entry(path, status, target))
            if not len(entries) % steps.ENTRIES:
                yield
            if stat.S_ISDIR(status.st_mode):
                inside = _inside(root, path, left_out, packing.MAX_ENTRIES - len(entries) - len(found))
                found += sorted(inside, reverse=True)
    finally:
        os.close(root)
    looked = _Looked(packing.pack(entries), left_out.sentence())
    _kept.put(location, looked)
    return looked


def _entry(path: str, status: os.stat_result, target: str) -> PackedEntry:
    kind = PackedKind.FOLDER if stat.S_ISDIR(status.st_mode) else PackedKind.LINK if target else PackedKind.FILE
    return PackedEntry(path, kind, status.st_mode, status.st_mtime_ns, status.st_size, target)


def _inside(root: int, path: str, left_out: packing.LeftOutOfFolder, room: int) -> list[_Found]:
    """Return what is in a folder of `root`; raises BadPackedFolder for more than `room`, or for what cannot be sent."""
    inside = list[_Found]()
    with below_of(root, tuple(path.split("/")) if path else ()) as descriptor, os.scandir(descriptor) as entries:
        for entry in entries:
            below = f"{path}/{entry.name}" if path else entry.name
            status = entry.stat(follow_symlinks=False)
            if (why := why_refused(entry.name)) is not None:
                raise BadPackedFolder(f"a file in it, {packing.shown(below)}, has a name that cannot be sent: it {why}")
            target = os.readlink(entry.name, dir_fd=descriptor) if stat.S_ISLNK(status.st_mode) else ""
            if target:
                if packing.leads_out(below, target) or not target.isprintable():
                    left_out.add(below, packing.LINKS_OUT)
                    continue
            elif not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                left_out.add(below, packing.SPECIAL)
                continue
            if below.count("/") >= packing.MAX_DEPTH:
                raise BadPackedFolder(
                    f"a file in it, {packing.shown(below)}, lies in more than {packing.MAX_DEPTH} folders"
                )
            if len(inside) >= room:
                raise BadPackedFolder(packing.too_many())
            inside.append(_Found(below, status, target))
    return inside


def _looked_at(location: ops.Location, version: int) -> Generator[None, None, _Looked]:
    looked = _kept.get(location, version)
    if looked is None:
        looked = yield from _look(location)
        if looked.packed.version != version:
            raise BadPackedFolder("something in it has changed meanwhile")
    return looked


def read_packed(operation: ops.ReadPacked, _: Ledger) -> Work:
    """Read a piece of a folder (`ReadPacked`)."""
    looked = yield from _looked_at(operation.location, operation.version)
    length = max(0, min(operation.length, looked.packed.length - operation.offset))
    data = bytearray(length)
    yield from _fill(data, operation.location, looked.packed, operation.offset)
    looked.read(operation.offset, data)
    end = operation.offset + length
    return ops.PackedBytes(data, end, looked.packed.whole_files(end))


def hash_packed(operation: ops.HashPacked, _: Ledger) -> Work:
    """Hash a folder (`HashPacked`); what has been read from it in order is hashed already."""
    looked = yield from _looked_at(operation.location, operation.version)
    while (hashed := looked.hashed) < looked.packed.length:
        data = bytearray(min(ops.STEP_BYTES, looked.packed.length - hashed))
        yield from _fill(data, operation.location, looked.packed, hashed)
        looked.read(hashed, data)
        yield
    return looked.hasher.digest()


def _fill(data: bytearray, location: ops.Location, packed: PackedFolder, offset: int) -> Iterator[None]:
    """Read the bytes from `offset` on into `data`; raises BadPackedFolder if a file is not what it was."""
    view, done, above = memoryview(data), 0, _Above()
    with folder_of(location) as (outer, name):
        root = os.open(name, FOLDER, dir_fd=outer)
    try:
        for number, piece in enumerate(packed.pieces(offset, len(data)), 1):
            part = view[done : done + piece.length]
            done += piece.length
            if piece.entry is None:
                part[:] = packed.head[piece.offset : piece.offset + piece.length]
            else:
                folder, _, name = piece.entry.path.rpartition("/")
                _read_file(above.open(root, folder), name, piece.entry, piece, part)
            if not number % steps.ENTRIES:
                yield
    finally:
        above.close()
        os.close(root)


class _Above:
    """The folder in which the last file was: those that come next are mostly in it, too."""

    def __init__(self) -> None:
        self._path: str | None = None
        self._stack = ExitStack()

    def open(self, root: int, path: str, *more: str) -> int:
        """Return the descriptor of a folder below `root`, which is valid until the next call."""
        if path != self._path:
            self.close()
            self._descriptor = self._stack.enter_context(below_of(root, (*more, *path.split("/")) if path else more))
            self._path = path
        return self._descriptor

    def close(self) -> None:
        """Close what is open."""
        self._path = None
        self._stack.close()


def _read_file(folder: int, name: str, entry: PackedEntry, piece: PackedPiece, into: memoryview) -> None:
    try:
        descriptor = os.open(name, os.O_RDONLY | FILE, dir_fd=folder)
    except OSError as error:
        raise BadPackedFolder(f"{packing.shown(entry.path)} in it cannot be read: {error.strerror}") from error
    try:
        done = 0
        while done < piece.length and (more := os.preadv(descriptor, [into[done:]], piece.offset + done)):
            done += more
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if done < piece.length or (status.st_size, packing.kept_time(status.st_mtime_ns)) != (entry.size, entry.modified):
        raise BadPackedFolder(f"{packing.shown(entry.path)} in it has changed meanwhile")


# --- unpacking --------------------------------------------------------------------------------------------------------


def unpack_folder(operation: ops.UnpackFolder, ledger: Ledger) -> Work:
    """Make a folder of a packed one (`UnpackFolder`)."""
    target = operation.target
    with opened(operation.location, os.O_RDONLY) as file:
        packed = yield from _packed_untrusted(file, operation)
        with folder_of(target) as (outer, name):
            check_absent(outer, name)
            staged = staging_name(name)
            place = ops.Location(target.root, (*target.parts[:-1], staged))
            yield from clear(outer, place, ledger)
            with staging(outer, place, ledger, ops.Usage(packed.content_bytes, len(packed.entries))):
                yield from _Unpacking(packed, file.descriptor, outer, place, ledger).run()
                if len(packed.entries) > MAX_SYNCS:
                    sync_file_system(outer)
                    yield
                yield from Below(place, ledger).keep()
                check_absent(outer, name)
                os.rename(staged, name, src_dir_fd=outer, dst_dir_fd=outer)
            os.fsync(outer)
    return None


def _packed_untrusted(file: Opened, operation: ops.UnpackFolder) -> Generator[None, None, PackedFolder]:
    """Return what is in a packed folder; raises BadArchive."""
    try:
        frame = os.pread(file.descriptor, packing.FRAME_BYTES, 0)
        head = os.pread(file.descriptor, packing.head_bytes_untrusted(frame), 0)
        packed = yield from packing.decoding_untrusted(head, why_refused)
    except BadPackedFolder as error:
        raise BadArchive(f"is refused: {error.strerror}") from error
    if packed.length != file.length:
        raise BadArchive(f"is refused: it is {file.length} bytes long, and not {packed.length}")
    if len(packed.entries) > operation.entries:
        raise BadArchive(f"is refused: it has more than the {operation.entries} files and folders that it was to have")
    deepest = max(entry.path.count("/") for entry in packed.entries) + 1
    if deepest + len(operation.target.parts) > ops.MAX_DEPTH:
        raise BadArchive(f"is refused: it would be more than {ops.MAX_DEPTH} folders deep")
    return packed


class _Unpacking:
    """All files and folders of one packed folder, made in an empty one."""

    def __init__(self, packed: PackedFolder, source: int, outer: int, place: ops.Location, ledger: Ledger) -> None:
        self._packed = packed
        self._source = source
        self._outer = outer
        self._place = place
        self._ledger = ledger
        self._above = _Above()
        self._synced = len(packed.entries) <= MAX_SYNCS
        self._position = len(packed.head)
        self._buffer = memoryview(bytearray(ops.STEP_BYTES))
        self._ahead = self._buffer[:0]
        """What has been read and not written."""

    def run(self) -> Iterator[None]:
        """Make them."""
        root, entries = self._place.parts[-1], self._packed.entries
        try:
            for number, entry in enumerate(entries[1:], 1):
                folder, _, name = entry.path.rpartition("/")
                above = self._above.open(self._outer, folder, root)
                if entry.kind is PackedKind.FOLDER:
                    os.mkdir(name, 0o700, dir_fd=above)
                elif entry.kind is PackedKind.LINK:
                    os.symlink(entry.target, name, dir_fd=above)
                    os.utime(name, ns=(entry.modified, entry.modified), dir_fd=above, follow_symlinks=False)
                else:
                    yield from self._file(above, name, entry)
                if not number % steps.ENTRIES:
                    yield
            self._above.close()
            # Last, and from within: what is made in a folder changes its time, and may need a right to it.
            for number, entry in enumerate(reversed(entries), 1):
                if entry.kind is PackedKind.FOLDER:
                    self._stamp_folder(entry)
                if not number % steps.ENTRIES:
                    yield
        finally:
            self._above.close()

    def _stamp_folder(self, entry: PackedEntry) -> None:
        parts = tuple(entry.path.split("/")) if entry.path else ()
        with below_of(self._outer, (self._place.parts[-1], *parts)) as folder:
            os.fchmod(folder, entry.mode)
            os.utime(folder, ns=(entry.modified, entry.modified))
            if self._synced:
                os.fsync(folder)

    def _file(self, above: int, name: str, entry: PackedEntry) -> Iterator[None]:
        # A file of that name is there already if the file system takes two names for one: it stays as it is.
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE, 0o600, dir_fd=above)
        try:
            if (preserver := self._ledger.preserver_of(self._place)) is not None:
                preserver.made(descriptor)
            left = entry.size
            while left:
                if not self._ahead:
                    self._read_on()
                    yield
                piece = self._ahead[:left]
                write_on(descriptor, piece, self._place, self._ledger)
                self._ahead = self._ahead[len(piece) :]
                left -= len(piece)
            if entry.mode != 0o600:
                os.fchmod(descriptor, entry.mode)
            os.utime(descriptor, ns=(entry.modified, entry.modified))
            if self._synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _read_on(self) -> None:
        count = os.preadv(self._source, [self._buffer], self._position)
        if not count:
            raise BadArchive("is refused: it is cut off")
        self._position += count
        self._ahead = self._buffer[:count]
