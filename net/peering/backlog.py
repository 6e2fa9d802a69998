"""Holds what was read from connections and is not handled yet, for lack of memory or because others have their turn
first.

If there is no memory for a message that begins, nothing more is read from its connection until there is some, or for
`limits.DEFERRED_SECONDS`; then the connection ends. If much work was read at once, such as ten thousand tiny messages,
a part of it is handled, and the rest after other connections have had a turn, one at a time. So a peer that floods a
node makes nobody wait for more than one part. What waits is copied, since a driver reads into one buffer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from net.base.errors import NoRoom, ProtocolViolation
from net.base.frames import Control, Data
from net.base.limits import (
    DEFERRED_RETRY_SECONDS,
    DEFERRED_SECONDS,
    FRAMES_AT_ONCE,
    FRAMES_IN_A_CROWD,
    MAX_DEFERRED,
    MAX_DEFERRED_BYTES,
)
from net.contract.events import Buffer
from net.peering.connections import Switchboard
from net.peering.containment import Containment
from net.session.channel import Deferred, HoldReason
from net.session.session import Connection, Session

Frames = list[Data | Control]


def _holds(connection: Connection) -> int:
    """Return the bytes held here of messages of the connection's peer."""
    return connection.session.inbox.cost if connection.session is not None else 0


class Backlog:
    """The connections of a network whose records wait for memory or for their turn."""

    def __init__(
        self,
        switchboard: Switchboard,
        containment: Containment,
        *,
        frames: Callable[[Connection, Frames, float], None],
        record: Callable[[Connection, Buffer, float], None],
        begin_turn: Callable[[], None],
        violated: Callable[[Connection, ProtocolViolation, float], None],
        excuse: Callable[[Session, float, float], None],
    ) -> None:
        """`frames` and `record` handle what waited, and may put off the rest of it; they raise ProtocolViolation.
        `begin_turn` is called before the records of another connection are handled. `violated` ends a connection.
        `excuse` is called when a connection is read from again, with its session, the time since when it was not read,
        and now.
        """
        self._switchboard = switchboard
        self._containment = containment
        self._frames = frames
        self._record = record
        self._begin_turn = begin_turn
        self._violated = violated
        self._excuse = excuse
        self._starved: dict[Connection, None] = {}
        """Connections that wait for memory, in order."""
        self._turns: deque[Connection] = deque()
        """Connections that wait for their turn."""
        self._retry_at = 0.0
        """When to check for memory again."""

    def has_turns(self) -> bool:
        """Return whether one more connection may wait for its turn."""
        return len(self._turns) < MAX_DEFERRED

    def frames_at_once(self) -> int:
        """Return how many frames of a connection may be handled now."""
        return FRAMES_IN_A_CROWD if self._turns else FRAMES_AT_ONCE

    def starve(self, connection: Connection, frames: Frames, now: float) -> None:
        """Put off these frames, since there is no memory for the first. If too many connections wait, the one that
        holds most is ended; raises NoRoom if no other one holds more than this one."""
        if connection not in self._starved and len(self._starved) >= MAX_DEFERRED:
            greediest = max(self._starved, key=_holds)
            if _holds(greediest) <= _holds(connection):
                raise NoRoom("too many peers wait for memory")
            del self._starved[greediest]
            self._violated(greediest, NoRoom("too many peers wait for memory, and this one holds most"), now)
        self._starved[connection] = None
        connection.deferred = Deferred(frames, now)
        self._switchboard.hold(connection, HoldReason.BACKLOG)

    def queue(self, connection: Connection, frames: Frames, now: float) -> None:
        """Put off these frames until others have had their turn."""
        self._turns.append(connection)
        connection.deferred = Deferred(frames, now)
        self._switchboard.hold(connection, HoldReason.BACKLOG)

    def put(self, connection: Connection, piece: Buffer) -> None:
        """Keep a record that was read behind what waits. Raises NoRoom if a driver reads on and on."""
        deferred = connection.deferred
        assert deferred is not None
        deferred.add_piece(piece)
        if deferred.bytes > MAX_DEFERRED_BYTES:
            raise NoRoom("too much is sent while nothing is read")

    # --- time passes ------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when to call `on_timer`: at once, while a connection waits for its turn."""
        if self._turns:
            return 0.0
        return self._retry_at if self._starved else None

    def on_timer(self, now: float) -> None:
        """Give the next connection its turn, and retry those that wait for memory."""
        if self._turns:
            connection = self._turns.popleft()
            self._begin_turn()
            self._resume(connection, now)
        if self._starved and now >= self._retry_at:
            self._retry_at = now + DEFERRED_RETRY_SECONDS
            self.feed(now)

    def feed(self, now: float) -> None:
        """Retry the connections that wait for memory. This runs whenever a message is taken, so a connection that still
        finds none costs next to nothing."""
        for connection in list(self._starved):
            if connection not in self._starved or self._finds_none(connection, now):
                continue
            del self._starved[connection]
            self._resume(connection, now)

    @staticmethod
    def _finds_none(connection: Connection, now: float) -> bool:
        """Return whether a connection still has to wait for memory, and may."""
        deferred, session = connection.deferred, connection.session
        if connection.closed or deferred is None or session is None or now >= deferred.since + DEFERRED_SECONDS:
            return False
        first = deferred.frames[0]
        return type(first) is Data and not session.inbox.has_memory(first)

    def mend(self) -> None:
        """Repair the queues (see `containment`): a connection with anything that waits is in a queue, and no other is
        held."""
        waiting = {each: None for each in self._switchboard.all() if each.deferred is not None}
        self._starved = {each: None for each in self._starved if each in waiting}
        turns = {each: None for each in self._turns if each in waiting and each not in self._starved}
        self._turns = deque(turns | {each: None for each in waiting if each not in self._starved})
        for connection in self._switchboard.all():
            if connection.deferred is None:
                self._switchboard.release(connection, HoldReason.BACKLOG)

    def _resume(self, connection: Connection, now: float) -> None:
        deferred = connection.deferred
        if connection.closed or deferred is None:
            return
        try:
            self._go_on(connection, deferred, now)
        except ProtocolViolation as violation:
            self._violated(connection, violation, now)
        except Exception as error:
            self._containment.within(connection.number, error, now)
        if not connection.closed and connection.deferred is None:
            self._switchboard.release(connection, HoldReason.BACKLOG)
            if connection.session is not None:
                self._excuse(connection.session, deferred.began, now)

    def _go_on(self, connection: Connection, deferred: Deferred, now: float) -> None:
        """Handle what waited, until something of it has to wait again. Raises ProtocolViolation."""
        frames, since = len(deferred.frames), deferred.since
        connection.deferred = None
        self._frames(connection, deferred.frames, now)
        while deferred.pieces and connection.deferred is None and not connection.closed:
            frames, since = 0, now
            self._record(connection, deferred.take_piece(), now)
        anew = connection.deferred
        if anew is None:
            return
        anew.follow(deferred)
        if connection in self._starved and len(anew.frames) == frames:
            anew.since = since  # none of it could be handled
            if now >= since + DEFERRED_SECONDS:
                raise NoRoom("there is no memory for its messages")

    def __repr__(self) -> str:
        return f"Backlog({len(self._starved)} wait for memory, {len(self._turns)} for a turn)"
