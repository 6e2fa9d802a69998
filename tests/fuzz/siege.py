"""The session machine against a peer that has its keys and keeps no rule: every frame, in any order, with any fields.

One honest network, with messages to send; the peer is made of a handshake and the two ciphers alone. It says what a
string of bytes decides (`choices`), with numbers near those that mean something. Whatever it says: nothing is raised,
each message of the honest node comes to exactly one end, nothing is received that carries another name, and memory is
bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cbor2

from net.base.errors import BadFrame, BadHandshake, BadRecord
from net.base.frames import (
    CONTROL,
    DATA,
    DATA_HEADER,
    FIRST,
    FIRST_HEADER,
    FRAME,
    INCARNATION_BYTES,
    NO_BLOB,
    TICKET_BYTES,
    Ack,
    Control,
    Credit,
    Goodbye,
    Incoming,
    Known,
    Lookup,
    Ping,
    Pong,
    Reserve,
    Reserved,
    Resume,
    Spliced,
    decode_frames_untrusted,
    encode_control,
)
from net.base.limits import MAX_PLAINTEXT_BYTES
from net.contract.events import Close, Delivered, Dial, Failed, Outgoing, Received, Writable, tokens_of
from net.peering.network import Network
from net.session.handshake import Accept, Circuit, Connect, Handshake
from net.session.sealing import Opener, Sealer, Splitter
from tests.fuzz.attack import CONFIG, check_memory
from tests.fuzz.choices import Choices
from tests.net.world import entropy_of, host_of, identity_of, static_directory

MIDDLE = "mia.test"
"""The honest node."""
PEERS = ("ann.test", "zoe.test")
"""One name below and one above it: against the first it follows, against the second it is the arbiter."""
MESSAGES = 6
MAX_FRAMES = 120
PAUSES = (0.0, 0.1, 5.0, 21.0)
_NUMBERS = (0, 1, 2, 3, 4, 5, 6, 7, 100, 2048, (1 << 64) - 1)
_LENGTHS = (0, 1, 6, 300, 5000, 90_000, 1 << 22, 1 << 26)


class Line:
    """One connection, from the peer's side."""

    def __init__(self, number: int, name: str, handshake: Handshake) -> None:
        self.number = number
        self.name = name
        self.handshake = handshake
        self.splitter = Splitter()
        self.ciphers: tuple[Sealer, Opener] | None = None
        self.heard: Resume | None = None
        """The honest node's resume frame on it."""
        self.spliced = False
        """Whether its bytes are passed on as they are."""


class Siege:
    """One run; raises AssertionError if anything is not as promised, and nothing else."""

    def __init__(self, data: bytes) -> None:
        self.choices = Choices(data)
        self.name = self.choices.of(PEERS)
        config = replace(CONFIG, routers=(self.name,)) if self.choices.below(4) == 3 else CONFIG
        self.now = 0.0
        self.entropy = entropy_of("besieger")
        directory = static_directory(*map(identity_of, (MIDDLE, *PEERS)))
        self.network = Network(identity_of(MIDDLE), directory, config, entropy_of(MIDDLE), 0.0)
        self.network.register(0.0)
        self.lines: dict[int, Line] = {}
        self.heard: Resume | None = None
        """The last resume frame of the honest node."""
        self.ticket = bytes(TICKET_BYTES)
        """The last that it gave out as a router."""
        self.bindings = 0
        self.sent = 0
        self.ends: list[object] = []
        self.receipts: list[object] = []

    def run(self) -> None:
        """Let the peer speak, then be gone for good."""
        for _ in range(MESSAGES):
            self.send()
        self.settle()
        for _ in range(MAX_FRAMES):
            if not self.choices:
                break
            self.choices.of(_STEPS)(self)
            self.settle()
            check_memory(self.network, len(self.lines))
        for number in list(self.lines):
            self.lines.pop(number)
            self.network.lost(number, self.now)
        self.choices = Choices(b"")
        self.refuse = True
        self.pass_time(60.0)
        assert sorted(map(repr, self.ends)) == sorted(map(repr, range(self.sent))), "a message without one end"
        statistics = self.network.statistics()
        left = {key: statistics[key] for key in ("outgoing_messages", "connections", "places", "circuits")}
        assert not any(left.values()), left

    refuse = False
    """Whether the peer does not listen any more."""

    # --- the world ---

    def settle(self) -> None:
        """Handle what the network says."""
        while (event := self.network.next_event()) is not None:
            match event:
                case Dial(connection, host):
                    self._dialed(connection, next(name for name in PEERS if host_of(name) == host))
                case Close(connection):
                    self.lines.pop(connection, None)
                case Writable(connection):
                    while buffers := self.network.pending(connection, 1 << 16):
                        self._hear(connection, b"".join(buffers))
                case Received(node=node, receipt=receipt):
                    assert node in PEERS
                    self.receipts.append(receipt)
                case Delivered() | Failed():
                    self.ends.extend(tokens_of(event))
                case _:
                    pass

    def pass_time(self, seconds: float) -> None:
        """From deadline to deadline."""
        end = self.now + seconds
        self.settle()
        while (when := self.network.next_deadline()) is not None and when <= end:
            self.now = max(self.now, when)
            self.network.on_timer(self.now)
            self.settle()
        self.now = end

    def _dialed(self, connection: int, name: str) -> None:
        if self.refuse or self.choices.below(8) == 7:
            self.network.dial_failed(connection, "refused", self.now)
        else:
            self._line(connection, name)
            self.network.connected(connection, self.now)

    def _line(self, connection: int, name: str, circuit: Circuit | None = None, *, initiator: bool = False) -> Line:
        identity, static = identity_of(name), entropy_of(name)(32)
        entropy = self.entropy
        handshake = Handshake(identity, None, initiator=initiator, static=static, entropy=entropy, circuit=circuit)
        line = self.lines[connection] = Line(connection, name, handshake)
        return line

    def _hear(self, connection: int, data: bytes) -> None:
        line = self.lines.get(connection)
        if line is None or line.spliced:
            return
        for piece in line.splitter.split(data):
            try:
                self._piece(line, bytes(piece))
            except (BadHandshake, BadRecord, BadFrame) as error:
                raise AssertionError(f"the honest node sent what it must not: {error}") from error
            if line.spliced:
                return

    def _piece(self, line: Line, piece: bytes) -> None:
        if line.ciphers is None:
            line.handshake.read_untrusted(piece)
            if not line.handshake.finished:
                self._put(line, line.handshake.write())
            if line.handshake.finished:
                line.ciphers = line.handshake.split()
            return
        plaintext = memoryview(bytearray(MAX_PLAINTEXT_BYTES))
        length = line.ciphers[1].open_untrusted(piece, plaintext)
        for frame in decode_frames_untrusted(plaintext[:length]):
            if isinstance(frame, Resume):
                self.heard = line.heard = frame
            elif isinstance(frame, Incoming):
                self.ticket = frame.ticket
            line.spliced = isinstance(frame, Spliced)

    def _put(self, line: Line, piece: bytes) -> None:
        self.network.receive(line.number, len(piece).to_bytes(2, "big") + piece, self.now)

    # --- what may happen ---

    def send(self) -> None:
        """The honest node has a message."""
        blob = bytes(self.choices.of((0, 10, 70_000)))
        self.network.send(Outgoing(self.name, b"%d" % (self.sent % 3), b"header", blob, self.sent), self.now)
        self.sent += 1

    def dial(self) -> None:
        """The peer connects."""
        if len(self.lines) < 4:
            number = self.network.new_connection()
            name = self.choices.of((self.name, self.name, *PEERS))
            circuits = (None, None, Connect(self.choices.of((*PEERS, MIDDLE))), Accept(self.ticket))
            line = self._line(number, name, self.choices.of(circuits), initiator=True)
            self.network.accepted(number, "somewhere", self.now)
            self._put(line, line.handshake.begin())

    def hang_up(self) -> None:
        """A connection breaks."""
        if self.lines:
            number = self.choices.of(list(self.lines))
            self.lines.pop(number)
            self.network.lost(number, self.now)

    def wait(self) -> None:
        """Time passes."""
        self.pass_time(self.choices.of(PAUSES))

    def take(self) -> None:
        """The honest kernel takes a message."""
        if self.receipts:
            self.network.taken(self.receipts.pop(self.choices.below(len(self.receipts))), self.now)

    def say(self) -> None:
        """One to four frames in a record."""
        ready = [line for line in self.lines.values() if line.ciphers is not None]
        if not ready:
            return
        line = self.choices.of(ready)
        assert line.ciphers is not None
        if line.spliced:
            self.network.receive(line.number, self.junk() * self.choices.of((1, 1000)), self.now)
            return
        self._seal(line, b"".join(self.choices.of(_FRAMES)(self) for _ in range(1 + self.choices.below(4))))

    def behave(self) -> None:
        """On every connection what an honest peer would say first; and a place at the router, if it is one."""
        for line in [line for line in self.lines.values() if line.ciphers is not None and not line.spliced]:
            self.bindings += 1
            follows = line.name > MIDDLE
            if not follows or line.heard is not None:
                binding = line.heard.binding if follows and line.heard is not None else self.bindings
                frames: tuple[Control, ...] = (
                    Resume(bytes(INCARNATION_BYTES), 0, binding, 1 << 20, 100, None),
                    Reserve(),
                )
                self._seal(line, b"".join(encode_control(frame) for frame in frames))
                self.settle()

    def call(self) -> None:
        """Both legs of a circuit, one after the other."""
        for name, other in (PEERS, PEERS[::-1]):
            circuit = Accept(self.ticket) if self.choices.below(2) else Connect(other)
            number = self.network.new_connection()
            line = self._line(number, name, circuit, initiator=True)
            self.network.accepted(number, "somewhere", self.now)
            self._put(line, line.handshake.begin())
            self.settle()

    def _seal(self, line: Line, frames: bytes) -> None:
        assert line.ciphers is not None
        frames = frames[:MAX_PLAINTEXT_BYTES] or b"\0"
        record = bytearray(2) + frames + bytes(16)
        line.ciphers[0].seal(memoryview(record), 0, len(frames))
        self.network.receive(line.number, bytes(record), self.now)

    # --- frames ---

    def number(self) -> int:
        """One that may mean something."""
        return self.choices.of(_NUMBERS)

    def plausible(self) -> bytes:
        """The resume frame that begins well."""
        heard = self.heard
        binding = heard.binding if heard is not None and self.name > MIDDLE else 1 + self.choices.below(100)
        return encode_control(Resume(self.incarnation(), 0, binding, 1 << 20, 100, self.known()))

    def incarnation(self) -> bytes:
        """Mostly the same."""
        return bytes([self.choices.below(2) * self.choices.below(4)]) * INCARNATION_BYTES

    def known(self) -> Known | None:
        """What it claims to have."""
        if self.heard is None or not self.choices.below(2):
            return None
        partial = tuple((self.number(), self.choices.of(_LENGTHS)) for _ in range(self.choices.below(3)))
        untaken = tuple(self.number() for _ in range(self.choices.below(3)))
        return Known(self.heard.incarnation, self.heard.epoch, self.number(), partial, untaken)

    def resume(self) -> bytes:
        """Any resume frame."""
        epoch, binding, size, count = (self.number() for _ in range(4))
        return encode_control(Resume(self.incarnation(), epoch, binding, size, count, self.known()))

    def ack(self) -> bytes:
        """Acknowledgements, right or wrong."""
        return encode_control(Ack(tuple(self.number() for _ in range(1 + self.choices.below(4)))))

    def first(self) -> bytes:
        """A message begins."""
        header, blob = self.choices.of(_LENGTHS), self.choices.of((*_LENGTHS, NO_BLOB))
        whole = header + (0 if blob == NO_BLOB else blob)
        body = bytes(min(whole, 3000, self.choices.below(4000)))
        number = self.choices.below(12)
        return FIRST_HEADER.pack(DATA, FIRST, len(body), number, header, blob) + body

    def piece(self) -> bytes:
        """A message goes on."""
        body = bytes(self.choices.below(4000))
        return DATA_HEADER.pack(DATA, 0, len(body), self.choices.below(12)) + body

    def control(self) -> bytes:
        """Other frames."""
        frames: tuple[Control, ...] = (
            *(Ping(), Pong(), Lookup(1, MIDDLE), Credit(1 << 30, 2048), Credit(0, 0)),
            *(Reserve(), Reserve(), Reserved(True), Reserved(False), Spliced()),
            *(Incoming(self.ticket, name) for name in PEERS),
        )
        return encode_control(self.choices.of(frames))

    def goodbye(self) -> bytes:
        """The end, and perhaps more behind it."""
        return encode_control(Goodbye(self.number()))

    def odd(self) -> bytes:
        """A control frame of any fields."""
        body = cbor2.dumps([self.choices.below(30), *(self.number() for _ in range(self.choices.below(6)))])
        return FRAME.pack(CONTROL, 0, len(body)) + body

    def junk(self) -> bytes:
        """Bytes."""
        return self.choices.take(self.choices.below(64))


_STEPS: tuple[Callable[[Siege], None], ...] = (
    *(Siege.say, Siege.say, Siege.say, Siege.say, Siege.say, Siege.send),
    *(Siege.dial, Siege.dial, Siege.hang_up, Siege.wait, Siege.take, Siege.behave, Siege.behave, Siege.call),
)
_FRAMES: tuple[Callable[[Siege], bytes], ...] = (
    *(Siege.plausible, Siege.plausible, Siege.ack, Siege.first, Siege.first, Siege.piece, Siege.control, Siege.control),
    *(Siege.resume, Siege.goodbye, Siege.odd, Siege.junk),
)


def siege(data: bytes) -> None:
    """One run."""
    Siege(data).run()
