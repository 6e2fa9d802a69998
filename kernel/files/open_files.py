"""The files that one guest has open, by their numbers, as Wasmtime's WASI preview 1 has them.

A descriptor has its own position in the file. What can be done with it is what the operating system would let happen: a
file that was made or cut off when it was opened can be written, whatever rights were asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kernel.contract.drive import Drive, DriveError, Errno, FileKind
from kernel.files.paths import parent, walk

CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = 1, 2, 4, 8
"""WASI's `oflags`."""
APPEND, DSYNC, NONBLOCK, RSYNC, SYNC = 1, 2, 4, 8, 16
"""WASI's `fdflags`."""
FD_READ, FD_SEEK, FD_WRITE, FD_READDIR = 1 << 1, 1 << 2, 1 << 6, 1 << 14
PATH_SET_SIZE, FD_SET_SIZE = 1 << 19, 1 << 22
ALL_RIGHTS = (1 << 30) - 1
"""WASI's `rights`."""
DRIVE_RIGHTS, DRIVE_INHERITS = 0x07B7FE00, 0x0FF7FFFF
"""What Wasmtime says of a folder that was there from the start."""
DRIVE = 3
"""The descriptor of the drive, if there is one."""
DRIVE_NAME = b"/"
MAX_OFFSET = (1 << 63) - 1
"""The last place in a file that can be asked for."""
MAX_FILE_BYTES = (1 << 44) - 4096
"""The longest file (that of ext4 with blocks of 4 KiB)."""
MAX_POSITIONED_READ = 1 << 16
"""Bytes that one fd_pread of Wasmtime's gives."""


@dataclass(slots=True)
class StandardStream:
    """Standard input, which is at its end, output or error."""

    is_input: bool


@dataclass(slots=True)
class OpenFolder:
    """An open folder."""

    node: Any
    is_drive: bool = False


@dataclass(slots=True)
class OpenFile:
    """An open file."""

    node: Any
    reads: bool
    writes: bool
    flags: int
    """APPEND and NONBLOCK, or not."""
    position: int = 0


Descriptor: TypeAlias = StandardStream | OpenFolder | OpenFile


@dataclass(slots=True)
class OpenFiles:
    """What one guest has open; every method raises DriveError."""

    drive: Drive | None
    used: dict[int, Descriptor] = field(init=False)
    _free: set[int] = field(default_factory=set)
    """Numbers that were used before."""

    def __post_init__(self) -> None:
        self.used = {0: StandardStream(True), 1: StandardStream(False), 2: StandardStream(False)}
        if self.drive is not None:
            self.used[DRIVE] = OpenFolder(self.drive.root(), is_drive=True)

    @property
    def tree(self) -> Drive:
        """The drive, for whoever has a file or folder of it open."""
        assert self.drive is not None, "there is no file without a drive"
        return self.drive

    def get(self, fd: int) -> Descriptor:
        """Return what has that number."""
        found = self.used.get(fd)
        if found is None:
            raise DriveError(Errno.BADF)
        return found

    def file(self, fd: int) -> OpenFile:
        """Return the file that has that number."""
        found = self.used.get(fd)
        if type(found) is not OpenFile:
            raise DriveError(Errno.BADF)
        return found

    def folder(self, fd: int) -> Any:
        """Return the node of the folder that has that number."""
        found = self.used.get(fd)
        if type(found) is not OpenFolder:
            raise DriveError(Errno.BADF)
        return found.node

    def node(self, fd: int) -> Any:
        """Return the node of the file or folder that has that number."""
        found = self.get(fd)
        if isinstance(found, StandardStream):
            raise DriveError(Errno.BADF)
        return found.node

    def seekable(self, fd: int) -> OpenFile:
        """Return the file that has that number, and refuse a stream as one that has no position."""
        found = self.get(fd)
        if type(found) is StandardStream:
            raise DriveError(Errno.SPIPE)
        return self.file(fd)

    def close(self, fd: int) -> None:
        """Close what has that number."""
        self.get(fd)
        del self.used[fd]
        self._free.add(fd)

    def renumber(self, fd: int, to: int) -> None:
        """Give what is open the number of something else that is open, which is closed."""
        found = self.get(fd)
        self.get(to)
        if fd != to:
            del self.used[fd]
            self._free.add(fd)
            self.used[to] = found

    def _add(self, opened: Descriptor) -> int:
        if self._free:
            fd = max(self._free)
            self._free.discard(fd)
        else:
            fd = max(self.used, default=-1) + 1
        self.used[fd] = opened
        return fd

    def open_drive(self) -> int:
        """Open the drive's own folder once more, and return its number."""
        return self._add(OpenFolder(self.tree.root(), is_drive=True))

    # --- opening ------------------------------------------------------------------------------------------------------

    def open(self, fd: int, follow: bool, path: str, oflags: int, rights: int, fdflags: int) -> int:
        """Open what a path from an open folder names, and return its number."""
        start = self.get(fd)
        if type(start) is not OpenFolder:
            raise DriveError(Errno.NOTDIR if type(start) is OpenFile else Errno.BADF)
        if fdflags & (SYNC | DSYNC | RSYNC):
            raise DriveError(Errno.NOTSUP)
        if oflags & DIRECTORY and oflags & (CREATE | EXCLUSIVE | TRUNCATE):
            raise DriveError(Errno.INVAL)
        writes = bool(oflags & (CREATE | TRUNCATE) or rights & FD_WRITE)
        reads = bool(rights & FD_READ or not rights & FD_WRITE)
        node = self._opened(start.node, follow, path, oflags, writes)
        if node.kind is FileKind.FOLDER:
            return self._add(OpenFolder(node))
        if oflags & DIRECTORY:
            raise DriveError(Errno.NOTDIR)
        return self._add(OpenFile(node, reads, writes, fdflags & (APPEND | NONBLOCK)))

    def _opened(self, start: Any, follow: bool, path: str, oflags: int, writes: bool) -> Any:
        """Return the node that an opening finds or makes (openat2)."""
        drive = self.tree
        creates = bool(oflags & CREATE)
        exclusive = creates and bool(oflags & EXCLUSIVE)
        place = walk(drive, start, path, follow=follow and not exclusive, creates=creates)
        node = place.node
        if node is None:
            if not creates or drive.is_gone(place.folder):
                raise DriveError(Errno.NOENT)
            return drive.make(place.folder, place.name, FileKind.FILE)
        if exclusive:
            raise DriveError(Errno.EXIST)
        if node.kind is FileKind.LINK:
            raise DriveError(Errno.LOOP)
        if node.kind is FileKind.FOLDER:
            if writes:
                raise DriveError(Errno.ISDIR)
        elif place.slash:
            raise DriveError(Errno.NOTDIR)
        elif oflags & TRUNCATE:
            drive.set_length(node, 0)
        return node

    # --- reading and writing ------------------------------------------------------------------------------------------

    def read_at(self, file: OpenFile, offset: int, length: int) -> bytes:
        """Return bytes of a file (pread)."""
        _check_span(offset, length, file.reads)
        return self.tree.read(file.node, offset, length) if length else b""

    def write_at(self, file: OpenFile, offset: int, data: memoryview) -> int:
        """Write into a file, or at its end if it was opened so; return how many bytes were written (pwrite)."""
        drive = self.tree
        if file.flags & APPEND:
            offset = drive.length(file.node)
        _check_span(offset, len(data), file.writes)
        if not data:
            return 0
        if offset >= MAX_FILE_BYTES:
            raise DriveError(Errno.FBIG)
        data = data[: MAX_FILE_BYTES - offset]
        drive.write(file.node, offset, data)
        return len(data)

    def write(self, file: OpenFile, data: memoryview) -> int:
        """Write at a file's position and move that; return how many bytes were written."""
        count = self.write_at(file, file.position, data)
        if file.flags & APPEND:
            file.position = self.tree.length(file.node)
        else:
            file.position += count
        return count

    def seek(self, fd: int, offset: int, whence: int) -> int:
        """Move a file's position, and return it: `whence` is 0 for the start, 1 for the position, 2 for the end."""
        file = self.seekable(fd)
        base = (0, file.position, self.tree.length(file.node) if whence == 2 else 0)[whence]
        if not 0 <= base + offset < 1 << 64:
            raise DriveError(Errno.INVAL)
        file.position = base + offset
        return file.position

    def set_length(self, file: OpenFile, length: int) -> None:
        """Cut a file off or fill it up (ftruncate)."""
        if length > MAX_OFFSET or not file.writes:
            raise DriveError(Errno.INVAL)
        if length > MAX_FILE_BYTES:
            raise DriveError(Errno.FBIG)
        self.tree.set_length(file.node, length)

    def set_flags(self, fd: int, flags: int) -> None:
        """Change the flags of an open file."""
        file = self.file(fd)
        if flags & (DSYNC | SYNC | RSYNC):
            raise DriveError(Errno.INVAL)
        file.flags = flags

    # --- looking ------------------------------------------------------------------------------------------------------

    def link_target(self, fd: int, path: str) -> bytes:
        """Return where a link leads (readlinkat)."""
        start, drive = self.folder(fd), self.tree
        folder, name = parent(drive, start, path)
        if name == ".":
            raise DriveError(Errno.INVAL)
        node = walk(drive, folder, name, follow=False).node
        if node is None:
            raise DriveError(Errno.NOENT)
        if node.kind is not FileKind.LINK:
            raise DriveError(Errno.INVAL)
        return drive.target(node).encode()

    def status(self, fd: int) -> tuple[int, int, int, int]:
        """Return type, flags, rights and inherited rights (`fdstat`)."""
        match self.get(fd):
            case StandardStream(is_input):
                rights = FD_READ if is_input else FD_WRITE
                return 0, 0, rights, rights
            case OpenFolder(_, True):
                return FileKind.FOLDER, 0, DRIVE_RIGHTS, DRIVE_INHERITS
            case OpenFolder():
                rights = ALL_RIGHTS & ~(FD_SEEK | FD_WRITE | PATH_SET_SIZE | FD_SET_SIZE)
                return FileKind.FOLDER, 0, rights, rights
            case OpenFile(_, reads, writes, flags):
                rights = ALL_RIGHTS
                if not reads:
                    rights &= ~(FD_READ | FD_READDIR)
                if not writes:
                    rights &= ~FD_WRITE
                return FileKind.FILE, flags, rights, rights
        raise AssertionError("there is no other kind of descriptor")


def _check_span(offset: int, length: int, allowed: bool) -> None:
    """Check where in a file something is to be read or written, and whether that is allowed, as Linux does."""
    if offset > MAX_OFFSET:
        raise DriveError(Errno.INVAL)
    if not allowed:
        raise DriveError(Errno.BADF)
    if length and offset + length > MAX_OFFSET:
        raise DriveError(Errno.INVAL)
