"""Holds what was read from connections and is not handled yet, for lack of memory or because others have their turn
first.

If there is no memory for a message that begins, nothing more is read from its connection until there is some, or for
`limits.DEFERRED_SECONDS`; then the connection ends. If much work was read at once, such as ten thousand tiny messages,
a part of it is handled, and the rest after other connections have had a turn, one at a time. So a peer that floods a
node makes nobody wait for more than one part. What waits is copied, since a driver reads into one buffer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from net.base.errors import NoRoom
from net.base.frames import Control, Data
from net.base.limits import (
    DEFERRED_RETRY_SECONDS,
    DEFERRED_SECONDS,
    FRAMES_AT_ONCE,
    FRAMES_IN_A_CROWD,
    MAX_DEFERRED,
    MAX_DEFERRED_BYTES,
)
from net.base.timers import Timers
from net.contract.events import Buffer
from net.peering.connections import Switchboard
from net.session.channel import Deferred, HoldReason
from net.session.session import Connection

Frames = list[Data | Control]


def _holds(connection: Connection) -> int:
    """Return the bytes held here of messages of the connection's peer."""
    return connection.session.inbox.cost if connection.session is not None else 0


class Backlog:
    """The connections whose frames wait for memory, or for their turn."""

    def __init__(self, switchboard: Switchboard, timers: Timers[Any]) -> None:
        """`timers` has, with this object as its key, when to ask `next_turn` and `looks_again`."""
        self._switchboard = switchboard
        self._timers = timers
        self._starved: dict[Connection, None] = {}
        """Connections that wait for memory, in order."""
        self._turns: deque[Connection] = deque()
        """Connections that wait for their turn."""
        self._retry_at = 0.0
        """When to check for memory again."""

    @property
    def starves(self) -> bool:
        """Whether a connection waits for memory."""
        return bool(self._starved)

    def has_turns(self) -> bool:
        """Return whether one more connection may wait for its turn."""
        return len(self._turns) < MAX_DEFERRED

    def frames_at_once(self) -> int:
        """Return how many frames of a connection may be handled now."""
        return FRAMES_IN_A_CROWD if self._turns else FRAMES_AT_ONCE

    def crowded_out(self, connection: Connection) -> Connection | None:
        """Who has to end before this connection may wait for memory, since too many wait: whoever holds most; it waits
        no longer. None: there is room. Raises NoRoom if none of the others holds more than this one."""
        if connection in self._starved or len(self._starved) < MAX_DEFERRED:
            return None
        greediest = max(self._starved, key=_holds)
        if _holds(greediest) <= _holds(connection):
            raise NoRoom("too many peers wait for memory")
        del self._starved[greediest]
        return greediest

    def starve(self, connection: Connection, frames: Frames, now: float) -> None:
        """There is no memory for the first of these, and room for one more that waits (`crowded_out`)."""
        self._starved[connection] = None
        self._arm()
        connection.deferred = Deferred(frames, now)
        self._switchboard.hold(connection, HoldReason.BACKLOG)

    def queue(self, connection: Connection, frames: Frames, now: float) -> None:
        """Put off these frames until others have had their turn."""
        self._turns.append(connection)
        self._arm()
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

    def _arm(self) -> None:
        """Set the deadline: at once, while somebody waits for a turn."""
        self._timers.set(self, 0.0 if self._turns else self._retry_at if self._starved else None)

    def next_turn(self) -> Connection | None:
        """The connection whose turn it is, which waits for it no longer."""
        return self._turns.popleft() if self._turns else None

    def looks_again(self, now: float) -> bool:
        """Whether it is time to see if there is memory (`fed`)."""
        is_time = bool(self._starved) and now >= self._retry_at
        if is_time:
            self._retry_at = now + DEFERRED_RETRY_SECONDS
        self._arm()
        return is_time

    def fed(self, now: float) -> Iterator[Connection]:
        """Those that need to wait for memory no longer, each when the one before it has gone on. Asking costs next to
        nothing for who still finds none."""
        for connection in list(self._starved):
            if connection not in self._starved or self._finds_none(connection, now):
                continue
            del self._starved[connection]
            yield connection

    def resumed(self, connection: Connection, deferred: Deferred, frames: int, since: float, now: float) -> None:
        """What waited has been handled as far as could be, the last of it `frames` frames that wait since then. Raises
        NoRoom if nothing of them could be handled for too long."""
        anew = connection.deferred
        if anew is None:
            return
        anew.follow(deferred)
        if connection in self._starved and len(anew.frames) == frames:
            anew.since = since
            if now >= since + DEFERRED_SECONDS:
                raise NoRoom("there is no memory for its messages")

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
        self._arm()

    def __repr__(self) -> str:
        return f"Backlog({len(self._starved)} wait for memory, {len(self._turns)} for a turn)"
