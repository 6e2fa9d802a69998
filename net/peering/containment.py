"""A failure of our own code ends the smallest thing that can end.

Theory of operation. An unforeseen exception leaves whatever raised it half done. So the connection that was being
handled ends, with a goodbye that says whose fault it is, and its session begins anew, as if this node had restarted for
that peer alone: messages in flight come back to their senders, since nobody knows what became of them. Then all tables
are checked (`mend`) against what is there, not against what has been counted, and whatever nothing would carry on any
more is reset too. All of this may run at any time, and twice, to the same effect.

A failure while the tables are mended is not caught: the state of all connections may be torn, and the node has to begin
anew. Tests: tests/net/peering/test_containment.py.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable
from typing import Protocol

from net.base.errors import GoodbyeCode
from net.contract.events import Close, FailureReason, NetEvent, Unforeseen
from net.peering.connections import Switchboard
from net.session.session import Connection, Session

WHY = "this node failed: its log says why"
"""The reason given for a connection or a session that ends because of our own failure."""
PAUSE_SECONDS = 1.0
"""Seconds until work that concerns all connections is tried again after a failure; at once, it would fail over and
over."""


class FailedPeers(Protocol):
    """The part of `sessions.Sessions` that ends what has failed."""

    def gone(self, connection: Connection, reason: FailureReason, now: float) -> None:
        """Let all that relied on a closed connection carry on."""

    def reset(self, session: Session, now: float) -> None:
        """Make a session begin anew."""

    def blame(self, name: str | None) -> None:
        """Note which peer was being dealt with."""


class Containment:
    """Contains the failures of one network."""

    sessions: FailedPeers
    """The peers that are concerned; they know the containment too."""

    def __init__(self, events: deque[NetEvent], switchboard: Switchboard) -> None:
        self._events = events
        self._switchboard = switchboard
        self.menders: list[Callable[[float], None]] = []
        """Functions that bring the tables of each component in line with what is there."""
        self.count = 0
        """Failures so far."""
        self.mend_at: float | None = None
        """When to call `mend`; None: nothing is torn."""
        self.paused_until = 0.0
        """Until when work that concerns all connections is left alone."""

    def connection(self, number: int, error: Exception, now: float, *, silent: bool = False) -> None:
        """End a connection that was being handled when something failed. `silent`: without a goodbye, since bytes that
        were encrypted before it are lost."""
        self._end(number, error, now, silent=silent)
        self.mend(now)
        self.mend_at = now  # and go on with what waits at a moment when nothing is torn

    def _end(self, number: int, error: Exception, now: float, *, silent: bool) -> None:
        connection = self._switchboard.get(number)
        self.note(f"connection {number}" if connection is None else str(connection), error)
        if connection is None:
            self._events.append(Close(number))  # perhaps only the driver has it
        else:
            self._switchboard.abandon(connection, None if silent else GoodbyeCode.INTERNAL)
            connection.why = WHY
            self._let_go(connection, now)

    def broken(self, number: int, error: Exception, now: float) -> None:
        """End a connection at which something failed outside of this package: it has broken, and nothing is torn."""
        connection = self._switchboard.get(number)
        self.note(f"connection {number}" if connection is None else str(connection), error)
        if connection is not None:
            self._switchboard.abandon(connection, None)
            connection.why = WHY
            self.sessions.blame(connection.owner if connection.session is None else connection.session.name)
            self.sessions.gone(connection, FailureReason.UNREACHABLE, now)
        self.mend(now)

    def within(self, number: int, error: Exception, now: float) -> None:
        """End a connection that failed in the midst of other work, and have the tables mended afterwards."""
        self._end(number, error, now, silent=False)
        self.mend_at = now

    def _let_go(self, connection: Connection, now: float) -> None:
        if connection.session is not None:
            self.sessions.reset(connection.session, now)
            return
        try:
            self.sessions.blame(connection.owner)
            self.sessions.gone(connection, FailureReason.UNREACHABLE, now)
        except Exception as error:  # `mend` does what this has left undone
            self.note(str(connection), error)

    def session(self, session: Session, error: Exception, now: float) -> None:
        """Make a session begin anew that was dealt with, perhaps in the midst of other work, when something failed."""
        self.note(f"the session with {session.name}", error)
        self.sessions.reset(session, now)
        self.mend_at = now

    def part(self, what: str, error: Exception, now: float) -> None:
        """Note a failure that concerns no connection or session in particular, and pause such work."""
        self.note(what, error)
        self.paused_until = now + PAUSE_SECONDS
        self.mend_at = now

    def note(self, what: str, error: Exception) -> None:
        """Count a failure and write it to the log."""
        self.count += 1
        self._events.append(Unforeseen(what, tuple(told(error))))

    def mend(self, now: float) -> None:
        """Bring all tables in line with what is there."""
        self.mend_at = None
        for number in [event.connection for event in self._events if type(event) is Close]:
            connection = self._switchboard.get(number)
            if connection is not None:  # the driver has already ended it
                self._switchboard.abandon(connection, None)
                self._let_go(connection, now)
        for mender in self.menders:
            mender(now)


def told(error: BaseException) -> list[str]:
    """Return the traceback of an exception, line by line."""
    return [line for part in traceback.format_exception(error) for line in part.rstrip().splitlines()]
