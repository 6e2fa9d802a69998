"""(trio) Carries bytes and connections between a `Network` and a transport. Decides nothing.

A failure of our own code here ends the connection at which it occurred, as if that had broken, and is told to the
network (`containment`).

The owner of the network drains its events and hands `Dial`, `Close`, `Writable` and `Hold` to `handle`; after
everything that the driver has fed into the network it calls `turn`, so that the owner drains again and re-arms its
timer. Not so after what brings the owner nothing: pieces of large messages, on either side.
"""

from collections.abc import Callable

import trio

from net.base.errors import DialFailed, StreamBroken
from net.base.limits import FAREWELL_SECONDS
from net.contract.events import Buffer, Close, Dial, DialFailure, Hold, Writable
from net.io.port import Port
from net.io.transport import Listener, Stream, Transport
from net.io.turns import STRANGERS, Flow, Turns

SEND_BYTES = 1 << 18
"""Bytes encrypted and written at a time: few calls, and little that a small message has to wait behind."""
TURN_BYTES = 1 << 20
"""Bytes written or read in a row while that goes without waiting: half a millisecond of loopback, and a round of trio's
scheduler, which costs as much as encrypting 64 KiB, for every fourth piece of a large message and not for each."""
MIXED_TURN_BYTES = 1 << 18
"""The same while small messages go beside a flow: none waits long for a turn of this node."""
ACCEPT_PAUSE_SECONDS = 0.1
"""Seconds to wait after our own code has failed to accept a connection."""
PIECE_BYTES = 1 << 17
"""Bytes read of a busy peer at once, when others wait."""
TURN_SECONDS = 0.002
"""The time bound in seconds for what is read: guests handle it at once, and may have much to do."""
QUEUE_SECONDS = 0.02
"""For how long a link may have enough to write in advance: what comes later, a small message beside a file, waits for
that. It covers the time until this process has its turn again. Half of it is written at a time: the system takes no
more of it before half has gone, so nothing that is encrypted waits here."""
FIRST_SEND_BYTES = 1 << 14
"""Bytes written at a time to a link whose rate is not known: TCP's own first window (RFC 6928). Twice as many each time
that they go without waiting, up to SEND_BYTES."""
LEAST_SEND_BYTES = 1 << 11
"""Bytes written at a time to the slowest link. The network takes a connection for dead on which nothing goes for
`limits.PING_SECONDS`."""
_BURST = 4
"""After so many pieces a link has shown its rate, however fast they went: more than the system takes by itself."""


class _Link:
    """One connection as the driver knows it."""

    __slots__ = (
        "closing",
        "failure",
        "farewell",
        "flow",
        "grace",
        "limit",
        "mixed",
        "peer",
        "released",
        "rest",
        "scope",
        "since",
        "stream",
        "wake",
        "went",
        "writing",
    )

    def __init__(self, flow: Flow) -> None:
        self.peer = STRANGERS
        """The name that the peer has proven."""
        self.flow = flow
        """The flow of this peer."""
        self.scope = trio.CancelScope()
        """The scope of everything that is done for the connection."""
        self.wake = trio.Event()
        """Set when there is something to write, or the connection is to be closed."""
        self.grace = FAREWELL_SECONDS
        """Seconds that it may go on when it is to be closed; a dial has no reason to."""
        self.limit = FIRST_SEND_BYTES
        """Bytes that are encrypted and written at a time."""
        self.mixed = False
        """Whether the system was told to hold little that is not read, since small messages come beside a flow."""
        self.closing = False
        self.farewell = b""
        self.stream: Stream | None = None
        self.writing = False
        """Whether the writer is at work: no other task may write."""
        self.released: trio.Event | None = None
        """What the reader waits for before it reads again."""
        self.rest: list[Buffer] = []
        """What `transmit` could not write, for the writer."""
        self.failure: Exception | None = None
        """The failure of our own code, if there was one."""

        self.since = 0.0
        """Since when `went` bytes have gone, in seconds on the driver's clock."""
        self.went = 0
        """Bytes written since then, without a pause."""

    @property
    def slow(self) -> bool:
        """Whether it is given less than a fast link at a time."""
        return self.limit < SEND_BYTES

    def begin(self, now: float) -> None:
        """Note that there is something to write again."""
        self.since, self.went = now, 0

    def measure(self, now: float, stream: Stream) -> None:
        """Set the limit to what goes in half of QUEUE_SECONDS, if enough has gone to tell. It changes by a factor of
        two at most, as this process may have had no turn for a while."""
        seconds = now - self.since
        if seconds < QUEUE_SECONDS and self.went < _BURST * self.limit:
            return
        wanted = SEND_BYTES if seconds <= 0.0 else int(self.went / seconds * QUEUE_SECONDS / 2)
        least, most = max(LEAST_SEND_BYTES, self.limit // 2), min(SEND_BYTES, self.limit * 2)
        limit = max(least, min(most, wanted))
        self.begin(now)
        if limit != self.limit:
            self.limit = limit
            stream.limit_unsent(2 * limit)


class Driver:
    """All connections of one network. Lives as long as the nursery that it is given."""

    def __init__(
        self,
        port: Port,
        transport: Transport,
        nursery: trio.Nursery,
        turn: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """`clock` returns the `now` of the network, in seconds."""
        self._port = port
        self._transport = transport
        self._nursery = nursery
        self._turn = turn
        self._clock = clock
        self._links: dict[int, _Link] = {}
        self._reading: _Link | None = None
        """The link of which something that was read is being handled; all that takes is accounted for at its end."""
        self._one_less = trio.Event()
        self._turns = Turns(clock)
        nursery.start_soon(self._give_turns)

    def handle(self, event: Dial | Close | Writable | Hold) -> None:
        """Carry out an event of the network."""
        try:
            self._handle(event)
        except Exception as error:
            self._break(event.connection, error)

    def _handle(self, event: Dial | Close | Writable | Hold) -> None:
        match event:
            case Dial(connection, host, port):
                link = self._new_link(connection)
                link.grace = 0.0
                self._nursery.start_soon(self._dial, connection, link, host, port)
            case Writable(connection):
                self.transmit(connection)
            case Hold(connection, held):
                self._hold(connection, held)
            case Close(connection, farewell):
                if (closing := self._links.get(connection)) is not None and not closing.closing:
                    closing.closing = True
                    closing.farewell = farewell
                    closing.wake.set()
                    closing.scope.deadline = trio.current_time() + closing.grace

    def _hold(self, connection: int, held: bool) -> None:
        link = self._links.get(connection)
        if link is not None and held and link.released is None:
            link.released = trio.Event()
        elif link is not None and not held and link.released is not None:
            link.released.set()
            link.released = None

    def transmit(self, connection: int) -> None:
        """Write at once what goes without waiting, as `Writable` asks; the writer does the rest.

        A small message then costs no switch to the writer's task and back, which is as much as its encryption.
        """
        try:
            self._transmit(connection)
        except Exception as error:
            self._break(connection, error)

    def _break(self, connection: int, error: Exception) -> None:
        """Note a failure of our own code at a connection, which the task that carries it ends, if there is one."""
        link = self._links.get(connection)
        if link is None or link.stream is None:
            self._failed(connection, error)
        else:
            link.failure = error
            link.scope.cancel()

    def _transmit(self, connection: int) -> None:
        link = self._links.get(connection)
        if link is None:
            return
        stream = link.stream
        if stream is None or link.writing or link.closing or link.wake.is_set():
            link.wake.set()
            return
        if self._turns.crowded and self._turns.tokens(link.flow) <= 0:
            link.wake.set()
            return
        if link is self._reading:
            self._write_now(connection, link, stream)
            return
        began = self._clock()
        self._write_now(connection, link, stream)
        self._used(connection, link, began)

    def _write_now(self, connection: int, link: _Link, stream: Stream) -> None:
        written = 0
        while written < SEND_BYTES:
            limit = link.limit
            buffers = self._port.pending(connection, limit)
            before = written
            for index, buffer in enumerate(buffers):
                try:
                    sent = stream.send_now(buffer)
                except StreamBroken:
                    return  # the reader sees it too, and ends the connection
                written += sent
                if sent < len(buffer):
                    link.rest = [memoryview(buffer)[sent:], *buffers[index + 1 :]]
                    link.wake.set()
                    return
            if 2 * (written - before) < limit:
                return  # that was all
            if link.slow:
                break  # the writer waits until there is room
        link.wake.set()

    async def closed(self) -> None:
        """Wait until no connection is left: after `Network.shutdown`, when all farewells are written."""
        while self._links:
            await self._one_less.wait()

    def _new_link(self, connection: int) -> _Link:
        link = self._links[connection] = _Link(self._turns.flow(STRANGERS))
        return link

    def _used(self, connection: int, link: _Link, since: float) -> None:
        """Account for the time since `since` in which something was done for a connection."""
        self._turns.used(link.flow, since)
        if link.peer is STRANGERS and (peer := self._port.peer(connection)):
            link.peer, link.flow = peer, self._turns.flow(peer)

    def _forget(self, connection: int) -> None:
        self._links.pop(connection, None)
        one_less, self._one_less = self._one_less, trio.Event()
        one_less.set()

    async def _give_turns(self) -> None:
        """Give busy connections their turns; go on if our own code fails at it."""
        while True:
            try:
                await self._turns.run()
            except Exception as error:
                self._failed(0, error)
                await trio.sleep(ACCEPT_PAUSE_SECONDS)

    async def serve(self, listener: Listener) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                await self._accept(listener)
            except StreamBroken:
                return
            except Exception as error:  # the next one may be accepted
                self._failed(0, error)
                await trio.sleep(ACCEPT_PAUSE_SECONDS)

    async def _accept(self, listener: Listener) -> None:
        """Accept one connection. Raises StreamBroken if there will be no more."""
        stream = await listener.accept()
        connection = 0
        try:
            connection = self._port.new_connection()
            link = self._new_link(connection)
            self._port.accepted(connection, stream.host, self._clock())
            self._nursery.start_soon(self._pump, connection, link, stream)
        except Exception as error:
            await self._close(stream)
            self._failed(connection, error)
        self._turn()

    async def _dial(self, connection: int, link: _Link, host: str, port: int) -> None:
        stream: Stream | None = None
        reason: str = DialFailure.UNREACHABLE
        try:
            with link.scope:
                try:
                    stream = await self._transport.connect(host, port)
                except DialFailed as failure:
                    reason = DialFailure.REFUSED if failure.refused else str(failure)
            if self._links.get(connection) is not link:  # it has failed meanwhile
                broken = None if stream is None else await self._close(stream)
                if broken is not None:
                    raise broken
            elif stream is None:
                self._forget(connection)
                self._port.dial_failed(connection, reason, self._clock())
            else:
                link = self._new_link(connection)
                self._port.connected(connection, self._clock())
                self._nursery.start_soon(self._pump, connection, link, stream)
        except Exception as error:
            if stream is not None:
                await self._close(stream)
            self._failed(connection, error)
        self._turn()

    async def _pump(self, connection: int, link: _Link, stream: Stream) -> None:
        """Carry a connection until it ends. A failure of our own code ends this one alone."""
        try:
            await self._carry(connection, link, stream)
        except Exception as error:
            link.failure = link.failure or error
        finally:
            failure = await self._close(stream)
            link.failure = link.failure or failure
        try:
            if link.failure is None:
                self._forget(connection)
                self._port.lost(connection, self._clock())
            else:
                self._failed(connection, link.failure)
        except Exception as error:
            self._failed(connection, error)
        self._turn()

    async def _carry(self, connection: int, link: _Link, stream: Stream) -> None:
        """Carry both directions of a connection, until either ends."""
        link.stream = stream
        stream.limit_unsent(2 * link.limit)
        with link.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, connection, link, stream, nursery.cancel_scope)
                await self._read(connection, link, stream)
                nursery.cancel_scope.cancel()

    async def _close(self, stream: Stream) -> Exception | None:
        """End a connection whatever happens, and return the failure of our own code, if there is one."""
        with trio.CancelScope(shield=True):
            try:
                await stream.aclose()
            except Exception as error:
                return error
        return None

    def _failed(self, connection: int, error: Exception) -> None:
        """Report that our own code has failed at a connection, which is over."""
        self._forget(connection)
        self._port.failed(connection, error, self._clock())

    async def _read(self, connection: int, link: _Link, stream: Stream) -> None:
        while True:
            if link.released is not None:
                await link.released.wait()
            try:
                await stream.readable()
                if not self._turns.may_go(link.flow):
                    await self._turns.take(link.flow)
                most = PIECE_BYTES if self._turns.crowded else None
                data = stream.receive_now(most) or await stream.receive_some(most)
            except StreamBroken:
                return
            if not data:
                return
            began = self._clock()
            self._reading = link
            if self._port.receive(connection, data, began):
                self._turn()
            taken = len(data)
            turn = self._turn_bytes(connection, link, stream, began) if taken >= SEND_BYTES else 0
            while SEND_BYTES <= taken < turn and link.released is None and not self._turns.crowded:
                if self._clock() - began > TURN_SECONDS or not (data := stream.receive_now()):
                    break
                if self._port.receive(connection, data, self._clock()):
                    self._turn()
                taken += len(data)
            self._reading = None
            self._used(connection, link, began)

    def _turn_bytes(self, connection: int, link: _Link, stream: Stream, now: float) -> int:
        """Return how much may be read in a row, now that much is read; what the system holds goes by the same."""
        mixed = self._port.mixed(connection, now)
        if mixed is not link.mixed:
            link.mixed = mixed
            stream.limit_unread(mixed)
        return MIXED_TURN_BYTES if mixed else TURN_BYTES

    async def _write(self, connection: int, link: _Link, stream: Stream, scope: trio.CancelScope) -> None:
        try:
            while not link.closing:
                await link.wake.wait()
                link.wake = trio.Event()
                link.writing = True
                in_a_row, turn = 0, TURN_BYTES
                link.begin(self._clock())
                while True:
                    if not self._turns.may_go(link.flow):
                        await self._turns.take(link.flow)
                    if link.slow and not link.rest:
                        await stream.send_all(b"")  # until there is room: what comes meanwhile need not wait for more
                        link.measure(self._clock(), stream)
                    began = self._clock()
                    if not (buffers := link.rest or self._port.pending(connection, link.limit)):
                        break
                    self._used(connection, link, began)
                    link.rest = []
                    if in_a_row >= MIXED_TURN_BYTES:
                        turn = MIXED_TURN_BYTES if self._port.mixed(connection, began) else TURN_BYTES
                    for buffer in buffers:
                        sent = stream.send_now(buffer) if in_a_row < turn else 0
                        in_a_row += sent
                        link.went += len(buffer)
                        if sent < len(buffer):
                            await stream.send_all(memoryview(buffer)[sent:])
                            in_a_row = 0
                            if not link.slow:
                                link.measure(self._clock(), stream)
                    buffers, buffer = [], b""  # so that `pending` can use their memory again
                    if self._port.unsettled:  # at a router it may go on reading the circuit's other leg
                        self._turn()
                link.writing = False
            for buffer in link.rest:
                await stream.send_all(buffer)  # a record that was begun: the farewell comes behind it
            if link.farewell:
                await stream.send_all(link.farewell)
        except StreamBroken:
            pass
        scope.cancel()
