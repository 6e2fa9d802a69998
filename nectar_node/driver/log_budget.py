"""A bound on the log: so many lines and bytes a second, for each source and for all.

Without it, a process that prints in an endless loop, or another node whose messages reach nobody, would leave nothing
readable. Time is counted in windows of a second, each of which begins with a line. When a window is over, one line for
each source says how much was left out. Of equal dead letters the first is shown, the others are counted. Pure: the
driver passes the time, and `on_timer` returns what is left to say.
"""

from __future__ import annotations

import math
from collections import Counter

from nectar_node.base.log import MAX_LINE, shown
from nectar_node.contract.actions import LogLine

WINDOW_SECONDS = 1.0
LINES = 500
"""Lines of one source in a window."""
BYTES = 128 << 10
"""Bytes of one source in a window."""
ALL_LINES = 4 * LINES
"""Lines of all processes together in a window; the node's own do not count."""
ALL_BYTES = 4 * BYTES
MAX_SOURCES = 1000
"""Sources in a window; later ones are counted as one."""
_OTHERS = "other processes"
_DEAD_LETTERS = ("kernel", 1)
"""Source and verbosity of the lines about messages that reached nobody."""

Line = tuple[str, str]
"""Source and text."""


class _Share:
    """What one source, or all of them, has written in this window."""

    __slots__ = ("bytes", "lines", "omitted", "repeated")

    def __init__(self) -> None:
        self.lines = 0
        self.bytes = 0
        self.omitted = 0
        self.repeated: Counter[str] = Counter()
        """How often each text that was written came again."""

    def has_room(self, size: int, lines: int, most: int) -> bool:
        return self.lines < lines and self.bytes + size <= most

    def take(self, size: int) -> None:
        self.lines += 1
        self.bytes += size


class LogBudget:
    """The budget of one node's log."""

    def __init__(self) -> None:
        self._begun = -math.inf
        self._all = _Share()
        self._shares: dict[tuple[str, int], _Share] = {}
        self._owes = False
        """Whether something was left out in this window."""

    def admit(self, line: LogLine, now: float) -> list[Line]:
        """Return the lines to write, now that the node has logged `line`."""
        said = self._begin_anew(now) if now >= self._begun + WINDOW_SECONDS else []
        if self._has_room(line):
            said.append((line.source, line.text))
        else:
            self._owes = True
        return said

    def next_deadline(self) -> float | None:
        """Return when `on_timer` has something to say, in seconds, or None."""
        return self._begun + WINDOW_SECONDS if self._owes else None

    def on_timer(self, now: float) -> list[Line]:
        """Return the lines about what was left out, if the window is over."""
        deadline = self.next_deadline()
        return self._begin_anew(now) if deadline is not None and deadline <= now else []

    def close(self) -> list[Line]:
        """Return the same lines at the node's end."""
        return self._begin_anew(math.inf)

    def _has_room(self, line: LogLine) -> bool:
        """Whether a line is to be written; if not, it has been counted."""
        share = self._share(line.source, line.verbosity)
        repeats = (line.source, line.verbosity) == _DEAD_LETTERS
        if repeats and line.text in share.repeated:
            share.repeated[line.text] += 1
            return False
        guest = ":" in line.source
        size = 0
        for measure in (_least_size, _size):  # most lines of a flood do not need the exact size
            size = measure(line.text)
            if not self._fits(share, size, guest):
                share.omitted += 1
                return False
        share.take(size)
        if guest:
            self._all.take(size)
        if repeats:
            share.repeated[line.text] = 0
        return True

    def _fits(self, share: _Share, size: int, guest: bool) -> bool:
        return share.has_room(size, LINES, BYTES) and not (guest and not self._all.has_room(size, ALL_LINES, ALL_BYTES))

    def _share(self, source: str, verbosity: int) -> _Share:
        key = (source, verbosity)
        if key not in self._shares and len(self._shares) >= MAX_SOURCES:
            key = (_OTHERS, 0)
        return self._shares.setdefault(key, _Share())

    def _begin_anew(self, now: float) -> list[Line]:
        said: list[Line] = []
        for (source, _), share in self._shares.items():
            for text, count in share.repeated.items():
                if count:
                    said.append((source, f"… {count:,} more of: {text}"))
            if share.omitted:
                lines = "1 line" if share.omitted == 1 else f"{share.omitted:,} lines"
                said.append((source, f"… {lines} of {source} left out"))
        self._begun, self._owes = now, False
        self._all = _Share()
        self._shares.clear()
        return said


def _least_size(text: str) -> int:
    return min(len(text), MAX_LINE)


def _size(text: str) -> int:
    return len(shown(text).encode(errors="replace"))
