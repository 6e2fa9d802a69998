"""What a simulated disk keeps of one file: what is in it, and what a loss of power would leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kernel.contract.message import Buffer
from nectar_node.storage.operations import STEP_BYTES

_ZEROS = memoryview(bytes(STEP_BYTES))


@dataclass(slots=True)
class File:
    """A file. The zeros at its end take no memory until something is written behind them."""

    data: bytearray = field(default_factory=bytearray)
    zeros: int = 0
    """So many bytes come after `data`."""
    modified: int = 0
    synced: bytearray = field(default_factory=bytearray)
    """Its content when it was last synced."""
    synced_zeros: int = 0
    clean: int = 0
    """So many bytes of its beginning have not changed since then."""

    def __len__(self) -> int:
        return len(self.data) + self.zeros

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from an offset; fewer at the end."""
        end = min(len(self), offset + length)
        found = bytes(self.data[offset:end])
        return found + bytes(max(0, end - offset - len(found)))

    def content(self) -> bytes:
        """All of it."""
        return self.read(0, len(self))

    def blocks(self) -> Iterator[Buffer]:
        """All of it, a step at a time."""
        for start in range(0, len(self.data), STEP_BYTES):
            yield bytes(self.data[start : start + STEP_BYTES])
        for start in range(0, self.zeros, STEP_BYTES):
            yield _ZEROS[: self.zeros - start]

    def write(self, offset: int, data: Buffer) -> None:
        """Put bytes there, after zeros if it ends before."""
        if not data:
            return
        end = offset + len(data)
        self._changes(min(offset, len(self.data)))
        whole = max(len(self), end)
        if len(self.data) < offset:
            self.data.extend(bytes(offset - len(self.data)))
        self.data[offset:end] = data
        self.zeros = whole - len(self.data)

    def set_length(self, length: int) -> None:
        """Cut it off, or fill it up with zeros."""
        self._changes(min(length, len(self.data)))
        del self.data[length:]
        self.zeros = length - len(self.data)

    def _changes(self, start: int) -> None:
        """From there on it is not as it was synced."""
        self.clean = min(self.clean, start)

    def sync(self) -> None:
        """Its content is on the disk itself."""
        self.synced[self.clean :] = self.data[self.clean :]
        self.synced_zeros, self.clean = self.zeros, len(self.data)

    def lose_unsynced(self) -> None:
        """Its content is what was synced."""
        self.data[self.clean :] = self.synced[self.clean :]
        self.zeros, self.clean = self.synced_zeros, len(self.data)


def new_file(data: Buffer, modified: int) -> File:
    """One whose content is synced."""
    file = File(bytearray(data), modified=modified)
    file.sync()
    return file
