"""The node's log: one line per entry on standard output, nothing that could be taken for another line.

If standard output is the log file of the node's folder, it is rotated at MAX_FILE_BYTES: the file becomes `log.1`, in
place of the one before, and a new one is begun. So a log takes at most twice as much, however long a node runs.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from itertools import dropwhile
from pathlib import Path
from typing import NamedTuple

from nectar_node.base import own_files
from nectar_node.base.errors import BadFolder

DEFAULT_VERBOSITY = 1
MAX_LINE = 4000
"""Characters of one line's text; a text that is cut ends with `…`."""
MAX_FILE_BYTES = 16 << 20
"""Bytes of a log file at which it is put aside."""
MAX_RECENT_LINES = 1000
"""Lines that are remembered for whoever looks at the log of a running node, which may have a terminal for a log."""
MAX_RECENT_CHARACTERS = 256 << 10
"""Characters of their texts."""
_COLOURS = re.compile(r"(?:\x1b\[|\x9b)[0-9;:]*m")
_OUTPUT, _ERRORS = 1, 2
"""Descriptors of the standard streams."""


def older(path: Path) -> Path:
    """Return where the log file `path` is put aside when it is full."""
    return path.with_name(f"{path.name}.1")


def shown(text: str) -> str:
    """Return `text` as one line: control characters are written out, not sent to the terminal."""
    cut = text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]}…"
    return cut if cut.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in cut)


def without_colours(text: str) -> str:
    """Return `text` without the sequences that set colours and weights (ECMA-48, SGR), which mean nothing in a log.

    Any other sequence stays, for `shown` to write out.
    """
    return _COLOURS.sub("", text) if "m" in text and not text.isprintable() else text


def write_line(source: str, text: str) -> None:
    """Write `text` under the time of day and its source; may be called from any thread."""
    stamp = time.strftime("%H:%M:%S")
    with _lock, suppress(OSError, BadFolder):  # a full disk or a closed pipe: the node is worth more than its log
        if _rotated is not None:
            _rotate_if_full(_rotated)
        line = shown(text)
        RECENT.add(stamp, source, line)
        sys.stdout.write(f"{stamp} {source}: {line}\n")
        sys.stdout.flush()


# --- the latest lines -----------------------------------------------------------------------------------------------


class RecentLine(NamedTuple):
    """A line that has been written."""

    number: int
    """Lines are counted from 1."""
    time: str
    """The time of day."""
    source: str
    text: str


class RecentLines:
    """The latest lines of this process's log."""

    def __init__(self) -> None:
        self._lines: deque[RecentLine] = deque()
        self._count = 0
        self._characters = 0

    def add(self, time: str, source: str, text: str) -> None:
        """Remember a line, and forget the oldest ones."""
        self._count += 1
        self._lines.append(RecentLine(self._count, time, source, text))
        self._characters += len(text)
        while len(self._lines) > MAX_RECENT_LINES or self._characters > MAX_RECENT_CHARACTERS:
            self._characters -= len(self._lines.popleft().text)

    @property
    def count(self) -> int:
        """Lines so far."""
        with _lock:
            return self._count

    def after(self, number: int) -> tuple[list[RecentLine], int]:
        """Return the lines after that number, and how many of these have been forgotten."""
        with _lock:
            if number >= self._count:
                return [], 0
            found = list(dropwhile(lambda line: line.number <= number, self._lines))
        return found, max(0, found[0].number - number - 1) if number else 0


# --- rotating -------------------------------------------------------------------------------------------------------

_lock = threading.Lock()
_rotated: Path | None = None
"""The log file, if standard output is one."""
COMPILER = "compiler"
"""The source of lines about what is compiled and how far that is."""
RECENT = RecentLines()
"""What this process has written last."""


def rotate(path: Path) -> None:
    """Rotate the log file `path` from now on, if standard output goes there."""
    global _rotated
    with suppress(OSError):
        if os.path.samestat(os.fstat(_OUTPUT), path.stat()):
            _rotated = path


def _rotate_if_full(path: Path) -> None:
    """Put the log file aside if it is full.

    Raises OSError, which costs a line, if there is no space for another file: the next line tries again.
    """
    status = os.fstat(_OUTPUT)
    if status.st_size < MAX_FILE_BYTES:
        return
    fresh = path.with_name(f".{path.name}.new")
    own_files.remove(fresh)
    descriptor = own_files.open_file(fresh, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        path.replace(older(path))
        fresh.replace(path)
        if os.path.samestat(os.fstat(_ERRORS), status):
            os.dup2(descriptor, _ERRORS)
        os.dup2(descriptor, _OUTPUT)
    finally:
        os.close(descriptor)
