"""The log lines about connections that end before their peer has proven a name. Anybody can make thousands of those.

The first one has a line of its own. Those that follow within DROPPED_SECONDS are counted by why they ended, and have
one line together. Pure.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from net.base.limits import DROPPED_SECONDS, MAX_DROPPED_REASONS
from net.base.timers import Timers

_OTHERWISE = "for other reasons"


class Dropped:
    """Counts the dropped connections of one node."""

    def __init__(self, timers: Timers[Any]) -> None:
        """`timers` has, with this object as its key, when the counted ones are logged."""
        self._timers = timers
        self._counts: Counter[str] = Counter()
        """How many ended, by reason."""

    def add(self, connection: object, why: str, now: float) -> str | None:
        """Count a connection that has ended; return the line to log now, or None."""
        if self not in self._timers:
            self._timers.set(self, now + DROPPED_SECONDS)
            return f"{connection} ends: {why}"
        if why not in self._counts and len(self._counts) >= MAX_DROPPED_REASONS:
            why = _OTHERWISE
        self._counts[why] += 1
        return None

    def on_timer(self, now: float) -> str | None:
        """Return the line about the connections that were counted, if there are any and their time is over."""
        until = self._timers.when(self)
        if until is None or until > now:
            return None
        counts, self._counts = self._counts, Counter()
        self._timers.set(self, now + DROPPED_SECONDS if counts else None)
        if not counts:
            return None
        total = counts.total()
        reasons = ", ".join(f"{count:,} {why}" if len(counts) > 1 else why for why, count in counts.most_common())
        more = "1 more connection has" if total == 1 else f"{total:,} more connections have"
        return f"{more} ended before a name was proven: {reasons}"
