"""The behaviours of hostile peers. Each is a small state machine that plays on one connection: correct in every byte,
and the worst at every choice that the protocol leaves to a peer.

A behaviour is moved every `peer.TICK_SECONDS`, is told which messages are whole, and says what it wants to send; its
`connection` keeps it within its credit. Its strength says how much it does: against real nodes as much as possible, in
a simulation just more than the bounds that it tries, so that a run stays short.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from kernel.contract.address import Address, ProcessId
from kernel.contract.message import Envelope, ReplyTo, Request
from nectar_node.peers.envelope import encode_header
from net.base.frames import Lookup, Ping, Reserve
from net.base.limits import MAX_BLOB_BYTES, MAX_CIRCUITS_PER_PAIR, MAX_CREDIT_BYTES, SESSION_CREDIT_MESSAGES
from testnet.hostile.connection import HostileConnection, OpenMessage

_TRICKLE_SECONDS = 12.0
"""Seconds between two pieces of a message that trickles."""
_TRICKLE_BYTES = 4096
"""Bytes of one piece: as much as `net.base.limits.STALL_BYTES` once demanded in thirty seconds."""
_EXABYTES = 1 << 62
"""The size of a file that is offered, in bytes."""
_TALE = 60_000
"""Bytes of a name that a greeting repeats."""
_FAR = 600
"""Seconds that it gives an answer."""
_NOBODY = ProcessId("nobody", "nobody", "nobody")
_NET = ProcessId("net", "distro", "sys")
_FILES = ProcessId("file_transfer", "file_transfer", "sys")
_SELF = ProcessId("main", "hostile", "evil")


@dataclass(frozen=True, slots=True)
class Strength:
    """The strength of an attack."""

    tiny: int
    """Tiny messages in one move."""
    most_tiny: int
    """The most small messages on one connection."""
    requests: int
    """Requests whose answers are not taken."""
    offers: int
    """Offers of files."""
    huge: int
    """Bytes of a large message."""
    most_huge: int
    """Bytes of such messages in all, of one connection."""
    pinned: int
    """Bytes of messages that are never whole, of one connection."""
    unread: int
    """Bytes of answers that are asked for and not read, before the rest."""
    connections: int
    """Connections that are open at once and say nothing."""
    silent_seconds: float
    """Seconds that a silent connection lasts: a node spares a young one (`net.base.limits.HALF_OPEN_SECONDS`)."""
    dials: int
    """The most dials of a peer that dials again and again."""
    silent: int
    """The most dials of a peer that says nothing afterwards."""
    names: int
    """Names that are taken from the registrar."""
    places: int
    """At a router: names of one attacker."""
    callers: int
    """Names of one attacker that are connected to a node behind a router."""
    circuits: int
    """The most circuits that a peer has a router make."""
    refused_seconds: float
    """Seconds until it asks again for a name that was refused."""


MODEST = Strength(
    tiny=1500,
    most_tiny=10_500,
    requests=1100,
    offers=300,
    huge=2 << 20,
    most_huge=4 << 20,
    pinned=40 << 20,
    unread=200_000,
    connections=560,
    silent_seconds=10.0,
    dials=60,
    silent=1100,
    names=100,
    places=70,
    callers=17,
    circuits=160,
    refused_seconds=5.0,
)
"""For a simulation: just beyond 8191 acknowledgements, 1024 messages of a process in flight, 256 transfers, 512
handshakes of an address, 64 places or names, and 64 circuits."""
FULL = Strength(
    tiny=1000,
    most_tiny=1 << 40,
    requests=5000,
    offers=1500,
    huge=MAX_BLOB_BYTES,
    most_huge=1 << 40,
    pinned=1 << 40,
    unread=8 << 20,
    connections=600,
    silent_seconds=0.75,
    dials=1 << 40,
    silent=1 << 40,
    names=50_000,
    places=100,
    callers=64,
    circuits=1 << 40,
    refused_seconds=0.0,
)
"""Against real nodes."""


@dataclass(frozen=True, slots=True)
class AttackOrder:
    """The target, the behaviour and the strength of an attack."""

    behaviour: str
    """A key of BEHAVIOURS."""
    target: str
    """A node's name."""
    process: ProcessId = ProcessId("hello", "hello", "sys")  # noqa: RUF009  # it is immutable
    """A public one there, which requests go to."""
    strength: Strength = FULL
    registrar: bool = False
    """Whether the target is the registrar, which answers look-ups."""


class Behaviour:
    """The base of all behaviours: an honest one, which takes and acknowledges what comes."""

    credit: ClassVar[tuple[int, int]] = (MAX_CREDIT_BYTES, SESSION_CREDIT_MESSAGES)
    """Bytes and messages that the other side is given."""
    speaks: ClassVar[bool] = True
    """Whether its connections reach a handshake."""
    at_once: ClassVar[bool] = False
    """Whether a connection that has ended is dialed again at once, and not at the next move."""
    connections: ClassVar[int] = 1
    """Connections under each name, where the target is behind a router."""
    keeps_names: ClassVar[bool] = True
    """Whether it does something under the names that it takes."""

    def __init__(self, connection: HostileConnection, order: AttackOrder, chance: Random) -> None:
        self.connection = connection
        self.order = order
        self.strength = order.strength
        self.chance = chance
        self.holds = False
        """Whether nothing is read for now."""
        self.leaves = False
        """Whether the connection is to end."""
        self.requests_sent = 0

    @staticmethod
    def personas(strength: Strength) -> int:
        """Return the number of names under which it comes."""
        return 1

    def begin(self, now: float) -> None:
        """Take the news that the connection is live."""

    def move(self, now: float) -> None:
        """Make the next move; some time has passed."""

    def arrived(self, numbers: list[int]) -> None:
        """Take the numbers of messages that are whole."""
        self.connection.acknowledge(numbers)

    # --- what it may send -------------------------------------------------------------------------------------------

    def header(self, target: ProcessId, body: bytes, *, answered: bool = True) -> bytes:
        """Return the header of a request to a process there."""
        id = self.chance.getrandbits(64)
        source = Address(self.connection.identity.name, _SELF)
        reply_to = ReplyTo(source, id) if answered else None
        request = Request(False, _FAR if answered else None, body)
        return encode_header(Envelope(id, source, Address(self.order.target, target), reply_to, request))

    def ask(self, body: bytes | None = None) -> bool:
        """Send a request to the public process; return whether there was credit for it."""
        target = _NET if self.order.registrar else self.order.process
        sent = self.connection.send(self.header(target, b'{"Greet":"a"}' if body is None else body))
        self.requests_sent += sent is not None
        return sent is not None

    def tiny(self, count: int) -> int:
        """Send up to `count` messages of the smallest size, while there is credit, to a process that does not exist, or
        to the net, which shows them to people. Return how many were sent."""
        header = self.header(self.chance.choice((_NOBODY, _NET)), b"", answered=False)
        for sent in range(count):
            if self.connection.send(header) is None:
                return sent
        return count


class AcknowledgesAllButOne(Behaviour):
    """Asks and asks, and acknowledges every answer but the first."""

    _first = True

    def move(self, now: float) -> None:
        if self.requests_sent < self.strength.requests // 2:
            for _ in range(self.strength.requests // 16):
                self.ask()

    def arrived(self, numbers: list[int]) -> None:
        self.connection.acknowledge(numbers[1:] if self._first else numbers)
        self._first = False


class FloodsHuge(Behaviour):
    """Sends the largest messages that there are to a public process, as fast as they are taken."""

    _sent = 0

    def move(self, now: float) -> None:
        header = self.header(self.order.process, b"{}", answered=self.chance.random() < 0.5)
        size = self.strength.huge
        for _ in range(2):
            if self._sent < self.strength.most_huge and self.connection.send(header, size) is not None:
                self._sent += size


class FloodsTiny(Behaviour):
    """Sends the smallest messages that there are, as fast as they are taken."""

    _sent = 0

    def move(self, now: float) -> None:
        if self._sent < self.strength.most_tiny // 4:
            self._sent += self.tiny(self.strength.tiny)


class GrantsEverything(Behaviour):
    """Gives a terabyte of credit, asks for as much as it gets, and acknowledges it when it has had all."""

    def __init__(self, connection: HostileConnection, order: AttackOrder, chance: Random) -> None:
        super().__init__(connection, order, chance)
        self._kept: list[int] = []

    def move(self, now: float) -> None:
        """Ask for more, and now and then take what has come."""
        tale = json.dumps({"Greet": "a" * _TALE}).encode()
        if self.requests_sent * _TALE < self.strength.most_huge:
            for _ in range(max(1, self.strength.unread // _TALE)):
                self.ask(tale)
        if self.chance.random() < 0.1:
            self.connection.acknowledge(self._kept)
            self._kept = []

    def arrived(self, numbers: list[int]) -> None:
        self._kept += numbers


class GrantsNothing(Behaviour):
    """Asks and asks, and gives no credit for a single answer."""

    credit = (0, 0)

    def move(self, now: float) -> None:
        if self.requests_sent < self.strength.requests:
            for _ in range(self.strength.requests // 4):
                self.ask()


class HalfOpen(Behaviour):
    """Opens connections on which it says nothing, and new ones before those are old enough to make room for others."""

    speaks = False


class LooksUp(Behaviour):
    """Asks the registrar for names, pings, and reads no answer."""

    def begin(self, now: float) -> None:
        self.holds = True

    def move(self, now: float) -> None:
        for _ in range(self.strength.tiny // 16):
            if self.order.registrar:
                self.connection.say(Lookup(self.chance.getrandbits(32), self.order.target))
            self.connection.say(Ping())


class NeverAcknowledges(Behaviour):
    """Asks and asks, reads every answer, and acknowledges none."""

    def move(self, now: float) -> None:
        if self.requests_sent < self.strength.requests:
            for _ in range(self.strength.requests // 4):
                self.ask()

    def arrived(self, numbers: list[int]) -> None:
        """Leave them where they are."""


class NeverReads(Behaviour):
    """Asks for much and reads nothing, while it goes on sending tiny messages, which are all acknowledged: it trusts
    that they are, since it does not read that either. Now and then it reads a little, and begins anew."""

    _sent = 0
    _pause = 0

    def begin(self, now: float) -> None:
        self.holds = True
        tale = json.dumps({"Greet": "a" * _TALE}).encode()
        for _ in range(1 + self.strength.unread // _TALE):
            self.ask(tale)

    def move(self, now: float) -> None:
        if self.holds and self._sent < self.strength.most_tiny:
            self.connection.trust_that_all_was_taken()
            self._sent += self.tiny(self.strength.tiny)
        self._pause += 1
        self.holds = self._pause % 12 != 11


class OffersExabytes(Behaviour):
    """Offers files of four exabytes, and sends no byte of any that is accepted."""

    def move(self, now: float) -> None:
        for _ in range(self.strength.offers // 6):
            if self.requests_sent >= 2 * self.strength.offers:
                return
            name = f"{self.chance.getrandbits(64):x}.bin"
            offer = {"id": name, "name": name, "size": _EXABYTES, "modified": 1, "chunk": 1 << 21}
            if self.connection.send(self.header(_FILES, json.dumps({"Offer": offer}).encode())) is None:
                return
            self.requests_sent += 1


class OneByteMissing(Behaviour):
    """Sends messages up to all of its credit, each but for its last byte; one of them trickles on."""

    def __init__(self, connection: HostileConnection, order: AttackOrder, chance: Random) -> None:
        super().__init__(connection, order, chance)
        self._trickle: OpenMessage | None = None
        self._next = 0.0
        self._pinned = 0

    def move(self, now: float) -> None:
        header = self.header(self.order.process, b"{}")
        if self._trickle is None:
            self._trickle = self.connection.send(header, 1 << 20, (1 << 20) - _TRICKLE_BYTES)
        while self._pinned < self.strength.pinned:
            size = min(
                self.strength.huge, self.connection.capacity - len(header) - 256, self.strength.pinned - self._pinned
            )
            if size < 1 or self.connection.send(header, size, 1) is None:
                break
            self._pinned += size
        if self._trickle is not None and now >= self._next:
            self._next = now + _TRICKLE_SECONDS
            self.connection.go_on(self._trickle, min(_TRICKLE_BYTES, self._trickle.total - self._trickle.until - 1))


class Redials(Behaviour):
    """Ends each connection as soon as it is live, and dials again at once."""

    at_once = True

    def begin(self, now: float) -> None:
        self.leaves = True


class RegistersNames(Behaviour):
    """Takes one name after the other from the registrar, and does nothing with them."""

    keeps_names = False

    @staticmethod
    def personas(strength: Strength) -> int:
        return strength.names


class TakesCircuits(Behaviour):
    """Comes under many names, has a router connect each of them to the node that is behind it, as often as goes, and
    says nothing to that node."""

    connections = MAX_CIRCUITS_PER_PAIR

    @staticmethod
    def personas(strength: Strength) -> int:
        return strength.callers


class TakesPlaces(Behaviour):
    """Comes under many names, and takes a place at the router for each."""

    @staticmethod
    def personas(strength: Strength) -> int:
        return strength.places

    def begin(self, now: float) -> None:
        self.connection.say(Reserve())


class Trickles(Behaviour):
    """Announces messages of the largest size up to all of its credit, of which 4 KiB come every 12 seconds."""

    def __init__(self, connection: HostileConnection, order: AttackOrder, chance: Random) -> None:
        super().__init__(connection, order, chance)
        self._opened: list[OpenMessage] = []
        self._next = 0.0

    def move(self, now: float) -> None:
        header = self.header(self.order.process, b"{}")
        while (size := min(MAX_BLOB_BYTES, self.connection.capacity - len(header) - 256)) > 1 << 16:
            message = self.connection.send(header, size, size - 1)
            if message is None:
                break
            self._opened.append(message)
        if self._opened and now >= self._next:
            self._next = now + _TRICKLE_SECONDS
            self.connection.go_on(self.chance.choice(self._opened), _TRICKLE_BYTES)


BEHAVIOURS: dict[str, type[Behaviour]] = {
    re.sub("(?<!^)(?=[A-Z])", "_", each.__name__).lower(): each for each in Behaviour.__subclasses__()
}
"""Behaviours by the names that faults use: those of their classes."""
