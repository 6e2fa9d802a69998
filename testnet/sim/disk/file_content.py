"""One file of a simulated disk: its content, and what a power cut would leave of it; or a link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from kernel.contract.drive import FileKind
from kernel.contract.message import Buffer
from nectar_node.storage.operations import STEP_BYTES

_ZEROS = memoryview(bytes(STEP_BYTES))
_inodes = count(1)


@dataclass(slots=True, eq=False)
class File:
    """A file. The zeros at its end take no memory until something is written after them."""

    data: bytes | bytearray = b""
    """Bytes that other files may share, until something is written: of an interpreter there are twenty megabytes."""
    zeros: int = 0
    """The number of zero bytes after `data`."""
    modified: int = 0
    clean: int = 0
    """The length of the beginning that has not changed since the last sync."""
    lost: list[bytes] = field(default_factory=list)
    """What the last sync had behind that, in pieces, the last one first: nothing while only the end is written."""
    synced_zeros: int = 0
    """The zeros behind that."""
    cut: int | None = None
    """The smallest length to which it was cut off since the last sync; None: it was not."""
    inode: int = field(default_factory=_inodes.__next__)
    """Tells it apart from every other file of the process; guests are shown `number`."""
    target: str | None = None
    """Where it leads, if it is no file but a link."""
    number: int = 0
    """The inode that guests see; 0: nobody has asked for it yet."""
    version: int = 0
    """Differs from that of each other content; 0: nobody has asked for it yet."""
    accessed: int | None = None
    """As a guest has set it; None: like `modified`."""
    mode: int = 0o600
    """Its permissions."""

    @property
    def kind(self) -> FileKind:
        """Whether it is a file or a link."""
        return FileKind.FILE if self.target is None else FileKind.LINK

    def __len__(self) -> int:
        return len(self.data) + self.zeros

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset` on; fewer at the end."""
        end = min(len(self), offset + length)
        found = bytes(self.data[offset:end])
        return found + bytes(max(0, end - offset - len(found)))

    def content(self) -> bytes:
        """Return the whole content."""
        return self.read(0, len(self))

    def blocks(self) -> Iterator[Buffer]:
        """Yield the whole content, block by block."""
        for start in range(0, len(self.data), STEP_BYTES):
            yield bytes(self.data[start : start + STEP_BYTES])
        for start in range(0, self.zeros, STEP_BYTES):
            yield _ZEROS[: self.zeros - start]

    def write(self, offset: int, data: Buffer) -> None:
        """Write bytes at `offset`; a gap is filled with zeros."""
        if not data:
            return
        end = offset + len(data)
        own = self._changes(min(offset, len(self.data)))
        whole = max(len(self), end)
        if len(own) < offset:
            own.extend(bytes(offset - len(own)))
        own[offset:end] = data
        self.zeros = whole - len(self.data)

    def set_length(self, length: int) -> None:
        """Truncate the file, or fill it up with zeros."""
        if length < len(self):
            self.cut = length if self.cut is None else min(self.cut, length)
        del self._changes(min(length, len(self.data)))[length:]
        self.zeros = length - len(self.data)

    def _changes(self, start: int) -> bytearray:
        """Note that the content differs from the synced one from `start` on; return it, to be changed."""
        self.version = 0
        if start < self.clean:
            self.lost.append(bytes(self.data[start : self.clean]))
            self.clean = start
        if not isinstance(self.data, bytearray):
            self.data = bytearray(self.data)
        return self.data

    def sync(self) -> None:
        """Make the content durable."""
        self.lost.clear()
        self.synced_zeros, self.clean, self.cut = self.zeros, len(self.data), None

    def lose_unsynced(self) -> None:
        """Go back to the content of the last sync."""
        self._changes(self.clean)[self.clean :] = b"".join(reversed(self.lost))
        self.zeros = self.synced_zeros
        self.sync()


def new_file(data: Buffer, modified: int) -> File:
    """Return a file whose content is synced."""
    content = bytes(data)
    return File(content, modified=modified, clean=len(content))
