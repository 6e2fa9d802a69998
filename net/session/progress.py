"""Checks that peers go on with the messages that they have begun. Each message has taken credit, and memory here.

A peer can send a message all but its last byte, and then a few bytes now and then, and answer every ping. So as long as
messages of a peer are incomplete, their bytes have to come at a rate at which all of them would be whole within
`limits.WHOLE_SECONDS`; within a minute while memory is scarce, since others wait for it then. Only bytes of incomplete
messages count, and no single message may stay incomplete for much longer than all of them take. Times in which nothing
could flow do not count: the peer is away, or what was read is not handled yet (`backlog`). That nothing is read from a
peer which does not read our answers is its own doing, and does count.

Pure. Tests: tests/net/session/test_progress.py.
"""

from __future__ import annotations

from typing import Any

from net.base.limits import (
    OLDEST_FACTOR,
    PROGRESS_SECONDS,
    SCARCE_RATE,
    SCARCE_WHOLE_SECONDS,
    STALL_BYTES,
    STALL_SECONDS,
    WHOLE_SECONDS,
)
from net.base.memory import Memory
from net.base.timers import Timers
from net.session.session import Session


class _Window:
    """A span of time in which the bytes of a peer are counted."""

    __slots__ = ("bytes", "connection", "cost", "held", "record", "since")

    def __init__(self, session: Session, now: float) -> None:
        session.inbox.oldest(now)  # from now on
        self.since = now
        self.bytes = session.inbox.partial_bytes
        """Bytes of incomplete messages when the window began."""
        self.connection = session.connection
        self.record = self.record_bytes(session)
        """Bytes of the record that was incomplete then."""
        self.cost = session.inbox.partial_cost
        """Credit of the messages that had begun when the window began."""
        self.held = 0.0
        """Seconds since then in which nothing was read, since what was read before had to wait."""

    def come(self, session: Session) -> int:
        """Return how many bytes of incomplete messages have come since then. Those of an incomplete record count, since
        a slow link takes minutes for one; if they turn out to be something else, they are missing later."""
        record = self.record if session.connection is self.connection else 0
        return session.inbox.partial_bytes - self.bytes + self.record_bytes(session) - record

    def record_bytes(self, session: Session) -> int:
        """Return the bytes of the incomplete record of the connection that was there when the window began."""
        connection = session.connection
        return 0 if connection is None or connection is not self.connection else connection.splitter.held


class Progress:
    """Watches all peers with incomplete messages."""

    def __init__(self, memory: Memory, timers: Timers[Any]) -> None:
        """`timers` has, with this object as its key, when to check next."""
        self._memory = memory
        self._timers = timers
        self._windows: dict[Session, _Window] = {}

    def watch(self, session: Session, now: float) -> bool:
        """Watch a peer, since a message of it is incomplete. Return whether it was not watched yet."""
        if session in self._windows:
            return False
        if self not in self._timers:
            self._timers.set(self, now + PROGRESS_SECONDS)
        self._windows[session] = _Window(session, now)
        return True

    def excuse(self, session: Session, began: float, now: float) -> None:
        """Excuse a peer from which nothing was read from `began` until `now`, since what was read had to wait
        (`backlog`)."""
        window = self._windows.get(session)
        if window is not None:
            window.held += now - max(began, window.since)

    def on_timer(self, now: float) -> list[Session]:
        """Return the peers that do not go on, if it is time to check."""
        due = self._timers.when(self)
        if due is None or now < due:
            return []
        was_stopped = now > due + PROGRESS_SECONDS  # this process was stopped: no peer is to blame
        found = []
        for session, window in list(self._windows.items()):
            if not session.inbox.incomplete or not session.live:
                del self._windows[session]  # until a piece comes again
            elif was_stopped:
                self._windows[session] = _Window(session, now)
            elif self._is_too_slow(session, window, now):
                del self._windows[session]
                found.append(session)
        self._timers.set(self, now + PROGRESS_SECONDS if self._windows else None)
        return found

    def _is_too_slow(self, session: Session, window: _Window, now: float) -> bool:
        scarce, inbox = self._memory.scarce, session.inbox
        whole_seconds = SCARCE_WHOLE_SECONDS if scarce else WHOLE_SECONDS
        oldest = inbox.oldest(now)
        if oldest > window.since:
            self._windows[session] = _Window(session, now)  # what was incomplete then is whole
            return False
        if now - oldest > OLDEST_FACTOR * whole_seconds:
            return True
        seconds = now - window.since - window.held
        deferred = session.connection.deferred if session.connection is not None else None
        if deferred is not None:
            seconds -= now - max(deferred.began, window.since)
        if seconds < (PROGRESS_SECONDS if scarce else STALL_SECONDS):
            return False
        least = SCARCE_RATE if scarce else STALL_BYTES / STALL_SECONDS
        rate = max(least, min(window.cost, inbox.partial_cost) / whole_seconds)
        if window.come(session) < rate * seconds:
            return True
        self._windows[session] = _Window(session, now)
        return False

    def __repr__(self) -> str:
        return f"Progress({len(self._windows)} peers)"
