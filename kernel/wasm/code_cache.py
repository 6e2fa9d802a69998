"""Compiled code on disk: one entry for each core module, for all nodes and simulations of this user.

Loading compiled code means trusting it with the process. So the folder is ours and no other user may enter it, and each
entry comes with its hash: one that does not match is compiled anew, as is one of another version. Code is mapped, so
all processes that run it share its pages. The entries that were used least recently go when there are too many bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

import wasmtime

from kernel.wasm.compiler import Compiler

MAX_BYTES = 2 << 30
"""Bytes of all entries; a Python guest's are seventy million, nearly all of which the next one shares."""
_FORMAT = 2
"""Grows when entries or the configuration change."""
_CODE, _DIGEST = ".code", ".sha256"
"""How the names of an entry's two files end."""


class CodeCache:
    """The entries in one folder."""

    def __init__(self, folder: Path | None) -> None:
        """The folder is made when it is needed; None: nothing is kept."""
        self._folder = folder

    def load(self, compiler: Compiler, code: bytes) -> wasmtime.Module | None:
        """Return what a core module was compiled to, or None if that is not known."""
        if self._folder is None:
            return None
        path = self._path(compiler, code)
        try:
            digest = path.with_suffix(_DIGEST).read_text()
            with open(path, "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    return None
            # Both are as old as their last use, so both stay or go.
            os.utime(path)
            os.utime(path.with_suffix(_DIGEST))
            return compiler.load_file(str(path))
        except (OSError, UnicodeDecodeError, wasmtime.WasmtimeError):
            return None  # not there, or compiled for another processor

    def keep(self, compiler: Compiler, code: bytes, compiled: wasmtime.Module) -> None:
        """Keep what a core module was compiled to. A full or read-only disk costs us the entry, not the program."""
        if self._folder is None:
            return
        path, data = self._path(compiler, code), bytes(compiled.serialize())
        with contextlib.suppress(OSError):
            _write(path, data)
            _write(path.with_suffix(_DIGEST), hashlib.sha256(data).hexdigest().encode())
            self._make_room(self._folder)

    def _path(self, compiler: Compiler, code: bytes) -> Path:
        assert self._folder is not None
        identity = f"{_FORMAT} wasmtime {version('wasmtime')} {compiler.mode}"
        name = hashlib.sha256(identity.encode() + b"\0" + code).hexdigest()
        return self._folder / (name + _CODE)

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


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
