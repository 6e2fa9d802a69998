"""What goes wrong in our own code ends the smallest thing that can end.

Theory of operation. An exception that nobody has foreseen leaves half done whatever it was raised in. So the connection
that was being handled ends, with a goodbye that says whose fault it is, and its session begins anew, as if this node
had restarted for that peer alone: what was on its way there comes back to its senders, since nobody knows what became
of it. Then all tables are looked through (`mend`), from what is there and not from what has been counted, and whatever
nothing would carry on any more is reset too. All of that may be done at any time, and twice, to the same effect.

What fails while the tables are mended is not caught: then the state of all connections may be torn, and the node has to
begin anew. Tests: tests/net/peering/test_containment.py.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable

from net.base.errors import GoodbyeCode
from net.contract.events import Close, FailureReason, NetEvent, Unforeseen
from net.peering.connections import Switchboard
from net.session.session import Connection, Session

WHY = "this node failed: its log says why"
"""What is said of a connection or a session that ends so."""
PAUSE_SECONDS = 1.0
"""What concerns all connections and has failed is not tried again sooner: it would fail again, over and over."""


class Containment:
    """Of one network."""

    gone: Callable[[Connection, FailureReason, float], None]
    """Carries on with whoever relied on a connection; see `reception.Reception.gone`."""
    reset: Callable[[Session, float], None]
    """See `sessions.Sessions.reset`."""
    blame: Callable[[str | None], None]
    """See `sessions.Sessions.blame`."""

    def __init__(self, events: deque[NetEvent], switchboard: Switchboard) -> None:
        self._events = events
        self._switchboard = switchboard
        self.menders: list[Callable[[float], None]] = []
        """What brings the tables of each part in line with what is there."""
        self.count = 0
        """How much has failed so far."""
        self.mend_at: float | None = None
        """When `mend` is to be called; None: nothing is torn."""
        self.paused_until = 0.0
        """What concerns all connections is left alone until then."""

    def connection(self, number: int, error: Exception, now: float, *, silent: bool = False) -> None:
        """Something failed while that connection was handled: it ends. `silent`: without a goodbye, since bytes that
        were encrypted before it are lost."""
        self._end(number, error, now, silent=silent)
        self.mend(now)
        self.mend_at = now  # and go on with what waits for a moment when nothing is torn

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
        """Something failed at that connection outside of here: it has broken, and nothing is torn."""
        connection = self._switchboard.get(number)
        self.note(f"connection {number}" if connection is None else str(connection), error)
        if connection is not None:
            self._switchboard.abandon(connection, None)
            connection.why = WHY
            self.blame(connection.owner if connection.session is None else connection.session.name)
            self.gone(connection, FailureReason.UNREACHABLE, now)
        self.mend(now)

    def within(self, number: int, error: Exception, now: float) -> None:
        """The same in the midst of something else, after which the tables are mended."""
        self._end(number, error, now, silent=False)
        self.mend_at = now

    def _let_go(self, connection: Connection, now: float) -> None:
        if connection.session is not None:
            self.reset(connection.session, now)
            return
        try:
            self.blame(connection.owner)
            self.gone(connection, FailureReason.UNREACHABLE, now)
        except Exception as error:  # `mend` does what this has left undone
            self.note(str(connection), error)

    def session(self, session: Session, error: Exception, now: float) -> None:
        """Something failed while a session was dealt with, perhaps in the midst of something else: it begins anew."""
        self.note(f"the session with {session.name}", error)
        self.reset(session, now)
        self.mend_at = now

    def part(self, what: str, error: Exception, now: float) -> None:
        """Something failed that concerns no connection or session in particular."""
        self.note(what, error)
        self.paused_until = now + PAUSE_SECONDS
        self.mend_at = now

    def note(self, what: str, error: Exception) -> None:
        """Write it down."""
        self.count += 1
        self._events.append(Unforeseen(what, tuple(told(error))))

    def mend(self, now: float) -> None:
        """Bring all tables in line with what is there."""
        self.mend_at = None
        for number in [event.connection for event in self._events if type(event) is Close]:
            connection = self._switchboard.get(number)
            if connection is not None:  # it is over for the driver
                self._switchboard.abandon(connection, None)
                self._let_go(connection, now)
        for mender in self.menders:
            mender(now)


def told(error: BaseException) -> list[str]:
    """The traceback of an exception, line by line."""
    return [line for part in traceback.format_exception(error) for line in part.rstrip().splitlines()]
