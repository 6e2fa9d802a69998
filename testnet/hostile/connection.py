"""One connection of a hostile peer: it speaks the protocol of docs/wire.md, and decides nothing.

Frames wait unencrypted until they are taken, as in a node; of a large message only its progress is kept. Message
numbers, credit and acknowledgements are handled here, so that a behaviour stays within the rules unless it says
otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from net.base.errors import BadHandshake
from net.base.frames import (
    DATA,
    DATA_HEADER,
    FIRST,
    FIRST_HEADER,
    INCARNATION_BYTES,
    NO_BLOB,
    Ack,
    Control,
    Credit,
    Data,
    Resume,
    Spliced,
    decode_frames_untrusted,
    encode_control,
)
from net.base.limits import MAX_PLAINTEXT_BYTES, MESSAGE_OVERHEAD_BYTES, SESSION_CREDIT_MESSAGES, TAG_BYTES
from net.names.identity import Identity
from net.session.handshake import Circuit, Handshake
from net.session.sealing import LENGTH, Opener, Sealer, Splitter

_ZEROS = bytes(MAX_PLAINTEXT_BYTES)
"""The content of blobs, which matters to nobody."""
_CAPACITY = MAX_PLAINTEXT_BYTES - FIRST_HEADER.size
"""Bytes of a message in one frame that fills a record."""


class Phase(IntEnum):
    """The phase of a connection."""

    DIALING = 0
    HANDSHAKE = 1
    WAITING = 2
    """The handshake is through; the other side's resume frame is awaited."""
    LIVE = 3


@dataclass(slots=True)
class OpenMessage:
    """A message that has begun, and is to be written as far as `until`."""

    number: int
    header: bytes
    blob: int | None
    """The length of the blob, or None."""
    written: int = 0
    """Bytes of header and blob."""
    until: int = 0
    """How many bytes of it may be sent (`HostileConnection.go_on`)."""

    @property
    def total(self) -> int:
        """Bytes of header and blob."""
        return len(self.header) + (self.blob or 0)

    @property
    def cost(self) -> int:
        """Credit that it takes, in bytes."""
        return self.total + MESSAGE_OVERHEAD_BYTES


class HostileConnection:
    """One connection, from its dial to its end."""

    def __init__(
        self,
        number: int,
        identity: Identity,
        record: bytes | None,
        target: str,
        entropy: Callable[[int], bytes],
        credit: tuple[int, int],
        circuit: Circuit | None = None,
    ) -> None:
        """`record`: shown in the handshake. `credit`: bytes and messages that the other side is given. `circuit`: it is
        to be a leg of one, at a router."""
        self.number = number
        self.identity = identity
        self.target = target
        self.phase = Phase.DIALING
        self.held = False
        """Whether nothing is read from it."""
        self.speaks = True
        """Whether it begins a handshake at all when it is there."""
        self._credit = credit
        self._incarnation = entropy(INCARNATION_BYTES)
        self._entropy = entropy
        self._record = record
        self._circuit = circuit
        self._spliced = False
        """The bytes that come are those of the node at the other end of the circuit: nobody reads them."""
        self._handshake: Handshake | None = None
        self._splitter = Splitter()
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None
        self._raw: list[bytes] = []
        self._frames: deque[bytes] = deque()
        self._bulk: deque[OpenMessage] = deque()
        """Messages of which a part is still to be written."""
        self._next = 1
        self._begun: dict[int, int] = {}
        """Messages that are not acknowledged, each with its credit."""
        self.credit_bytes = 0
        """Bytes that the other side allows to be unacknowledged."""
        self.credit_messages = 0
        """Messages that the other side allows to be unacknowledged."""
        self._used = 0
        self._incoming: dict[int, int] = {}
        """Messages that come, each with the bytes that are missing."""

    # --- the handshake ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Take the news that the connection is there."""
        self.phase = Phase.HANDSHAKE
        if self.speaks:
            static = self._entropy(32)
            self._handshake = Handshake(
                self.identity, self._record, initiator=True, static=static, entropy=self._entropy, circuit=self._circuit
            )
            self._put(self._handshake.begin())

    def _put(self, piece: bytes) -> None:
        self._raw.append(LENGTH.pack(len(piece)) + piece)

    def _greeted(self, piece: bytes) -> None:
        handshake = self._handshake
        if handshake is None:
            raise BadHandshake("an answer to nothing")
        handshake.read_untrusted(piece)
        self._put(handshake.write())
        self._sealer, self._opener = handshake.split()
        self.phase = Phase.WAITING
        if self._circuit is None and self.identity.name < self.target:  # we are the arbiter
            self.say(self._resume(1))

    def _resume(self, binding: int) -> Resume:
        return Resume(self._incarnation, 0, binding, *self._credit, None)

    # --- in ---------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Data | Control]:
        """Return the frames in bytes that have come. Raises ProtocolViolation for invalid ones."""
        found: list[Data | Control] = []
        if self._spliced:
            return found
        for piece in self._splitter.split(data):
            if self._spliced:
                break
            if self._opener is None:
                self._greeted(bytes(piece))
                continue
            plain = memoryview(bytearray(len(piece)))
            length = self._opener.open_untrusted(piece, plain)
            for frame in decode_frames_untrusted(plain[:length]):
                self._look(frame)
                found.append(frame._replace(chunk=memoryview(b"")) if isinstance(frame, Data) else frame)
        return found

    def _look(self, frame: Data | Control) -> None:
        match frame:
            case Resume():
                if self.identity.name > self.target:
                    self.say(self._resume(frame.binding))
                self.credit_bytes, self.credit_messages = frame.credit_bytes, frame.credit_messages
                self.phase = Phase.LIVE
            case Spliced():
                self._spliced = True
            case Credit():
                self.credit_bytes, self.credit_messages = frame.credit_bytes, frame.credit_messages
            case Ack():
                for number in frame.sequences:
                    self._used -= self._begun.pop(number, 0)
            case Data(number, lengths, chunk):
                if lengths is not None:
                    self._incoming[number] = lengths[0] + (lengths[1] or 0)
                self._incoming[number] -= len(chunk)

    def arrived(self) -> list[int]:
        """Return the numbers of the messages that have become whole since the last call."""
        whole = [number for number, missing in self._incoming.items() if not missing]
        for number in whole:
            del self._incoming[number]
        return whole

    # --- out --------------------------------------------------------------------------------------------------------

    def say(self, frame: Control) -> None:
        """Send a control frame."""
        self._frames.append(encode_control(frame))

    def acknowledge(self, numbers: list[int]) -> None:
        """Say that these messages were taken."""
        for begin in range(0, len(numbers), SESSION_CREDIT_MESSAGES):
            self.say(Ack(tuple(numbers[begin : begin + SESSION_CREDIT_MESSAGES])))

    def may_send(self, size: int) -> bool:
        """Whether a message of so many bytes is within the credit."""
        begun = len(self._begun)
        fits = not begun or self._used + size + MESSAGE_OVERHEAD_BYTES <= self.credit_bytes
        return self.phase is Phase.LIVE and begun < self.credit_messages and fits

    @property
    def capacity(self) -> int:
        """Bytes of credit that are left."""
        return max(0, self.credit_bytes - self._used)

    def send(self, header: bytes, blob: int | None = None, missing: int = 0) -> OpenMessage | None:
        """Begin a message with a blob of `blob` bytes, and write all but its last `missing` bytes, fewer than the whole
        message has. Return None if there is no credit for it."""
        message = OpenMessage(self._next, header, blob)
        if not self.may_send(message.total):
            return None
        self._next += 1
        self._begun[message.number] = message.cost
        self._used += message.cost
        self.go_on(message, message.total - missing)
        return message

    def go_on(self, message: OpenMessage, count: int) -> None:
        """Write so many bytes more of it."""
        if message.until == message.written:
            self._bulk.append(message)
        message.until = min(message.total, message.until + count)

    def trust_that_all_was_taken(self) -> None:
        """Free all credit, for a peer that does not read: the acknowledgements have arrived, unread."""
        self._begun.clear()
        self._used = 0

    @property
    def waits(self) -> bool:
        """Whether there is something to write."""
        return bool(self._raw or self._frames or self._bulk)

    def take(self, limit: int) -> list[bytes]:
        """Return about `limit` bytes that are to be written."""
        taken, self._raw = self._raw, []
        size = sum(map(len, taken))
        while self._sealer is not None and size < limit and (self._frames or self._bulk):
            record = self._seal(self._sealer)
            taken.append(record)
            size += len(record)
        return taken

    def _seal(self, sealer: Sealer) -> bytes:
        """Return as many frames as one record holds."""
        parts: list[bytes] = []
        size = 0
        while self._frames and size + len(self._frames[0]) <= MAX_PLAINTEXT_BYTES:
            parts.append(self._frames.popleft())
            size += len(parts[-1])
        while not self._frames and self._bulk:
            frame = self._frame(self._bulk[0], MAX_PLAINTEXT_BYTES - size)
            if frame is None:
                break
            parts.append(frame)
            size += len(frame)
            if self._bulk[0].written == self._bulk[0].until:
                self._bulk.popleft()
        record = bytearray(LENGTH.size + size + TAG_BYTES)
        record[LENGTH.size : LENGTH.size + size] = b"".join(parts)
        sealer.seal(memoryview(record), 0, size)
        return bytes(record)

    def _frame(self, message: OpenMessage, capacity: int) -> bytes | None:
        """Return the next data frame of a message, or None if it does not fit."""
        first = message.written == 0
        rest = message.until - message.written
        size = min(rest, capacity - FIRST_HEADER.size)
        if size < min(rest, _CAPACITY // 8):
            return None
        begin, message.written = message.written, message.written + size
        part = message.header[begin : begin + size]
        body = part + _ZEROS[: size - len(part)]
        if not first:
            return DATA_HEADER.pack(DATA, 0, size, message.number) + body
        blob = NO_BLOB if message.blob is None else message.blob
        return FIRST_HEADER.pack(DATA, FIRST, size, message.number, len(message.header), blob) + body
