"""Compiled guests and the packages of folders, kept for all simulations of one process.

An engine forgets a program when no node runs it, as between two seeds. Reading it from the disk again took half of a
sweep's time; compiling it again, in a process of its own, took three quarters. Reading,
hashing and parsing packages was a third of a node's boot.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from blake3 import blake3

from kernel.contract.guest import Program
from kernel.wasm.engine import Engine
from nectar_node.contract.config import module_cache
from nectar_node.packages.contents import with_digest
from nectar_node.packages.manifest import METADATA_FILE, Package, read_package

_KEPT_PACKAGES = 128
"""Packages that are kept, each for one name of a node."""
_Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]


class Programs:
    """A deterministic engine, and all programs that it has ever loaded."""

    def __init__(self, *, notes_blocks: bool = False) -> None:
        """`notes_blocks`: guests note which of their basic blocks they pass through, for a search."""
        self._engine = Engine(module_cache(), replayable=True, notes_blocks=notes_blocks)
        self._kept: dict[bytes, Program] = {}

    def load(self, wasm: bytes, tell: Callable[[str], None] | None = None) -> Program:
        """Return the program of `wasm`, compiled at most once; `tell` is told how far that is."""
        key = blake3(wasm).digest()
        program = self._kept.get(key)
        if program is None:
            program = self._kept[key] = self._engine.load(wasm, tell)
        return program


def package_in(folder: Path, our: str) -> Package:
    """Return the package in `folder` for the node `our`, with its digest; raises BadPackage. It is read again when any
    file there has changed.
    """
    return _read_package(folder, our, _stamp(folder))


def _stamp(folder: Path) -> _Stamp:
    """Return what differs after any file has changed: the paths, inodes, sizes and times of all."""
    found = []
    inner = folder / "pkg" if (folder / "pkg" / "manifest.json").is_file() else folder
    inside = (os.path.join(place, name) for place, _, names in os.walk(inner) for name in names)
    for path in (*([str(inner.parent / METADATA_FILE)] if inner.name == "pkg" else []), *inside):
        with suppress(OSError):  # a link to nowhere; reading the package says what is wrong with it
            status = os.stat(path)
            found.append((path, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))


@lru_cache(_KEPT_PACKAGES)
def _read_package(folder: Path, our: str, _stamp: _Stamp) -> Package:
    return with_digest(read_package(folder, our))
