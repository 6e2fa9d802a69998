"""A channel to a peer: its handshake, then its records. It knows no rules of sessions and makes no decisions."""

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from enum import IntEnum, IntFlag
from typing import Protocol

from net.base.errors import BadHandshake, GoodbyeCode
from net.base.frames import Control, Data, Goodbye, encode_acks, encode_control
from net.base.limits import (
    HELD_PIECE_OVERHEAD_BYTES,
    MAX_CHUNK_WORTH_WAITING,
    MAX_HANDSHAKE_BYTES,
    MAX_PLAINTEXT_BYTES,
    MAX_RECORD_BYTES,
    RECORD_GROWTH_BYTES,
    STALL_BYTES,
    STALL_SECONDS,
    TAG_BYTES,
)
from net.base.memory import Account
from net.contract.events import Buffer
from net.names.directory import Endpoint
from net.session.handshake import FIRST_MESSAGE_SIZES, Greeting, Handshake
from net.session.inbox import Inbox
from net.session.liveness import Liveness
from net.session.outbox import Outbox, PairNumbers
from net.session.sealing import LENGTH, Opener, Sealer, Splitter

_RECORD_OVERHEAD = LENGTH.size + TAG_BYTES
_WHOLE_RECORD = MAX_RECORD_BYTES + LENGTH.size
_SHORT_RECORD = 2 * MAX_CHUNK_WORTH_WAITING + 512
"""The least space for a record that does not hold all there is, in bytes: more than half of it is used in any case."""
_REUSED_BYTES = 2 * MAX_RECORD_BYTES
"""Bytes of records from which on their memory is kept for the next ones: a connection that writes less keeps none."""
_LEAST_ROOM = 256
"""A record is not begun at the end of a buffer that has less space than this, in bytes."""


class Stage(IntEnum):
    """How far a connection has come."""

    DIALING = 0
    """The driver was told to open it."""
    HANDSHAKE = 1
    """Handshake messages pass."""
    VERIFYING = 2
    """The handshake is finished; whether the name belongs to the key is being looked up."""
    LEG = 3
    """The peer is believed, and the connection is to be a leg of a circuit: the router's answer is awaited."""
    WAITING = 4
    """The peer is believed; its resume frame is awaited."""
    LIVE = 5
    """Messages pass."""
    SPLICED = 6
    """At a router: the bytes are two other nodes', and go to `session.Connection.partner` as they are."""


class HoldReason(IntFlag):
    """Why nothing is read from a connection for now."""

    NONE = 0
    RELAY = 1
    """The circuit's other leg takes no more."""
    REPLIES = 2
    """The peer asks, and does not read the answers."""
    BACKLOG = 4
    """What was read before is not handled yet (`backlog`)."""


_HANDSHAKE, _LIVE = Stage.HANDSHAKE, Stage.LIVE
"""Module-level names: looking up a member of an enumeration takes 70 nanoseconds, this takes 5."""


def _kept(frame: Data) -> Data:
    """Return the same frame with its chunk copied out of memory that the next record will use."""
    return frame if type(frame.chunk.obj) is bytes else frame._replace(chunk=memoryview(bytes(frame.chunk)))


class Deferred:
    """What was read from a connection and is handled later (`backlog`)."""

    __slots__ = ("began", "bytes", "frames", "pieces", "since")

    def __init__(self, frames: Iterable[Data | Control], now: float) -> None:
        """`frames` is the rest of a record that is decrypted; their chunks are copied."""
        self.frames = [_kept(frame) if type(frame) is Data else frame for frame in frames]
        self.pieces: deque[bytes] = deque()
        """Records that came after the frames."""
        self.bytes = 0
        """Bytes of these records."""
        self.began = now
        """Since when nothing is read."""
        self.since = now
        """Since when nothing of it was handled."""

    def add_piece(self, piece: Buffer) -> None:
        """Add a record behind all that is there."""
        self.pieces.append(bytes(piece))
        self.bytes += len(piece) + HELD_PIECE_OVERHEAD_BYTES

    def take_piece(self) -> bytes:
        """Remove the first record and return it."""
        piece = self.pieces.popleft()
        self.bytes -= len(piece) + HELD_PIECE_OVERHEAD_BYTES
        return piece

    def follow(self, former: "Deferred") -> None:
        """Take over what is left of `former`, of which a part was handled, behind these frames."""
        self.pieces, self.bytes, self.began = former.pieces, former.bytes, former.began


class Carried(Protocol):
    """The session whose messages a channel carries."""

    name: str
    inbox: Inbox
    outbox: Outbox


class Channel:
    """One connection to a peer: it makes handshake messages and records, and reads them. `stage` and the timing fields
    are set by `reception` and `sessions`."""

    __slots__ = (
        "_buffer",
        "_controls",
        "_held_at_ping",
        "_pair_numbers",
        "_raw",
        "_sealer",
        "closed",
        "control_bytes",
        "deferred",
        "dialed",
        "endpoint",
        "greeting",
        "half_open",
        "handshake",
        "held",
        "held_bytes",
        "holds",
        "host",
        "last_heard",
        "met",
        "murmurs_at",
        "number",
        "opener",
        "owner",
        "pairs",
        "payer",
        "ping_sent",
        "pinged",
        "raw_bytes",
        "said",
        "session",
        "signalled",
        "splitter",
        "stage",
        "via",
        "watch",
        "why",
    )

    def __init__(self, number: int, handshake: Handshake, *, dialed: str | None, host: str, now: float) -> None:
        """`dialed` is the name of the node that was dialed; None for a connection that was accepted from `host`."""
        self.number = number
        self.handshake = handshake
        self.dialed = dialed
        self.host = host
        self.why: str | None = "the connection broke"
        """Why the connection ends, in words; None: another one has taken its place."""
        self.stage = Stage.DIALING if dialed is not None else Stage.HANDSHAKE
        self.owner = dialed
        """The peer for whose session this was dialed: the node that was dialed, or the one behind that router."""
        self.endpoint: Endpoint | None = None
        """The address that was dialed."""
        self.via: str | None = None
        """The router whose circuit the connection is."""
        self.holds = HoldReason.NONE
        """Why the driver was told to stop reading from the connection."""
        self.payer: Account | None = None
        """At a router: the account of the caller, which pays for what waits to be passed on."""
        self.raw_bytes = 0
        """Memory of what waits to be written and is not encrypted here: handshake messages, and a partner's bytes."""
        self.session: Carried | None = None
        self.greeting: Greeting | None = None
        self.closed = False
        self.half_open = dialed is None
        """Whether the connection counts against the caps on unfinished handshakes."""
        self.signalled = False
        """Whether a Writable event is out."""
        self.last_heard = now
        """When the last whole record came; at a router, the last bytes."""
        self.pinged = False
        """Whether the connection ends unless something is heard in time."""
        self._held_at_ping = 0
        """How many bytes of an incomplete record were there then, or at the last check since."""
        self.murmurs_at = now
        """When it is next to be seen whether this side has said anything, while a long record comes."""
        self.said = 0
        """The session's bytes sent, when that was seen last."""
        self.ping_sent: float | None = None
        """When the ping whose pong has not come was queued; there is never more than one."""
        self.watch = Liveness()
        self.splitter = Splitter()
        self.deferred: Deferred | None = None
        """What was read and is not handled yet."""
        self.held: list[bytes] = []
        """Records that came before it was decided whether the peer is believed."""
        self.held_bytes = 0
        """Memory that these records take, in bytes."""
        self.met = 0
        """A number that grows from connection to connection, from 1, given when the other side's first handshake
        message comes. The peer's process was alive at that moment, since it sent messages before and after it; so
        processes of one node that follow each other have numbers in the same order."""
        self._raw: list[bytes] = []
        self._controls: deque[bytes] = deque()
        self.control_bytes = 0
        """Memory of the control frames that wait to be written, in bytes."""
        self._buffer: bytearray | None = None
        """Memory of the last records, while there are many. A new block for each would be filled with zeros first, and
        lie in no cache."""
        self._sealer: Sealer | None = None
        self.opener: Opener | None = None
        """Decrypts the peer's records; None: the handshake is not finished."""
        self.pairs: dict[int, bytes] | None = None
        """The pairs of processes that the peer has given numbers on this connection; None: version 1 is spoken here."""
        self._pair_numbers = PairNumbers()
        """Those that this side has given."""

    # --- liveness ---

    def expect_answer(self) -> None:
        """Note that the connection ends unless something is heard in time."""
        self.pinged = True
        self._held_at_ping = self.splitter.held

    def record_grows(self, now: float) -> bool:
        """Return whether a record comes, slowly and yet as fast as it must, though none was whole since the ping, or
        since the last check."""
        grown = self.splitter.held - self._held_at_ping
        self._held_at_ping = self.splitter.held
        expected = self.splitter.expected() or 0
        due = self.last_heard + STALL_SECONDS * (1 + expected / STALL_BYTES)
        return grown >= RECORD_GROWTH_BYTES and now < due

    # --- handshake ---

    def begin(self) -> None:
        """Send message 1 on a dialed connection that is open now."""
        self.stage = Stage.HANDSHAKE
        self._send_handshake(self.handshake.begin())

    def read_handshake_untrusted(self, message: Buffer) -> Greeting | None:
        """Read a handshake message; return the peer's greeting if it has come. Raises BadHandshake."""
        greeting = self.handshake.read_untrusted(message)
        if greeting is None:
            self._send_handshake(self.handshake.write())
            return None
        self.greeting = greeting
        if self.handshake.finished:
            self._split()
        return greeting

    def finish_handshake(self) -> None:
        """Send message 3, since the peer that was dialed is believed."""
        self._send_handshake(self.handshake.write())
        self._split()

    def check_expected(self) -> None:
        """Raise BadHandshake if what has arrived so far cannot become a handshake message, so that junk is not waited
        for."""
        if self.stage is not _HANDSHAKE:
            return
        expected = self.splitter.expected()
        if expected is None:
            return
        if expected > MAX_HANDSHAKE_BYTES or (self.handshake.awaits_first and expected not in FIRST_MESSAGE_SIZES):
            raise BadHandshake("this is not a handshake")

    def _send_handshake(self, message: bytes) -> None:
        self.queue_raw(LENGTH.pack(len(message)) + message)

    def _split(self) -> None:
        self._sealer, self.opener = self.handshake.split()

    # --- records ---

    def queue(self, frame: Control) -> None:
        """Send a control frame, before any message."""
        self._queue(encode_control(frame))

    def _queue(self, frame: bytes) -> None:
        self._controls.append(frame)
        self.control_bytes += len(frame) + HELD_PIECE_OVERHEAD_BYTES

    def queue_raw(self, data: bytes) -> None:
        """Send bytes as they are, before all records that are not made yet."""
        size = len(data) + HELD_PIECE_OVERHEAD_BYTES
        self._raw.append(data)
        self.raw_bytes += size
        if self.payer is not None:
            self.payer.add(size)

    def queue_record(self, frame: Control) -> None:
        """Send a control frame, encrypted now, so that raw bytes may follow it."""
        self.queue_raw(self._seal(frame))

    def farewell(self, code: GoodbyeCode | None) -> bytes:
        """Return the last bytes to write: unsent handshake messages, and a goodbye if the peer can decrypt one."""
        parts = self._take_raw()
        if code is not None and self._sealer is not None and self.stage is not Stage.SPLICED:
            parts.append(self._seal(Goodbye(code)))
        return b"".join(parts)

    def _take_raw(self) -> list[bytes]:
        if self.payer is not None:
            self.payer.remove(self.raw_bytes)
        parts, self._raw, self.raw_bytes = self._raw, [], 0
        return parts

    def drop(self) -> None:
        """Drop all that waits, since the connection is gone."""
        self.closed = True
        self._take_raw()

    def _seal(self, frame: Control) -> bytes:
        assert self._sealer is not None
        encoded = encode_control(frame)
        record = bytearray(len(encoded) + _RECORD_OVERHEAD)
        record[LENGTH.size : LENGTH.size + len(encoded)] = encoded
        self._sealer.seal(memoryview(record), 0, len(encoded))
        return bytes(record)

    @property
    def writable(self) -> bool:
        """Whether `fill` may return anything."""
        if self._raw or self._controls:
            return True
        session = self.session
        if session is None or self.stage is not _LIVE:
            return False
        return session.inbox.has_acks or session.outbox.writable

    def fill(self, limit: int) -> list[Buffer]:
        """Return what there is to write, at most about `limit` bytes of it, encrypted now."""
        buffers: list[Buffer] = [*self._take_raw()] if self._raw else []
        controls, session = self._controls, self.session
        if self._sealer is None:
            return buffers
        need = _RECORD_OVERHEAD + _LEAST_ROOM
        outbox = None
        if session is not None and self.stage is _LIVE:
            acks = session.inbox.take_acks()
            if acks:
                self._queue(encode_acks(acks))
            if session.outbox.writable:
                outbox = session.outbox
                need += outbox.estimate()
        if controls or outbox is not None:
            for frame in controls:
                need += len(frame) + _RECORD_OVERHEAD
            if need > limit < MAX_RECORD_BYTES:
                need = min(need, max(limit, _SHORT_RECORD))
            elif need > _WHOLE_RECORD:
                need = min(need, max(1, round(limit / _WHOLE_RECORD)) * _WHOLE_RECORD)
            memory = self._memory(need)
            with memoryview(memory) as buffer:
                used = self._write_records(self._sealer, buffer[:need], outbox)
            if used:
                buffers.append(memoryview(memory)[:used])
            self._buffer = memory if used >= _REUSED_BYTES else None
        return buffers

    def _memory(self, size: int) -> bytearray:
        """Return memory for records: that of the last ones, if nobody refers to them any more."""
        memory = self._buffer
        if memory is not None and size <= len(memory):
            with suppress(BufferError):  # which says that somebody does
                memory.append(0)
                memory.pop()
                return memory
        return bytearray(size)

    def _write_records(self, sealer: Sealer, buffer: memoryview, outbox: Outbox | None) -> int:
        position, size = 0, len(buffer)
        controls = self._controls
        while size - position >= _LEAST_ROOM:
            at = begin = position + LENGTH.size
            end = min(begin + MAX_PLAINTEXT_BYTES, size - TAG_BYTES)
            while controls and at + len(controls[0]) <= end:
                frame = controls.popleft()
                buffer[at : at + len(frame)] = frame
                at += len(frame)
                self.control_bytes -= len(frame) + HELD_PIECE_OVERHEAD_BYTES
            # Beside much else control frames get a record of their own, which a slow link carries at once.
            if outbox is not None and not controls and (at == begin or outbox.estimate() < _SHORT_RECORD):
                at = outbox.write(buffer, at, end, self._pair_numbers)
            if at == begin:
                break
            position = sealer.seal(buffer, position, at - begin)
            if not controls and (outbox is None or not outbox.writable):
                break
        return position

    @property
    def router(self) -> str | None:
        """The router that the connection goes through, or is to go through; None: it is direct."""
        return self.via or (self.dialed if self.owner != self.dialed else None)

    @property
    def port(self) -> int | None:
        """The port that was dialed; None: the peer has dialed, or this is a circuit."""
        return self.endpoint.port if self.endpoint is not None else None

    @property
    def where(self) -> str:
        """The other end's address, for people."""
        address = self.host if self.port is None else f"{self.host}:{self.port}"
        return address if self.router is None else f"{address} via {self.router}"

    @property
    def peer(self) -> str:
        """The node at the other end, or its address as long as it has not given a name."""
        return self.session.name if self.session is not None else self.dialed or self.host

    def __str__(self) -> str:
        return f"connection {self.number} with {self.peer}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.number}, {self.peer}, {self.stage.name})"
