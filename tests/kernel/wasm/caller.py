"""Drives the guest `calls`, which makes any call of WASI preview 1, one call for each message."""

from __future__ import annotations

import struct
from typing import NamedTuple

from kernel.contract.guest import GuestConfig, Poll, Print, SendResponse
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm.guests import GUESTS, arrival, loaded, poll

FUNCTIONS = (
    *("fd_advise", "fd_allocate", "fd_close", "fd_datasync", "fd_fdstat_get", "fd_fdstat_set_flags"),
    *("fd_fdstat_set_rights", "fd_filestat_get", "fd_filestat_set_size", "fd_filestat_set_times", "fd_pread"),
    *("fd_prestat_get", "fd_prestat_dir_name", "fd_pwrite", "fd_read", "fd_readdir", "fd_renumber", "fd_seek"),
    *("fd_sync", "fd_tell", "fd_write", "path_create_directory", "path_filestat_get", "path_filestat_set_times"),
    *("path_link", "path_open", "path_readlink", "path_remove_directory", "path_rename", "path_symlink"),
    "path_unlink_file",
)
"""In the order of the guest's numbers."""

DRIVE = 3
"""The descriptor of the drive."""
CREAT, DIRECTORY, EXCL, TRUNC = 1, 2, 4, 8
APPEND, DSYNC, NONBLOCK, RSYNC, SYNC = 1, 2, 4, 8, 16
READ, WRITE = 1 << 1, 1 << 6
FOLLOW = 1
SET, CUR, END = 0, 1, 2
ATIM, ATIM_NOW, MTIM, MTIM_NOW = 1, 2, 4, 8

VECTORS, SECOND, RESULT, BUFFER = 0, 8192, 16384, 32768
"""Places in the guest's `scratch`: for paths and buffers' addresses, for a second path, for what a call gives back."""
BUFFER_BYTES = 65536


class At(NamedTuple):
    """A place in the guest's `scratch`."""

    place: int


class Trapped(Exception):
    """The guest has ended."""


class Stat(NamedTuple):
    """A filestat."""

    device: int
    number: int
    kind: int
    links: int
    size: int
    accessed: int
    modified: int
    changed: int


class Entry(NamedTuple):
    """An entry of a folder; its name may be cut off."""

    following: int
    number: int
    kind: int
    length: int
    name: bytes


class Caller:
    """One guest."""

    def __init__(self, engine: Engine, config: GuestConfig) -> None:
        guest = loaded(engine, (GUESTS / "calls.wasm").read_bytes()).start(config)
        assert isinstance(guest, Fiber)
        self.guest = guest
        assert poll(guest) is Poll.RECEIVE, guest.end

    def run(self, script: bytes) -> bytes:
        """The answer to some steps; raises Trapped."""
        self.guest.resume(arrival(script))
        if poll(self.guest) is not Poll.RECEIVE:
            raise Trapped(str(self.guest.end))
        (answer,) = (effect for effect in self.guest.effects if not isinstance(effect, Print))
        self.guest.effects.clear()
        assert isinstance(answer, SendResponse)
        return answer.response.body

    def call(
        self, name: str, *arguments: int | At, result: int = 0, writes: dict[int, bytes] | None = None
    ) -> tuple[int, bytes]:
        """Call a function; returns the errno and so many bytes at RESULT."""
        steps = [b"W" + struct.pack("<II", place, len(data)) + data for place, data in (writes or {}).items()]
        steps.append(b"W" + struct.pack("<II", RESULT, result) + b"\xee" * result)
        steps.append(b"C" + bytes((FUNCTIONS.index(name), len(arguments))))
        for each in arguments:
            kind, value = (1, each.place) if isinstance(each, At) else (0, each)
            steps.append(struct.pack("<BQ", kind, value % (1 << 64)))
        steps.append(b"D" + struct.pack("<II", RESULT, result))
        answer = self.run(b"".join(steps))
        return int.from_bytes(answer[:4], "little"), answer[4:]

    def on_path(
        self, name: str, path: bytes | str, before: tuple[int | At, ...], *after: int | At, result: int = 0
    ) -> tuple[int, bytes]:
        """Call a function that takes a path between its other arguments."""
        data = path.encode() if isinstance(path, str) else path
        return self.call(name, *before, At(VECTORS), len(data), *after, result=result, writes={VECTORS: data})

    def on_two(self, name: str, first: bytes | str, second: bytes | str, *layout: int | str) -> int:
        """Call a function that takes two paths, where `layout` has "1" and "2"."""
        paths = {"1": (VECTORS, first), "2": (SECOND, second)}
        writes, arguments = {}, list[int | At]()
        for each in layout:
            if isinstance(each, str):
                place, path = paths[each]
                writes[place] = data = path.encode() if isinstance(path, str) else path
                arguments += [At(place), len(data)]
            else:
                arguments.append(each)
        return self.call(name, *arguments, writes=writes)[0]

    # --- the calls with their arguments as they are meant ---

    def open(
        self,
        path: bytes | str,
        oflags: int = 0,
        rights: int = READ | WRITE,
        fdflags: int = 0,
        lookup: int = FOLLOW,
        at: int = DRIVE,
        inheriting: int = 0,
    ) -> tuple[int, int]:
        errno, found = self.on_path(
            "path_open", path, (at, lookup), oflags, rights, inheriting, fdflags, At(RESULT), result=4
        )
        return errno, int.from_bytes(found, "little") if not errno else -1

    def write(self, fd: int, *data: bytes, offset: int | None = None) -> tuple[int, int]:
        vectors, place, writes = b"", BUFFER, {}
        base = self.scratch
        for each in data:
            vectors += struct.pack("<II", base + place, len(each))
            writes[place] = each
            place += len(each)
        writes[VECTORS] = vectors
        name, extra = ("fd_write", ()) if offset is None else ("fd_pwrite", (offset,))
        errno, found = self.call(name, fd, At(VECTORS), len(data), *extra, At(RESULT), result=4, writes=writes)
        return errno, int.from_bytes(found, "little") if not errno else -1

    def read(self, fd: int, *sizes: int, offset: int | None = None) -> tuple[int, bytes]:
        vectors, place, base = b"", BUFFER, self.scratch
        for size in sizes:
            vectors += struct.pack("<II", base + place, size)
            place += size
        name, extra = ("fd_read", ()) if offset is None else ("fd_pread", (offset,))
        errno, found = self.call(
            name, fd, At(VECTORS), len(sizes), *extra, At(RESULT), result=4, writes={VECTORS: vectors}
        )
        if errno:
            return errno, b""
        count = int.from_bytes(found, "little")
        return 0, self.run(b"D" + struct.pack("<II", BUFFER, count)) if count else b""

    _scratch = 0

    @property
    def scratch(self) -> int:
        """The address of `scratch` in the guest's memory."""
        if not self._scratch:
            mark = b"here is the scratch of the guest"
            self.run(b"W" + struct.pack("<II", 0, len(mark)) + mark)
            # The heap may have copies of the message.
            self._scratch = bytes(self.guest.memory).find(mark)
        return self._scratch

    def seek(self, fd: int, offset: int, whence: int) -> tuple[int, int]:
        errno, found = self.call("fd_seek", fd, offset, whence, At(RESULT), result=8)
        return errno, int.from_bytes(found, "little") if not errno else -1

    def tell(self, fd: int) -> tuple[int, int]:
        errno, found = self.call("fd_tell", fd, At(RESULT), result=8)
        return errno, int.from_bytes(found, "little") if not errno else -1

    def stat(self, fd: int) -> tuple[int, Stat | None]:
        errno, found = self.call("fd_filestat_get", fd, At(RESULT), result=64)
        return errno, None if errno else Stat(*struct.unpack("<QQB7xQQQQQ", found))

    def stat_at(self, path: bytes | str, lookup: int = FOLLOW, at: int = DRIVE) -> tuple[int, Stat | None]:
        errno, found = self.on_path("path_filestat_get", path, (at, lookup), At(RESULT), result=64)
        return errno, None if errno else Stat(*struct.unpack("<QQB7xQQQQQ", found))

    def flags(self, fd: int) -> tuple[int, tuple[int, ...]]:
        errno, found = self.call("fd_fdstat_get", fd, At(RESULT), result=24)
        return errno, () if errno else struct.unpack("<BxH4xQQ", found)

    def readdir(self, fd: int, size: int = 4096, cookie: int = 0) -> tuple[int, int, bytes]:
        errno, found = self.call("fd_readdir", fd, At(BUFFER), size, cookie, At(RESULT), result=4)
        if errno:
            return errno, -1, b""
        used = int.from_bytes(found, "little")
        return 0, used, self.run(b"D" + struct.pack("<II", BUFFER, used))

    def readlink(self, path: bytes | str, size: int = 256, at: int = DRIVE) -> tuple[int, bytes]:
        errno, found = self.on_path("path_readlink", path, (at,), At(BUFFER), size, At(RESULT), result=4)
        if errno:
            return errno, b""
        return 0, self.run(b"D" + struct.pack("<II", BUFFER, int.from_bytes(found, "little")))

    def mkdir(self, path: bytes | str, at: int = DRIVE) -> int:
        return self.on_path("path_create_directory", path, (at,))[0]

    def rmdir(self, path: bytes | str, at: int = DRIVE) -> int:
        return self.on_path("path_remove_directory", path, (at,))[0]

    def unlink(self, path: bytes | str, at: int = DRIVE) -> int:
        return self.on_path("path_unlink_file", path, (at,))[0]

    def rename(self, old: bytes | str, new: bytes | str, at: int = DRIVE, to: int = DRIVE) -> int:
        return self.on_two("path_rename", old, new, at, "1", to, "2")

    def link(self, old: bytes | str, new: bytes | str, lookup: int = 0, at: int = DRIVE, to: int = DRIVE) -> int:
        return self.on_two("path_link", old, new, at, lookup, "1", to, "2")

    def symlink(self, target: bytes | str, path: bytes | str, at: int = DRIVE) -> int:
        return self.on_two("path_symlink", target, path, "1", at, "2")

    def set_times(self, fd: int, accessed: int, modified: int, flags: int) -> int:
        return self.call("fd_filestat_set_times", fd, accessed, modified, flags)[0]

    def set_times_at(
        self, path: bytes | str, accessed: int, modified: int, flags: int, lookup: int = FOLLOW, at: int = DRIVE
    ) -> int:
        return self.on_path("path_filestat_set_times", path, (at, lookup), accessed, modified, flags)[0]

    def simple(self, name: str, *arguments: int | At) -> int:
        """A call of which nothing but its errno is looked at."""
        return self.call(name, *arguments)[0]

    def times(self, path: bytes | str, at: int = DRIVE) -> tuple[int, ...]:
        """When something was accessed and modified."""
        errno, found = self.stat_at(path, 0, at)
        return (errno,) if found is None else (found.accessed, found.modified)

    def listing(self, fd: int, size: int = 4096) -> list[tuple[bytes, int]]:
        """Names and types in a folder, sorted, read in pieces of `size` bytes, as C libraries do it."""
        found, cookie = list[tuple[bytes, int]](), 0
        while True:
            errno, used, data = self.readdir(fd, size, cookie)
            assert not errno
            whole = [each for each in entries(data) if len(each.name) == each.length]
            found += [(each.name, each.kind) for each in whole]
            if used < size:
                return sorted(found)
            assert whole, "not even one fits"
            cookie = whole[-1].following


def entries(data: bytes) -> list[Entry]:
    """What a call of fd_readdir gave back."""
    found, at = [], 0
    while len(data) - at >= 24:
        following, number, length, kind = struct.unpack_from("<QQIB", data, at)
        name = data[at + 24 : at + 24 + length]
        found.append(Entry(following, number, kind, length, name))
        at += 24 + length
    return found
