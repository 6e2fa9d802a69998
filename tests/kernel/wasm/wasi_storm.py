"""Calls of WASI preview 1 from a seed: what guests do with files, and what no honest one does."""

from __future__ import annotations

import random
from typing import Any

from tests.kernel.wasm.both_drives import TRAP, Both
from tests.kernel.wasm.caller import (
    APPEND,
    ATIM,
    ATIM_NOW,
    BUFFER,
    CREAT,
    CUR,
    DIRECTORY,
    DRIVE,
    END,
    EXCL,
    FOLLOW,
    FUNCTIONS,
    MTIM,
    MTIM_NOW,
    NONBLOCK,
    READ,
    RESULT,
    SET,
    SYNC,
    TRUNC,
    VECTORS,
    WRITE,
    At,
)

_NAMES = ("a", "b", "c", "d", "e")
_ODD_NAMES = (".", "..", "n" * 255, "n" * 256, "é", "a\0b", "", ".hidden", "a b")
_ODD_PATHS = (
    b"",
    b"/",
    b"//",
    b"a\xff",
    b"\xc3",
    b"./" * 2048 + b"a",
    b"d/" * 2047 + b"a",
    b"/etc/passwd",
    b"..",
    b"../..",
)
_OFFSETS = (0, 1, 5, 100, 4096, 65536, 1 << 20)
_BAD_OFFSETS = ((1 << 63), (1 << 64) - 1, (1 << 63) - 1)
_SIZES = (0, 1, 3, 17, 200, 4096, 32768)
_OFLAGS = (0, 0, CREAT, CREAT, CREAT, CREAT | EXCL, TRUNC, CREAT | TRUNC, DIRECTORY, DIRECTORY | CREAT, EXCL, 15)
_RIGHTS = (0, READ, WRITE, READ | WRITE, READ | WRITE, READ | WRITE, (1 << 30) - 1)
_FDFLAGS = (0, 0, 0, 0, APPEND, NONBLOCK, SYNC)
_ADDRESSES = (0, 1, 8, (1 << 24) - 1, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 8, (1 << 32) - 1)
_COUNTS = (0, 1, 2, 7, 1 << 16, 1 << 24, 1 << 28, 1 << 31, (1 << 32) - 1)
_NOT_WILD = ("fd_filestat_set_size", "fd_seek", "fd_pwrite")
"""Wild numbers for them make files that no simulation holds in memory."""
_COUNT_OF_PARAMS = (4, 3, 1, 1, 2, 2, 3, 2, 2, 4, 5, 2, 3, 5, 4, 5, 2, 4, 1, 2, 4, 3, 5, 7, 7, 9, 6, 3, 6, 5, 3)
PARAMS = dict(zip(FUNCTIONS, _COUNT_OF_PARAMS, strict=True))


class Storm:
    """Calls on two drives at once."""

    def __init__(self, seed: int, both: Both) -> None:
        self._chance = random.Random(seed)
        self._both = both
        self._opened = [DRIVE]

    def blow(self, calls: int) -> None:
        """Make so many calls; raises AssertionError at the first one that differs."""
        steps = [self._open] * 8 + [self._read, self._write] * 4 + [self._seek, self._name, self._name, self._look] * 3
        steps += [
            self._rename,
            self._rename,
            self._rename,
            self._file,
            self._file,
            self._folder,
            self._close,
            self._times,
        ]
        steps += [self._wild, self._renumber]
        for _ in range(calls):
            if self._chance.choice(steps)() == TRAP:
                self._opened = [DRIVE]

    # --- what is drawn ------------------------------------------------------------------------------------------------

    def _fd(self) -> int:
        chance = self._chance
        return chance.randrange(12) if chance.random() < 0.1 else chance.choice(self._opened)

    def _at(self) -> int:
        return DRIVE if self._chance.random() < 0.6 else self._fd()

    def _path(self) -> bytes:
        chance = self._chance
        if chance.random() < 0.03:
            return chance.choice(_ODD_PATHS)
        depth = chance.choice((1, 1, 1, 2, 2, 3, 4))
        names = [chance.choice(_ODD_NAMES if chance.random() < 0.08 else _NAMES) for _ in range(depth)]
        slashes = chance.choice(("/", "/", "/", "//", "/./"))
        return (slashes.join(names) + chance.choice(("", "", "", "", "", "/", "//", "/.", "/.."))).encode()

    def _offset(self) -> int:
        return self._chance.choice(_BAD_OFFSETS if self._chance.random() < 0.05 else _OFFSETS)

    def _data(self) -> bytes:
        return self._chance.randbytes(self._chance.choice(_SIZES))

    def _lookup(self) -> int:
        return self._chance.choice((0, FOLLOW))

    # --- calls --------------------------------------------------------------------------------------------------------

    def _open(self) -> Any:
        chance = self._chance
        drawn = chance.choice(_OFLAGS), chance.choice(_RIGHTS), chance.choice(_FDFLAGS), self._lookup(), self._at()
        outcome = self._both.open(self._path(), *drawn)
        if outcome != TRAP and not outcome[0]:
            self._opened.append(outcome[1])
            del self._opened[:-12]
        return outcome

    def _read(self) -> Any:
        sizes = [self._chance.choice(_SIZES) for _ in range(self._chance.choice((0, 1, 1, 2)))]
        offset = self._offset() if self._chance.random() < 0.5 else None
        return self._both.read(self._fd(), *sizes, offset=offset)

    def _write(self) -> Any:
        offset = self._offset() if self._chance.random() < 0.4 else None
        data = [self._data() for _ in range(self._chance.choice((0, 1, 1, 2)))]
        return self._both.write(max(3, self._fd()), *data[:1], offset=offset)

    def _seek(self) -> Any:
        chance = self._chance
        if chance.random() < 0.3:
            return self._both.tell(self._fd())
        offset = chance.choice((0, 1, -1, 7, -1000, 5000, 1 << 20, -(1 << 62), -(1 << 63)))
        return self._both.seek(self._fd(), offset, chance.choice((SET, CUR, END, END)))

    def _name(self) -> Any:
        step = self._chance.choice(("mkdir", "mkdir", "rmdir", "unlink", "link", "symlink"))
        if step in ("mkdir", "rmdir", "unlink"):
            return getattr(self._both, step)(self._path(), self._at())
        if step == "link":
            return self._both.link(self._path(), self._path(), int(self._chance.random() < 0.1), self._at(), self._at())
        return self._both.symlink(self._path(), self._path(), self._at())

    def _rename(self) -> Any:
        return self._both.rename(self._path(), self._path(), self._at(), self._at())

    def _look(self) -> Any:
        if self._chance.random() < 0.3:
            return self._both.readlink(self._path(), self._chance.choice((0, 1, 256)), self._at())
        return self._both.stat_at(self._path(), self._lookup(), self._at())

    def _file(self) -> Any:
        chance, both, fd = self._chance, self._both, self._fd()
        match chance.randrange(6):
            case 0:
                return both.stat(fd)
            case 1:
                return both.flags(fd)
            case 2:
                return both.simple("fd_filestat_set_size", fd, self._offset())
            case 3:
                return both.simple("fd_fdstat_set_flags", fd, chance.choice((0, APPEND, APPEND, 0, 2)))
            case 4:
                return both.simple(chance.choice(("fd_sync", "fd_datasync")), fd)
        return both.simple("fd_advise", fd, self._offset(), chance.choice((0, 1, 1 << 63)), chance.randrange(6))

    def _folder(self) -> Any:
        fd = self._fd()
        outcome = self._both.readdir(fd)
        if outcome != TRAP and not outcome[0]:
            self._both.listing(fd, self._chance.choice((300, 512, 4096)))
        return outcome

    def _close(self) -> Any:
        fd = self._fd()
        if fd < DRIVE or (fd == DRIVE and self._chance.random() < 0.9):
            return None
        return self._both.simple("fd_close", fd)

    def _renumber(self) -> Any:
        fd, to = self._fd(), self._fd()
        return self._both.simple("fd_renumber", fd, to) if min(fd, to) > DRIVE else None

    def _times(self) -> Any:
        flags = self._chance.choice((ATIM | MTIM, ATIM, MTIM, 0, ATIM_NOW, MTIM_NOW, ATIM | ATIM_NOW))
        times = self._chance.randrange(1 << 61), self._chance.randrange(1 << 61)
        path, at, lookup = self._path(), self._at(), self._lookup()
        outcome = self._both.set_times_at(path, *times, flags, lookup, at)
        if outcome == 0 and flags == ATIM | MTIM and lookup != FOLLOW:  # where a link leads, its own times are others
            self._both.times(path, at)
        return outcome

    def _wild(self) -> Any:
        """Numbers that no honest guest passes."""
        chance = self._chance
        name = chance.choice([each for each in FUNCTIONS if each not in _NOT_WILD])
        drawn: list[int | At] = [self._fd()]
        while len(drawn) < PARAMS[name]:
            place = At(chance.choice((VECTORS, RESULT, RESULT + 1, RESULT + 4, BUFFER)))
            drawn.append(
                chance.choice((chance.choice(_ADDRESSES), chance.choice(_COUNTS), place, chance.randrange(40)))
            )
        if name in ("fd_close", "fd_renumber", "fd_write") or (name == "fd_readdir" and drawn[0] != DRIVE):
            return None
        # Earlier results lie there, with the numbers of files, which differ.
        return self._both.call(name, *drawn, writes={RESULT: bytes(128), BUFFER: bytes(8192)})
