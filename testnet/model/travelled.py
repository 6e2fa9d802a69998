"""A user's own files on another machine, where they lie below a folder of their own.

A scenario is named by the whole path of its file. Where a cluster plays it, that file lies elsewhere: below the folder
that FOLDER_VARIABLE names, at the same path. Where that variable is not set, every path is what it is.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER_VARIABLE = "NECTAR_TRAVELLED"


def local(path: Path) -> Path:
    """Return where the file or folder of that path lies here."""
    if folder := os.environ.get(FOLDER_VARIABLE):
        moved = Path(folder, *path.absolute().parts[1:])
        if moved.exists():
            return moved
    return path


def original(path: Path) -> Path:
    """Return where that file or folder lies on the machine that it came from."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path("/", path.relative_to(folder)) if folder and path.is_relative_to(folder) else path
