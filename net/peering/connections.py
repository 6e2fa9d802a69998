"""The table of all connections: their numbers, their deadlines, the caps on unfinished handshakes, and their events.

It knows what a connection is, and nothing of what it is for.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from net.base.errors import GoodbyeCode, NoRoom
from net.base.frames import Control, Ping
from net.base.limits import (
    HALF_OPEN_PART,
    HANDSHAKE_SECONDS,
    MAX_HALF_OPEN,
    MAX_REPLY_BYTES,
    MURMUR_SECONDS,
    PAUSE_REPLY_BYTES,
    RELAY_BYTES,
    SCARCE_RELAY_BYTES,
)
from net.base.timers import Timers
from net.contract.events import Buffer, Close, Dial, Hold, NetEvent, Writable
from net.names.directory import Endpoint
from net.session.channel import HoldReason, Stage
from net.session.half_open import HalfOpenConnections
from net.session.handshake import Handshake
from net.session.session import Connection

_new = tuple.__new__
_NONE = HoldReason.NONE
"""Nearly always the case, and `&` of an enumeration takes a microsecond."""


class Switchboard:
    """All connections of a network, by number."""

    def __init__(
        self, events: deque[NetEvent], entropy: Callable[[int], bytes], most: int, timers: Timers[Any]
    ) -> None:
        """`events` takes Dial, Close and Writable; `most` is `NetworkConfig.connections`; `timers` gets the earliest
        deadline."""
        self._events = events
        self._connections: dict[int, Connection] = {}
        self._next_number = 1
        self._meetings = 0
        self._half_open = HalfOpenConnections(entropy, max(1, min(MAX_HALF_OPEN, most // HALF_OPEN_PART)))
        self._most_others = most - self._half_open.most
        self.timers: Timers[int] = Timers(timers)
        """One deadline for each connection, by number."""

    def new_number(self) -> int:
        """Return a number that no connection has had."""
        number = self._next_number
        self._next_number += 1
        return number

    def new_meeting(self) -> int:
        """Return a new value for `Connection.met`."""
        self._meetings += 1
        return self._meetings

    def get(self, number: int | None) -> Connection | None:
        """Return the connection of that number, or None."""
        return self._connections.get(number) if number is not None else None

    def all(self) -> list[Connection]:
        """Return all connections, oldest first."""
        return list(self._connections.values())

    def has_room(self, host: str) -> bool:
        """Return whether one more handshake with that host may begin."""
        return self._half_open.has_room(host)

    def in_the_way(self, host: str, now: float) -> Connection | None:
        """Return an unfinished handshake that has to give way to one with that host, or None if all are finished."""
        return self._half_open.in_the_way(host, now)

    @property
    def is_full(self) -> bool:
        """Return whether there are so many connections that none is added whose handshake is finished."""
        return len(self._connections) - len(self._half_open) >= self._most_others

    def spoke(self, connection: Connection) -> None:
        """Note that the other side's first handshake message has come."""
        if not connection.met:
            connection.met = self.new_meeting()
            self._half_open.spoke(connection)

    def accept(self, number: int, host: str, handshake: Handshake, now: float) -> None:
        """Add a connection that has come from `host`, for which `has_room` was true."""
        connection = Connection(number, handshake, dialed=None, host=host, now=now)
        self._connections[number] = connection
        self._half_open.add(connection)
        self.timers.set(number, now + HANDSHAKE_SECONDS)

    def dial(self, name: str, endpoint: Endpoint, handshake: Handshake, *, until: float, now: float) -> Connection:
        """Have a connection opened; it ends unless its handshake is done by `until`."""
        number = self.new_number()
        connection = Connection(number, handshake, dialed=name, host=endpoint.host, now=now)
        connection.endpoint = endpoint
        self._connections[number] = connection
        self.timers.set(number, until)
        self._events.append(Dial(number, endpoint.host, endpoint.port))
        return connection

    def signal(self, connection: Connection | None) -> None:
        """Emit Writable if the connection has something to write and the driver was not told yet."""
        if connection is None or connection.signalled or connection.closed or not connection.writable:
            return
        connection.signalled = True
        self._events.append(_new(Writable, (connection.number,)))

    def queue(self, connection: Connection, frame: Control) -> None:
        """Send a control frame."""
        connection.queue(frame)
        self.signal(connection)

    def ping(self, connection: Connection, now: float) -> None:
        """Ask for a pong, unless one is awaited: a pong does not say which ping it answers, and the time is
        measured.
        """
        if connection.ping_sent is None:
            connection.ping_sent = now
            self.queue(connection, Ping())

    def murmur(self, connection: Connection, bytes_sent: int, now: float) -> None:
        """Say something if this side of a live connection, which receives a long record, has said nothing since the
        last time. `bytes_sent` is the session's."""
        if connection.stage is not Stage.LIVE or not connection.splitter.held:
            return
        if connection.said == bytes_sent and not connection.signalled:
            self.queue(connection, Ping())  # of which no answer is awaited
        connection.said = bytes_sent
        connection.murmurs_at = now + MURMUR_SECONDS

    def reply(self, connection: Connection, frame: Control) -> None:
        """Send a control frame that the peer has asked for. Nothing more is read from a peer that asks faster than it
        reads. Raises NoRoom if even that does not help."""
        self.check_reads(connection)
        self.queue(connection, frame)
        if connection.control_bytes >= PAUSE_REPLY_BYTES:
            self.hold(connection, HoldReason.REPLIES)

    def check_reads(self, connection: Connection) -> None:
        """Raise NoRoom if the peer has not read as many answers as may wait for it."""
        if connection.control_bytes >= MAX_REPLY_BYTES:
            raise NoRoom("the peer does not read the answers that it asks for")

    def hold(self, connection: Connection, why: HoldReason) -> None:
        """Stop reading from the connection, for that reason."""
        if not connection.holds:
            self._events.append(Hold(connection.number, held=True))
        connection.holds |= why

    def release(self, connection: Connection, why: HoldReason) -> None:
        """Drop that reason not to read from the connection; without any, it is read from again."""
        before, connection.holds = connection.holds, connection.holds & ~why
        if before and not connection.holds:
            self._events.append(Hold(connection.number, held=False))

    def pending(self, number: int, limit: int) -> list[Buffer]:
        """Return about `limit` bytes to write now (see `network.Network.pending`)."""
        connection = self._connections.get(number)
        if connection is None:
            return []
        buffers = connection.fill(limit)
        if connection.partner is not None:
            self._unthrottle(connection.partner)
        if (
            connection.holds is not _NONE
            and connection.holds & HoldReason.REPLIES
            and 2 * connection.control_bytes <= PAUSE_REPLY_BYTES
        ):
            self.release(connection, HoldReason.REPLIES)
        size = sum(map(len, buffers))
        if 2 * size < limit:
            connection.signalled = False  # `fill` gives all there is unless that is more than the limit
        if connection.session is not None:
            connection.session.bytes_sent += size
        return buffers

    # --- circuits ---

    def replace(self, connection: Connection, successor: Connection, now: float) -> None:
        """Hand the bytes of `connection` over to `successor`, which has its number."""
        assert connection.number == successor.number
        connection.closed = True
        successor.splitter = connection.splitter
        self._connections[successor.number] = successor
        if successor.half_open:
            self._half_open.add(successor)
            self.timers.set(successor.number, now + HANDSHAKE_SECONDS)

    def relay(self, connection: Connection, data: Buffer) -> None:
        """Pass bytes that have come to the circuit's other leg; if they pile up there, stop reading from this one."""
        partner = connection.partner
        assert partner is not None
        partner.queue_raw(bytes(data))
        scarce = partner.payer is not None and not partner.payer.may_add(RELAY_BYTES)
        if partner.raw_bytes > (SCARCE_RELAY_BYTES if scarce else RELAY_BYTES):
            self.hold(connection, HoldReason.RELAY)
        self.signal(partner)

    def _unthrottle(self, connection: Connection) -> None:
        partner = connection.partner
        if connection.holds & HoldReason.RELAY and partner is not None and 2 * partner.raw_bytes <= RELAY_BYTES:
            self.release(connection, HoldReason.RELAY)

    def handshake_done(self, connection: Connection) -> None:
        """Stop counting the connection against the caps on unfinished handshakes."""
        if connection.half_open:
            connection.half_open = False
            self._half_open.remove(connection)

    def forget(self, connection: Connection) -> None:
        """Remove the connection from the table."""
        connection.closed = True
        del self._connections[connection.number]
        connection.drop()
        self.timers.set(connection.number, None)
        self.handshake_done(connection)

    def close(self, connection: Connection, code: GoodbyeCode | None) -> None:
        """End a connection, with a goodbye if the peer can read one."""
        # In this order: whatever fails here, the driver hears that the connection has ended.
        self._events.append(Close(connection.number, connection.farewell(code)))
        self.forget(connection)

    def abandon(self, connection: Connection, code: GoodbyeCode | None) -> None:
        """End a connection after our own code has failed, in whatever state it is."""
        try:
            farewell = connection.farewell(code)
        except Exception:  # the goodbye itself may be what fails
            farewell = b""
        self._events.append(Close(connection.number, farewell))
        self._connections.pop(connection.number, None)
        connection.drop()

    def mend(self, now: float) -> None:
        """Repair the counts and deadlines (see `containment`)."""
        self._half_open.mend(self._connections.values())
        for connection in self._connections.values():
            if connection.number not in self.timers:
                self.timers.set(connection.number, now + HANDSHAKE_SECONDS)
            self.signal(connection)

    def __repr__(self) -> str:
        return f"Switchboard({self.all()})"
