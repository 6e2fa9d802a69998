"""Reads a node's log: from its beginning, from its last lines on, and as it grows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

from nectar_node.base.log import older

_TAIL_BYTES = 64 * 1024


_READ_BYTES = 1 << 18


@dataclass(slots=True)
class Follower:
    """Reads the lines of a growing log.

    After a rotation it first reads the rest of the file that was put aside. It begins again if the file is replaced by
    a shorter one.
    """

    path: Path
    offset: int = 0
    """Where the next read begins, in bytes."""
    file: int | None = None
    """Inode of the file that the offset is in; None: whichever is there."""
    _partial: bytearray = field(default_factory=bytearray)

    def lines(self) -> Iterator[str]:
        """Return the complete lines that were written since the last call."""
        try:
            with self.path.open("rb") as current:
                if self.file not in (None, os.fstat(current.fileno()).st_ino):
                    yield from self._rest_of_older()
                    self.offset = 0
                yield from self._read(current)
        except FileNotFoundError:
            self.offset = 0

    def _rest_of_older(self) -> Iterator[str]:
        """Return what was written to the log before it was put aside; nothing if it has been replaced since."""
        with suppress(FileNotFoundError), older(self.path).open("rb") as file:
            if os.fstat(file.fileno()).st_ino == self.file:
                yield from self._read(file)

    def _read(self, file: BufferedReader) -> Iterator[str]:
        status = os.fstat(file.fileno())
        self.file = status.st_ino
        if status.st_size < self.offset:
            self.offset = 0
        file.seek(self.offset)
        while data := file.read(_READ_BYTES):
            self.offset += len(data)
            yield from self._split(data)

    def rest(self) -> Iterator[str]:
        """Return the last line, if its end has not been written."""
        if self._partial:
            yield self._partial.decode(errors="replace")
            self._partial.clear()

    def _split(self, data: bytes) -> Iterator[str]:
        self._partial += data
        *complete, partial = self._partial.split(b"\n")
        self._partial = bytearray(partial)
        for line in complete:
            yield line.decode(errors="replace")


def everything(log: Path) -> Follower:
    """Return a reader that begins at a log's oldest line."""
    try:
        return Follower(log, file=older(log).stat().st_ino)
    except FileNotFoundError:
        return Follower(log)


def tail(log: Path, lines: int) -> Follower:
    """Return a reader that begins at a log's last `lines` lines."""
    offset = tail_offset(log, lines)
    if offset or not lines or not older(log).exists():
        return Follower(log, offset)
    here = sum(1 for _ in Follower(log).lines())
    if here >= lines:
        return Follower(log)
    return Follower(log, tail_offset(older(log), lines - here), older(log).stat().st_ino)


def tail_offset(path: Path, lines: int) -> int:
    """Return where in `path` its last `lines` lines begin, in bytes."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        if lines == 0 or position == 0:
            return position
        file.seek(position - 1)
        wanted = lines if file.read(1) == b"\n" else lines - 1
        while position > 0:
            step = min(_READ_BYTES, position)
            position -= step
            file.seek(position)
            block = file.read(step)
            end = len(block)
            while (end := block.rfind(b"\n", 0, end)) >= 0:
                # The line end of the last line closes it; every one before it opens another.
                if wanted == 0:
                    return position + end + 1
                wanted -= 1
    return 0


def last_line(path: Path) -> str:
    """Return the last line of `path` that is not empty, or "" if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read(_TAIL_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
