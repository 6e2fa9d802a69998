"""A router's part: the places that it keeps for nodes, and the circuits between them and their callers.

A caller dials the router and names in its greeting the node that it wants. The router tells that node over its session;
the node dials the router too and shows the ticket that it was given. Then the router splices the two connections: from
there on it passes bytes, in which the two nodes make a handshake and a session of their own. The router can neither
read nor forge them, and encrypts nothing. Rejected: messages of many pairs within the session with the router, which
would be encrypted twice on each hop and need a credit for each pair; here TCP holds back a sender that is too fast. The
ends' part is in `circuits`; `router_places` says which node has a place. Tests: tests/net/test_routers.py.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from net.base.errors import GoodbyeCode, NoCircuit
from net.base.frames import TICKET_BYTES, Incoming, Reserved, Spliced
from net.base.limits import (
    CIRCUIT_IDLE_SECONDS,
    HANDSHAKE_SECONDS,
    MAX_CIRCUITS,
    MAX_CIRCUITS_PER_NODE,
    MAX_CIRCUITS_PER_PAIR,
    MAX_REPLY_BYTES,
)
from net.base.memory import UNMETERED, Memory
from net.base.origins import address_of
from net.peering.connections import Switchboard
from net.peering.router_places import Places
from net.session.channel import Stage
from net.session.session import Connection, Session


@dataclass(slots=True)
class _Circuit:
    caller: str
    target: str
    ticket: bytes
    leg: Connection
    """The caller's leg."""
    other: Connection | None = None
    """The target's leg, once it is there."""

    @property
    def legs(self) -> list[Connection]:
        """The legs that are there."""
        return [self.leg] if self.other is None else [self.leg, self.other]


def _is_whole(circuit: _Circuit) -> bool:
    """Return whether the circuit's legs are there, and, if there are two, pass their bytes to each other."""
    legs, spliced = circuit.legs, circuit.other is not None
    stage = Stage.SPLICED if spliced else Stage.LEG
    return all(not leg.closed and leg.stage is stage and (leg.partner is not None) is spliced for leg in legs)


class Relay:
    """The places and circuits of this node as a router."""

    def __init__(
        self, places: int, switchboard: Switchboard, entropy: Callable[[int], bytes], memory: Memory = UNMETERED
    ) -> None:
        """`places` is how many nodes may reserve one. `memory` pays for what waits to be passed on."""
        self._memory = memory
        self._places = Places(places)
        self._switchboard = switchboard
        self._entropy = entropy
        self._tickets: dict[bytes, _Circuit] = {}
        """Circuits that wait for the target's leg, by ticket."""
        self._circuits: dict[int, _Circuit] = {}
        """Circuits by the numbers of their legs."""
        self._load: Counter[str] = Counter()
        """How many circuits each node has."""
        self._pairs: Counter[tuple[str, str]] = Counter()
        """How many circuits each caller has to each node."""
        self._count = 0

    @property
    def places(self) -> list[str]:
        """Return the nodes that have a place, the one that was called, or came, longest ago first."""
        return self._places.names()

    @property
    def circuits(self) -> int:
        """Return how many circuits there are, including those that wait for their second leg."""
        return self._count

    def reserve(self, session: Session, key: bytes) -> Reserved:
        """Keep a place for the peer, whose key this is, as long as its session is connected and no other address has
        more right to the place."""
        assert session.connection is not None
        accepted, evicted = self._places.take(session, session.connection.host, key)
        loser = evicted.connection if evicted is not None else None
        if loser is not None and loser.control_bytes < MAX_REPLY_BYTES:
            self._switchboard.queue(loser, Reserved(accepted=False))
        return Reserved(accepted)

    def withdraw(self, session: Session) -> None:
        """Free the place of a session that has lost its connection. A guest has none, though it may bear the name of a
        node that has one."""
        self._places.leave(session)

    def connect(self, leg: Connection, caller: str, target: str, now: float) -> None:
        """Begin to connect `caller` with `target`. Raises NoCircuit."""
        session = self._places.call(target)
        called = session.connection if session is not None and session.live else None
        if called is None or caller == target:
            raise NoCircuit(f"{target} has no place here")
        full = self._load[caller] >= MAX_CIRCUITS_PER_NODE or called.control_bytes >= MAX_REPLY_BYTES
        full = full or self._pairs[caller, target] >= MAX_CIRCUITS_PER_PAIR
        if not full and self._load[target] >= MAX_CIRCUITS_PER_NODE:
            full = not self._made_room(leg.host, target)
        if full or (self._count >= MAX_CIRCUITS and not self._made_room(leg.host)):
            raise NoCircuit(f"no more circuits between {caller} and {target}")
        circuit = _Circuit(caller, target, self._entropy(TICKET_BYTES), leg)
        self._tickets[circuit.ticket] = circuit
        self._circuits[leg.number] = circuit
        self._load.update((caller, target))
        self._pairs[caller, target] += 1
        self._count += 1
        self._switchboard.timers.set(leg.number, now + HANDSHAKE_SECONDS)
        self._switchboard.queue(called, Incoming(circuit.ticket, caller))

    def _made_room(self, host: str, node: str | None = None) -> bool:
        """End a circuit, of `node` if given, for a caller from the address `host`: the oldest of the address that has
        most. Names cost nothing, so callers share circuits by address. Return False if no address has more than that
        one would have."""
        circuits = [each for number, each in self._circuits.items() if number == each.leg.number]
        crowd = [each for each in circuits if node is None or node in (each.caller, each.target)]
        shares = Counter(address_of(each.leg.host) for each in crowd)
        crowding, most = shares.most_common(1)[0]
        if most <= shares[address_of(host)] + 1:
            return False
        oldest = next(each for each in crowd if address_of(each.leg.host) == crowding)
        self._switchboard.close(oldest.leg, GoodbyeCode.NO_CIRCUIT)
        self.gone(oldest.leg)
        return True

    def accept(self, leg: Connection, name: str, ticket: bytes, now: float) -> None:
        """Splice the leg of a node that is called with its caller's. Raises NoCircuit."""
        circuit = self._tickets.get(ticket)
        if circuit is None or circuit.target != name:
            raise NoCircuit(f"nobody calls {name}, or not any more")
        del self._tickets[ticket]
        self._circuits[leg.number] = circuit
        circuit.other = leg
        for each, partner in ((leg, circuit.leg), (circuit.leg, leg)):
            each.queue_record(Spliced())
            each.partner = partner
            each.payer = self._memory.of_node(circuit.caller)
            each.payer.add(each.raw_bytes)
            each.stage = Stage.SPLICED
            self._switchboard.timers.set(each.number, now + CIRCUIT_IDLE_SECONDS)
            self._switchboard.signal(each)

    def due(self, leg: Connection, now: float) -> bool:
        """Act on the deadline of a spliced leg; return whether the circuit has been silent for so long that
        it is over.
        """
        assert leg.partner is not None
        silent_since = max(leg.last_heard, leg.partner.last_heard)
        self._switchboard.timers.set(leg.number, silent_since + CIRCUIT_IDLE_SECONDS)
        return now >= silent_since + CIRCUIT_IDLE_SECONDS

    def gone(self, connection: Connection) -> None:
        """End the circuit of a leg whose connection has ended."""
        circuit = self._circuits.pop(connection.number, None)
        if circuit is None:
            return
        self._tickets.pop(circuit.ticket, None)
        self._load.subtract((circuit.caller, circuit.target))
        self._pairs[circuit.caller, circuit.target] -= 1
        self._load, self._pairs = +self._load, +self._pairs  # drops the names whose count is zero
        self._count -= 1
        for leg in (circuit.leg, circuit.other):
            if leg is not None and not leg.closed:
                del self._circuits[leg.number]
                self._switchboard.close(leg, GoodbyeCode.NO_CIRCUIT)

    def mend(self, now: float) -> None:
        """Repair the tables (see `containment`)."""
        self._places.mend()
        known = {id(each): each for each in (*self._tickets.values(), *self._circuits.values())}
        whole = [each for each in known.values() if _is_whole(each)]
        self._tickets = {each.ticket: each for each in whole if each.other is None}
        self._circuits = {leg.number: each for each in whole for leg in each.legs}
        self._load = Counter(name for each in whole for name in (each.caller, each.target))
        self._pairs = Counter((each.caller, each.target) for each in whole)
        self._count = len(whole)
        for leg in self._switchboard.all():
            ours = leg.dialed is None and leg.stage in (Stage.LEG, Stage.SPLICED)
            if ours and leg.number not in self._circuits:
                self._switchboard.abandon(leg, GoodbyeCode.NO_CIRCUIT)

    def __repr__(self) -> str:
        return f"Relay({len(self.places)} places, {self._count} circuits)"
