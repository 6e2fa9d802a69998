"""Looks whether something of a package has been saved.

It compares times and sizes every so often: that works on every file system, also on shared folders of containers that
tell of no change, and a package is small. What is built or fetched is not looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kernel.wasm.binary.debug_file import SUFFIX as DEBUG_SUFFIX

MAX_FILES = 10_000
"""Files that are looked at; of a larger folder, those that come first."""
_OTHERS = {"node_modules", "target", "zig-out", "__pycache__", "tests"}
"""Folders that are no part of what runs."""
_BUILT = (".wasm", f".wasm{DEBUG_SUFFIX}")
"""How the names of files end that a build makes."""

Look = dict[str, tuple[int, int, int]]
"""Of each file by path: when it was changed, how large it is, and which file it is."""


def look(folder: Path) -> Look:
    """Return how the files of the package in `folder` are now."""
    found: Look = {}
    for path in _files(folder):
        try:
            status = path.stat()
        except OSError:  # it has just been replaced: the next look sees what is there
            continue
        found[str(path)] = (status.st_mtime_ns, status.st_size, status.st_ino)
        if len(found) == MAX_FILES:
            break
    return found


def _files(folder: Path) -> Iterator[Path]:
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(each for each in inner if not each.startswith(".") and each not in _OTHERS)
        built = Path(place).name == "pkg"
        for name in sorted(names):
            if not name.startswith(".") and not (built and name.endswith(_BUILT)):
                yield Path(place, name)
