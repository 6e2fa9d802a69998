"""One attacker: it gets names from the registrar as any node does, dials its target, and lets a behaviour choose.

Sans-IO, with the same calls and events as `net.peering.network.Network`: what carries a node's bytes also carries an
attacker's, which are the simulator's fabric and `net.io.driver`. The caller tells it the time, and all chance comes
from its seed. It never ends by itself: a refused name, a failed dial and a cut connection are tried again at the next
tick.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from enum import Enum, auto
from random import Random
from typing import TypeAlias

from net.base.errors import NetError
from net.base.frames import Control, Data, Found, Goodbye, Granted, Lookup, Ping, Pong, Refused, Register
from net.base.limits import FIRST_RECORD_SECONDS
from net.contract.events import Buffer, Close, Dial, Hold, Writable
from net.io.port import Port
from net.names.directory import Endpoint, Genesis, NameRecord, decode_record_untrusted, sign_record
from net.names.identity import KEY_BYTES, Identity
from net.session.handshake import Connect
from testnet.hostile.behaviours import BEHAVIOURS, AttackOrder, Behaviour
from testnet.hostile.connection import HostileConnection, Phase
from testnet.model.hostile_names import SUFFIX

TICK_SECONDS = 0.25
"""Seconds between two moves of a behaviour."""
_REGISTERS, _LOOKS_UP = 1, 2
"""Numbers of requests to the registrar."""
_NAME_BYTES = 5
"""Random bytes in a name."""
_ENTERING = 8
"""Names that it asks for at once."""

Action: TypeAlias = Dial | Close | Writable | Hold


@dataclass(slots=True)
class Persona:
    """A name that the attacker has."""

    identity: Identity
    record: bytes | None = None
    """The name record, as granted."""


class _Purpose(Enum):
    ENTER = auto()
    """A persona asks the registrar for its name, and for where the target is."""
    ATTACK = auto()
    SILENT = auto()
    """A connection on which nothing is ever said."""


@dataclass(slots=True)
class _Contact:
    connection: HostileConnection
    persona: Persona
    purpose: _Purpose
    since: float
    behaviour: Behaviour | None = None
    """Plays on it, from when it is live."""
    signalled: bool = False


@dataclass(slots=True)
class AttackCounts:
    """The results of an attack, for people."""

    names: int = 0
    """Names that were granted."""
    refused: int = 0
    """Names that were refused."""
    dials: int = 0
    live: int = 0
    """Connections on which messages could pass."""
    cut: dict[int, int] = field(default_factory=dict)
    """Connections that the other side has ended, by the code of its goodbye."""
    broken: int = 0
    """Connections that ended without a word, or that could not be had."""

    def value(self) -> dict[str, object]:
        """Return the counts as JSON values."""
        return {**asdict(self), "cut": {str(code): count for code, count in sorted(self.cut.items())}}

    def words(self) -> str:
        """Describe the counts for people."""
        cuts = ", ".join(f"{count} by goodbye {code}" for code, count in sorted(self.cut.items()))
        names = _counted(self.names, "name") + (f" ({self.refused} refused)" if self.refused else "")
        ends = [cuts, f"{self.broken} without a word" if self.broken else ""]
        ended = "; ended: " + ", ".join(filter(None, ends)) if any(ends) else ""
        dials, live = _counted(self.dials, "dial"), _counted(self.live, "live connection")
        return f"{names}, {dials}, {live}{ended}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


class AttackingPeer(Port):
    """One attacker, driven like a `net.peering.network.Network`."""

    def __init__(self, order: AttackOrder, genesis: Genesis, chance: Random, *, unix: float, now: float) -> None:
        """`unix`: what has to be added to `now` for the time since 1970."""
        self.order = order
        self.counts = AttackCounts()
        self.actions: deque[Action] = deque()
        """The actions for the driver, in order."""
        self._kind = BEHAVIOURS[order.behaviour]
        self._genesis = genesis
        self._chance = chance
        self._unix = unix
        self._endpoint: Endpoint | None = None
        """Where it dials: the endpoint of the target, or of the target's router."""
        self._dialed = order.target
        """The name of the dialed node."""
        if order.target == genesis.name:
            self._endpoint = Endpoint(genesis.host, genesis.port)
        self._personas: list[Persona] = []
        """The personas that have their names."""
        self._contacts: dict[int, _Contact] = {}
        self._numbers = 0
        self._enters_at = now
        """When it may ask for names."""
        self._due = now
        self._now = now

    # --- what the driver tells --------------------------------------------------------------------------------------

    def new_connection(self) -> int:
        self._numbers += 1
        return self._numbers

    def accepted(self, connection: int, host: str, now: float) -> None:
        """Close the connection: the attacker listens nowhere."""
        self.actions.append(Close(connection))

    def connected(self, connection: int, now: float) -> None:
        contact = self._contacts.get(connection)
        if contact is not None:
            contact.connection.begin()
            self._signal(contact)

    def dial_failed(self, connection: int, reason: str, now: float) -> None:
        self.lost(connection, now)

    def lost(self, connection: int, now: float) -> None:
        contact = self._contacts.pop(connection, None)
        if contact is not None:
            self.counts.broken += 1
            self._ended(contact, now)

    def failed(self, connection: int, error: Exception, now: float) -> None:
        """Raise the error: a failure of the driver or of our own code is no part of an attack."""
        raise error

    def receive(self, connection: int, data: Buffer, now: float) -> bool:
        self._now = now
        contact = self._contacts.get(connection)
        if contact is None:
            return False
        was_live = contact.connection.phase is Phase.LIVE
        try:
            frames = contact.connection.receive(bytes(data))
        except NetError:  # the node that answers is not the expected one
            self._close(contact)
            self._ended(contact, now)
            return True
        if contact.connection.phase is Phase.LIVE and not was_live:
            self._live(contact, now)
        for frame in frames:
            self._heard(contact, frame, now)
        if connection in self._contacts:
            self._arrived(contact)
            self._carry_out(contact)
        return True

    @property
    def unsettled(self) -> bool:
        """Return True: what is written may free a move."""
        return True

    def peer(self, connection: int) -> str:
        """Return "": the attacker serves nobody before others."""
        return ""

    def mixed(self, connection: int, now: float) -> bool:
        """Return False: the attacker does not mind what waits for what."""
        return False

    def pending(self, connection: int, limit: int) -> list[Buffer]:
        contact = self._contacts.get(connection)
        if contact is None:
            return []
        buffers: list[Buffer] = [*contact.connection.take(limit)]
        if not contact.connection.waits:
            contact.signalled = False
        return buffers

    def next_deadline(self) -> float:
        """Return when `on_timer` is to be called."""
        return self._due

    def on_timer(self, now: float) -> None:
        """Make the next move; time has passed."""
        self._now = now
        if now < self._due:
            return
        self._due = now + TICK_SECONDS
        self._enter_more(now)
        self._dial_more(now)
        for contact in list(self._contacts.values()):
            if contact.behaviour is not None:
                contact.behaviour.move(now)
                self._carry_out(contact)

    def leave(self) -> None:
        """End all connections, with or without a goodbye."""
        for contact in list(self._contacts.values()):
            if contact.connection.phase is Phase.LIVE and not contact.connection.held and self._chance.random() < 0.5:
                contact.connection.say(Goodbye(0))
            self._close(contact, farewell=True)

    # --- names ------------------------------------------------------------------------------------------------------

    def _enter_more(self, now: float) -> None:
        if now < self._enters_at:
            return
        wanted = self._kind.personas(self.order.strength)
        have = len(self._personas) if self._kind.keeps_names else self.counts.names
        entering = sum(contact.purpose is _Purpose.ENTER for contact in self._contacts.values())
        for _ in range(min(wanted - have, _ENTERING) - entering):
            self._dial(self._new_persona(now), _Purpose.ENTER, Endpoint(self._genesis.host, self._genesis.port))

    def _new_persona(self, now: float) -> Persona:
        name = f"{chr(ord('a') + self._chance.randrange(26))}{self._chance.randbytes(_NAME_BYTES).hex()}{SUFFIX}"
        return Persona(Identity(name, self._chance.randbytes(KEY_BYTES)))

    def _own_record(self, identity: Identity, now: float) -> bytes:
        issued = max(1, int(now + self._unix))
        record = NameRecord(identity.name, identity.public_key, (), (), 1, issued, issued + FIRST_RECORD_SECONDS)
        return sign_record(record, identity).encode()

    def _registrar_says(self, contact: _Contact, frame: Granted | Refused | Found, now: float) -> None:
        if isinstance(frame, Refused):
            self.counts.refused += 1
            self._enters_at = now + self.order.strength.refused_seconds
            self._close(contact)
            return
        if isinstance(frame, Granted):
            self.counts.names += 1
            contact.persona.record = frame.record
        elif frame.record is not None:
            record = decode_record_untrusted(frame.record).record
            self._endpoint = record.endpoints[0] if record.endpoints else None
            self._dialed = record.routers[0] if record.routers and not record.endpoints else record.name
        if self._endpoint is None:
            contact.connection.say(Lookup(_LOOKS_UP, self._dialed))
            return
        if self._kind.keeps_names:
            self._personas.append(contact.persona)
        if self.order.target == self._genesis.name and self._kind.keeps_names:
            contact.purpose = _Purpose.ATTACK
            self._plays(contact, now)
        else:
            self._close(contact)

    # --- connections ------------------------------------------------------------------------------------------------

    def _dial_more(self, now: float) -> None:
        """Dial as many connections for each name as the behaviour wants, or as many silent ones."""
        if self._endpoint is None:
            return
        held = Counter(id(each.persona) for each in self._contacts.values() if each.purpose is _Purpose.ATTACK)
        most = self._kind.connections if self._dialed != self.order.target else 1
        if most > 1 and self.counts.dials >= self.order.strength.circuits:
            return
        for persona in self._personas if self._kind.speaks else ():
            for _ in range(most - held[id(persona)]):
                self._dial(persona, _Purpose.ATTACK, self._endpoint)
        if self._personas and not self._kind.speaks:
            self._open_silent(self._personas[0], self._endpoint, now)

    def _open_silent(self, persona: Persona, endpoint: Endpoint, now: float) -> None:
        """Open silent connections up to the number wanted at once, and close old ones."""
        strength = self.order.strength
        silent = [contact for contact in self._contacts.values() if contact.purpose is _Purpose.SILENT]
        old = [contact for contact in silent if contact.since <= now - strength.silent_seconds]
        for contact in old:
            self._close(contact)
        for _ in range(min(strength.connections - len(silent) + len(old), strength.silent - self.counts.dials)):
            self._dial(persona, _Purpose.SILENT, endpoint)

    def _dial(self, persona: Persona, purpose: _Purpose, endpoint: Endpoint) -> None:
        number = self.new_connection()
        enters = purpose is _Purpose.ENTER
        target = self._genesis.name if enters else self._dialed
        circuit = None if enters or target == self.order.target else Connect(self.order.target)
        shown = persona.record or self._own_record(persona.identity, self._now)
        chance, credit = self._chance.randbytes, self._kind.credit
        connection = HostileConnection(number, persona.identity, shown, target, chance, credit, circuit)
        connection.speaks = purpose is not _Purpose.SILENT
        self._contacts[number] = _Contact(connection, persona, purpose, self._now)
        self.counts.dials += 1
        self.actions.append(Dial(number, endpoint.host, endpoint.port))

    def _live(self, contact: _Contact, now: float) -> None:
        if contact.purpose is _Purpose.ENTER:
            contact.connection.say(Register(_REGISTERS, self._own_record(contact.persona.identity, now)))
        else:
            self._plays(contact, now)

    def _plays(self, contact: _Contact, now: float) -> None:
        self.counts.live += 1
        contact.behaviour = self._kind(contact.connection, self.order, self._chance)
        contact.behaviour.begin(now)

    def _heard(self, contact: _Contact, frame: Data | Control, now: float) -> None:
        match frame:
            case Ping():
                contact.connection.say(Pong())
            case Goodbye(code):
                self.counts.cut[code] = self.counts.cut.get(code, 0) + 1
                self._close(contact)
                self._ended(contact, now)
            case Granted() | Refused() | Found() if contact.purpose is _Purpose.ENTER:
                self._registrar_says(contact, frame, now)

    def _arrived(self, contact: _Contact) -> None:
        numbers = contact.connection.arrived()
        if not numbers:
            return
        if contact.behaviour is not None:
            contact.behaviour.arrived(numbers)
        else:
            contact.connection.acknowledge(numbers)

    def _carry_out(self, contact: _Contact) -> None:
        """Do what the behaviour wants of its connection."""
        connection, behaviour = contact.connection, contact.behaviour
        if connection.number not in self._contacts:
            return
        if behaviour is not None and behaviour.leaves:
            self._close(contact)
            self._ended(contact, self._now)
            return
        if behaviour is not None and behaviour.holds != connection.held:
            connection.held = behaviour.holds
            self.actions.append(Hold(connection.number, connection.held))
        self._signal(contact)

    def _ended(self, contact: _Contact, now: float) -> None:
        again = self._kind.at_once and contact.purpose is _Purpose.ATTACK
        if again and self._endpoint is not None and self.counts.dials < self.order.strength.dials:
            self._dial(contact.persona, _Purpose.ATTACK, self._endpoint)

    def _close(self, contact: _Contact, *, farewell: bool = False) -> None:
        self._contacts.pop(contact.connection.number, None)
        last = b"".join(contact.connection.take(1)) if farewell else b""
        self.actions.append(Close(contact.connection.number, last))

    def _signal(self, contact: _Contact) -> None:
        if contact.connection.waits and not contact.signalled:
            contact.signalled = True
            self.actions.append(Writable(contact.connection.number))

    def __repr__(self) -> str:
        return f"HostilePeer({self.order.behaviour} of {self.order.target}, {self.counts.words()})"
