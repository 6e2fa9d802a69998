"""Compiled code on disk: one entry for each core module, for all nodes and simulations of this user.

Loading compiled code means trusting it with the process. So the folder is ours and no other user may enter it, and each
entry comes with its hash: one that does not match is compiled anew, as is one of another version, or one that another
user owns or can write to. Code is mapped, so all processes that run it share its pages. The entries that were used
least recently go when there are too many bytes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import wasmtime
from blake3 import blake3

from kernel.contract.message import Buffer
from kernel.wasm.compiling.compiler import Compiler

MAX_BYTES = 2 << 30
"""Bytes of all entries. The first Python guest's are ninety million and each further one's are thirteen; those of
JavaScript guests are eighty and forty."""
_FORMAT = 3
"""Grows when entries or the configuration change."""
_CODE, _DIGEST = ".code", ".blake3"
"""How the names of an entry's two files end. BLAKE3, since each start hashes all that it maps: that takes a fifth of
SHA-256's time, even where the processor has instructions for the latter."""
_STEP_BYTES = 1 << 20
"""Bytes that are hashed before more are read."""
LOCK_SECONDS = 180.0
"""For how long somebody else who makes an entry is waited for: longer than any takes on a busy machine. A process that
is stopped, as a laptop's is whose lid is closed, holds its lock without end."""
_LOOK_SECONDS = 0.05
"""Between two looks at a lock."""
_LOCK = ".lock"
"""How the name of a file ends that is there while somebody makes an entry."""


class CodeCache:
    """The entries in one folder."""

    def __init__(self, folder: Path | None) -> None:
        """The folder is made when it is needed; None: nothing is kept."""
        self._folder = folder

    @property
    def keeps(self) -> bool:
        """Whether it may keep anything."""
        return self._folder is not None

    @staticmethod
    def key(compiler: Compiler, code: bytes) -> str:
        """Return the name of what a core module compiles to; another compiler or configuration has another one."""
        identity = f"{_FORMAT} wasmtime {version('wasmtime')} {compiler.mode}"
        return blake3(identity.encode() + b"\0").update(code).hexdigest()

    def has(self, key: str) -> bool:
        """Return whether there is compiled code of that name; whether it is whole is seen when it is loaded."""
        return self._folder is not None and (self._folder / (key + _CODE)).exists()

    def discard(self, key: str) -> None:
        """Remove the compiled code of that name, if there is any; who has it mapped keeps it."""
        if self._folder is not None:
            for suffix in (_DIGEST, _CODE):
                with contextlib.suppress(OSError):
                    os.unlink(self._folder / (key + suffix))

    def load(self, compiler: Compiler, key: str) -> wasmtime.Module | None:
        """Return the compiled code of that name, mapped, or None if there is none."""
        with self._entry(key) as entry:
            if entry is None:
                return None
            return _mapped(compiler, entry)

    def read(self, key: str) -> bytes | None:
        """Return the compiled code of that name as it was given to `keep`, or None if there is none."""
        with self._entry(key) as entry:
            return None if entry is None else entry.read()

    def keep(self, key: str, compiled: Iterable[Buffer], compiler: Compiler | None = None) -> wasmtime.Module | None:
        """Keep compiled code, given in pieces; return it as `load` does, if it is given the `compiler`. A full or
        read-only disk costs us the entry, not the program: then there is nothing to return."""
        if self._folder is None:
            return None
        path, module = self._folder / (key + _CODE), None
        with contextlib.suppress(OSError):
            with _written(path, compiled) as (file, digest):
                # As it has been written just now: to read it again for its hash would tell nothing of the disk.
                module = None if compiler is None else _mapped(compiler, file)
            with _written(path.with_suffix(_DIGEST), (digest.encode(),)):
                pass
            self._make_room(self._folder)
        return module

    @contextlib.contextmanager
    def alone(self, key: str, waits: Callable[[], object]) -> Iterator[None]:
        """Make an entry of that name while no other thread or process does; `waits` is called if one does now.

        Nodes of one testnet start the same program at the same moment, and each would take all cores to compile it.
        Where there can be no lock, and where whoever has it does not come to an end, each makes its own.
        """
        lock = None
        if self._folder is not None:
            path = self._folder / (key + _LOCK)
            with contextlib.suppress(OSError):
                lock = _locked(path, waits)
        try:
            yield
        finally:
            if lock is not None:
                with contextlib.suppress(OSError):
                    os.unlink(path)
                os.close(lock)

    @contextlib.contextmanager
    def _entry(self, key: str) -> Iterator[BufferedReader | None]:
        """Yield an entry, open, if it is whole and nobody else can write to it; else None."""
        with contextlib.ExitStack() as stack:
            entry = None
            if self._folder is not None:
                path = self._folder / (key + _CODE)
                with contextlib.suppress(OSError):
                    found = stack.enter_context(path.open("rb"))
                    entry = found if _is_ours(found) and _is_whole(found, path.with_suffix(_DIGEST)) else None
            if entry is not None:
                # Both are as old as their last use, so both stay or go.
                with contextlib.suppress(OSError):
                    os.utime(path)
                    os.utime(path.with_suffix(_DIGEST))
            yield entry

    @staticmethod
    def _make_room(folder: Path) -> None:
        """Remove what was used least recently, also what other versions have left."""
        entries = []
        for entry in os.scandir(folder):
            with contextlib.suppress(OSError):  # another process has removed it
                found = entry.stat(follow_symlinks=False)
                entries.append((found.st_mtime_ns, found.st_size, entry.path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= MAX_BYTES:
                break
            total -= size
            with contextlib.suppress(OSError):
                os.unlink(path)


def _is_ours(file: BufferedReader) -> bool:
    """Return whether nobody but this user can have written the file. Raises OSError."""
    found = os.fstat(file.fileno())
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _is_whole(file: BufferedReader, digest: Path) -> bool:
    """Return whether the file's hash is what the other file says, and go back to its beginning. Raises OSError."""
    hashed, step = blake3(), memoryview(bytearray(_STEP_BYTES))
    while count := file.readinto(step):
        hashed.update(step[:count])
    file.seek(0)
    return hashed.hexdigest().encode() == digest.read_bytes()


def _locked(path: Path, waits: Callable[[], object]) -> int:
    """Return the descriptor of a lock once it is ours: closing it, or our end, sets it free. Raises OSError, also if
    that takes too long.
    """
    _make_folder(path.parent)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waits()
                _wait_for(lock, deadline)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock), os.stat(path)):
                    return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)  # whoever had it has removed it: others may hold a new one


def _wait_for(lock: int, deadline: float) -> None:
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(_LOOK_SECONDS)
    raise TimeoutError(errno.ETIMEDOUT, "somebody else has held the lock for too long")


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def _mapped(compiler: Compiler, file: BinaryIO) -> wasmtime.Module | None:
    """Return compiled code as it is in an open file, also if another process has replaced that by now; None: it was
    compiled for another processor."""
    try:
        return compiler.load_file(f"/proc/self/fd/{file.fileno()}")
    except wasmtime.WasmtimeError:
        return None


@contextlib.contextmanager
def _written(path: Path, pieces: Iterable[Buffer]) -> Iterator[tuple[BinaryIO, str]]:
    """Write a file whole or not at all; yield it, open, and its hash. Raises OSError."""
    _make_folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    hashed = blake3()
    with os.fdopen(handle, "wb") as file:
        try:
            for piece in pieces:
                hashed.update(piece)
                file.write(piece)
            file.flush()
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
        yield file, hashed.hexdigest()
