"""(trio) One connection between two nodes: each direction carries out what the rules say of its bytes.

Where no rule is about the link, a direction is one receive and one send, of whatever there is. Otherwise pieces are
judged one by one, in order, and nothing more is read while one of them is held: TCP then lets the sender wait. Delayed
pieces wait in a queue, so that a slow link can be full of them; a queue that is too long is not read for either.

An end of a connection travels as bytes do. So what one side's failure tells the other is judged too, and one that is
lost, or waits, leaves the other side with a connection on which nothing happens.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from mmap import mmap
from typing import NamedTuple

import trio

from testnet.faults.bandwidth import PACKET_BYTES
from testnet.model.rule import LOSE, PASS, Closing, Judgement, Late, Link, Passing, Reset, most_at_once
from testnet.real.links import sockets
from testnet.real.links.rules import Rules

BUFFER_BYTES = 1 << 20
"""The buffer of one direction: so large that turns of the event loop cost little compared with copying."""
PIECE_BYTES = 1 << 16
"""The most that is judged at once, some four records of a session."""
MAX_LATE_BYTES = 16 << 20
"""Delayed bytes of one direction, beyond which it is not read: more than 1 Gbit/s has under way in 100 ms."""
LEAST_HELD_BYTES = 1 << 17
"""What the system may hold of a slow link that is not read: two packets of loopback. With less, its sender waits for a
timer each time."""
QUEUE_SECONDS = 0.02
"""How long a slow link's queue may be, as that of a router that manages it: what does not fit waits with its sender."""

_ANY = sys.maxsize


@dataclass(slots=True)
class Counts:
    """Counts of one link."""

    bytes: int = 0
    """Passed on."""
    connections: int = 0
    """Connections that its source has dialed."""
    resets: int = 0
    """Connections that ended abruptly for its target, because of a fault or because its source ended them so."""
    delayed: int = 0
    """Pieces."""


class StreamEnd(Enum):
    """The end of a direction, after some bytes."""

    NONE = auto()
    CLOSE = auto()
    RESET = auto()


class _Piece(NamedTuple):
    judged_at: float
    delays: tuple[Late, ...]
    data: bytes
    end: StreamEnd


@dataclass(slots=True, eq=False)
class Direction:
    """One direction, from `source` to `sink`."""

    link: Link
    connection: ProxiedConnection
    rules: Rules
    counts: Counts
    source: socket.socket
    sink: socket.socket
    _offset: int = 0
    _is_over: bool = False
    """Whatever is still read is not passed on."""
    _holds_little: bool = False
    """Whether the system was told to hold little."""
    _is_broken: bool = False
    """The sink takes no more."""
    _late: deque[_Piece] = field(default_factory=deque)
    _late_bytes: int = 0
    _shorter: trio.Event = field(default_factory=trio.Event)

    async def run(self, nursery: trio.Nursery) -> None:
        """Forward until the end of the connection, or of this direction; late pieces go on in `nursery`."""
        buffer = memoryview(mmap(-1, BUFFER_BYTES))  # only the pages that have been used cost memory
        try:
            while count := await sockets.receive_into(self.source, buffer[: self._most() or BUFFER_BYTES]):
                if self._late or self._is_over or self.rules.on(self.link):
                    await self._pass_judged(buffer[:count], nursery)
                else:
                    await self._send(buffer[:count])
                    self._offset += count
        except OSError:
            await self._end(StreamEnd.RESET, nursery)
        else:
            await self._end(StreamEnd.CLOSE, nursery)

    async def _pass_judged(self, data: memoryview, nursery: trio.Nursery) -> None:
        most = self._most() or PIECE_BYTES
        for begin in range(0, len(data), most):
            piece = bytes(data[begin : begin + most])
            if not self._is_over:
                event = Passing(self.link, self.connection.number, self._offset, piece, 0.0)
                judgement = await self.rules.decide(event)
                await self._carry_out(judgement, nursery)
                await self._queue(judgement.delays)
            self._offset += len(piece)

    def _most(self) -> int | None:
        """Return the most bytes to take at once, if the link carries only so many: what it carries in a hundredth of a
        second. The system takes little more of the sender then."""
        rules = self.rules.on(self.link)
        if not rules or (most := most_at_once(rules, self.link, _ANY)) == _ANY:
            return None
        most = max(PACKET_BYTES, min(PIECE_BYTES, most // 10))
        if not self._holds_little:
            self._holds_little = True
            sockets.hold_little(self.source, LEAST_HELD_BYTES)
        return most

    async def _queue(self, delays: tuple[Late, ...]) -> None:
        """Wait until the queue of a slow link is short enough."""
        full = tuple(
            late._replace(seconds=late.seconds - QUEUE_SECONDS)
            for late in delays
            if hasattr(late.fault, "most_at_once") and late.seconds > QUEUE_SECONDS
        )
        if full:
            await self.rules.late(self.link, trio.current_time(), full)

    async def _carry_out(self, judgement: Judgement, nursery: trio.Nursery) -> None:
        data, end = judgement.data, StreamEnd.NONE
        if judgement.verdict is LOSE:
            self._is_over = True
            return
        if judgement.verdict is not PASS:
            self._is_over = True
            after = judgement.verdict.after if isinstance(judgement.verdict, Reset) else 0
            data, end = data[:after], StreamEnd.RESET
        await self._deliver(_Piece(trio.current_time(), judgement.delays, data, end), nursery)

    async def _end(self, end: StreamEnd, nursery: trio.Nursery) -> None:
        if self._is_over:
            return
        judgement = await self.rules.decide(Closing(self.link, self.connection.number, 0.0))
        if judgement.verdict is LOSE:
            return
        if judgement.verdict is not PASS:
            end = StreamEnd.RESET
        await self._deliver(_Piece(trio.current_time(), judgement.delays, b"", end), nursery)

    async def _deliver(self, item: _Piece, nursery: trio.Nursery) -> None:
        if not item.delays and not self._late:
            await self._emit(item)
            return
        while self._late_bytes >= MAX_LATE_BYTES:
            self._shorter = trio.Event()
            await self._shorter.wait()
        self.counts.delayed += 1
        self._late_bytes += len(item.data)
        self._late.append(item)
        if len(self._late) == 1:
            nursery.start_soon(self._emit_late)

    async def _emit_late(self) -> None:
        while self._late:
            item = self._late[0]
            await self.rules.late(self.link, item.judged_at, item.delays)
            await self._emit(item)
            self._late_bytes -= len(self._late.popleft().data)
            self._shorter.set()

    async def _emit(self, item: _Piece) -> None:
        if item.data:
            await self._send(item.data)
        if item.end is StreamEnd.CLOSE and not self._is_broken:
            with contextlib.suppress(OSError):
                self.sink.shutdown(socket.SHUT_WR)
        elif item.end is StreamEnd.RESET and not self._is_broken:
            await sockets.arrived(self.sink)
            self.counts.resets += 1
            self.connection.cut()

    async def _send(self, data: bytes | memoryview) -> None:
        if self._is_broken:
            return
        try:
            await sockets.send_all(self.sink, data)
            self.counts.bytes += len(data)
        except OSError:
            await self._sink_broke()

    async def _sink_broke(self) -> None:
        """Reset the source as well, if the faults allow it."""
        self._is_over = self._is_broken = True
        judgement = await self.rules.decide(Closing(self.link.back, self.connection.number, 0.0))
        if judgement.verdict is not LOSE:
            await self.rules.late(self.link.back, trio.current_time(), judgement.delays)
            self.connection.cut()


@dataclass(slots=True, eq=False)
class ProxiedConnection:
    """A connection to the links, and the one that they have made to the target."""

    number: int
    link: Link
    """The link from the dialing node to the dialed one."""
    client: socket.socket
    server: socket.socket
    _scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    async def run(self, rules: Rules, counts: dict[Link, Counts]) -> None:
        """Forward until the connection ends; both sockets are closed then."""
        there, back = self.link, self.link.back
        directions = (
            Direction(there, self, rules, counts[there], self.client, self.server),
            Direction(back, self, rules, counts[back], self.server, self.client),
        )
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    for direction in directions:
                        nursery.start_soon(direction.run, nursery)
        finally:
            end = sockets.reset if self._scope.cancel_called else sockets.close
            for side in (self.client, self.server):
                end(side)

    def cut(self) -> None:
        """Reset both ends."""
        self._scope.cancel()
