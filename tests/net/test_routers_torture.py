"""Nodes behind two routers on slow, breaking wires, with restarts, and one router that does what harm it can.

Everything is drawn from one seed. Safety and bookkeeping are checked after every step; when the faults have ended,
every message has one outcome, and messages pass again, whether or not the bad router is still there.
"""

import random
from collections import Counter

import pytest

from net.base.errors import NoCircuit
from net.base.frames import TICKET_BYTES, Control, Incoming, Reserve, Reserved, Spliced
from net.base.limits import CIRCUIT_IDLE_SECONDS, RECORD_SECONDS, RECOVERY_SECONDS
from net.names.directory import Directory, Endpoint, NameRecord, RegistrarDirectory, StaticDirectory, sign_record
from net.names.registrar import Registrar
from net.peering.network import Network, NetworkConfig
from net.session.session import Session
from tests.net.torture import SlowWorld
from tests.net.world import GENESIS, PORT, REGISTRAR, Node, Wire, host_of, identity_of, record_of
from tests.seeds import sample, seeds

BAD, GOOD = "one.test", "two.test"
ROUTERS = {"ann.test": (), "ida.test": (BAD, GOOD), "zoe.test": (BAD, GOOD), BAD: (), GOOD: ()}
"""Of each node, the routers that it is behind."""


def record(name: str) -> NameRecord:
    """A record with routers in place of endpoints, where there are any."""
    identity = identity_of(name)
    if not ROUTERS[name]:
        return record_of(identity).record
    return NameRecord(name, identity.public_key, (), ROUTERS[name], 1, 0, RECORD_SECONDS)


DIRECTORY = StaticDirectory({name: sign_record(record(name), identity_of(name)) for name in ROUTERS})


class Torture:
    """One run."""

    def __init__(self, seed: int, *, registrar: bool) -> None:
        """`registrar`: the nodes learn of each other from one, which ends and comes back like others."""
        self.names = (*ROUTERS, REGISTRAR.name) if registrar else tuple(ROUTERS)
        self.registrar = Registrar(REGISTRAR)
        self.rng = random.Random(seed)
        self.world = SlowWorld(self.rng)
        self.world.on_wire = self.spoil
        self.harmful = True
        self.lives: list[Node] = []
        self.sent: dict[bytes, tuple[Node, str, bytes]] = {}
        for name in self.names:
            self.start(name)

    def start(self, name: str) -> None:
        """A node is there (again)."""
        routers = ROUTERS.get(name, ())
        config = NetworkConfig(
            endpoints=() if routers else (Endpoint(host_of(name), PORT),),
            routers=routers,
            register=True,
            credit_bytes=100_000,
            credit_messages=8,
        )
        directory: Directory = DIRECTORY if len(self.names) == len(ROUTERS) else RegistrarDirectory(GENESIS)
        if name == REGISTRAR.name:
            directory = self.registrar = Registrar(REGISTRAR, self.registrar.records())
        self.lives.append(self.world.add(identity_of(name), directory, config, port=None if routers else PORT))

    def spoil(self, wire: Wire) -> None:
        """The bad router does something to what it passes on, now and then."""
        if BAD not in {node.name for node, _ in wire.ends} or self.rng.random() < 0.5:
            return
        rate = self.rng.choice([0.02, 0.2])

        def alter(data: bytes, _: int) -> bytes:
            if not self.harmful or not data or self.rng.random() > rate:
                return data
            return self.rng.choice([data[:-1] + bytes([data[-1] ^ 1]), b"", data + data, data[: len(data) // 2]])

        wire.alter = alter

    # --- what happens ---

    def act(self) -> None:
        """Something happens."""
        world, rng = self.world, self.rng
        node = rng.choice(list(world.nodes.values()))
        choice = rng.random()
        if choice < 0.6:
            names = [name for name in self.names if name != node.name]
            self.send(node, rng.choice([name for name in names if rng.random() < 0.5 and ROUTERS.get(name)] or names))
        elif choice < 0.7 and world.open:
            world.cut(rng.choice(list(world.open.values())))
        elif choice < 0.73:
            node.taking = not node.taking
        elif choice < 0.76 and world.open:
            rng.choice(list(world.open.values())).swallow = True
        elif choice < 0.83 and len(world.nodes) == len(self.names):
            world.crash(node)
            world.at(world.now + rng.choice([0.0, 0.5, 20.0]), lambda: self.start(node.name))
        elif BAD in world.nodes:
            self.harm(world.nodes[BAD].network)
        while node.untaken and node.taking:
            node.network.taken(node.untaken.pop(rng.randrange(len(node.untaken))), world.now)
        world.run(rng.choice([0.0, 0.0, 0.01, 0.3, 0.3, 2.0, 7.0]))
        self.check()

    def send(self, node: Node, other: str) -> None:
        """A message."""
        header = b"%d" % len(self.sent)
        stream = b"%d" % self.rng.randrange(2)
        self.sent[header] = (node, other, stream)
        self.world.send(node, other, header, bytes(self.rng.choice([0, 10, 5000, 90_000])), stream=stream)

    def harm(self, router: Network) -> None:
        """The bad router says what it should not, to whom it should not."""
        rng, relay, switchboard = self.rng, router._relay, router._switchboard
        connections = switchboard.all()
        if not connections:
            return
        victim = rng.choice(connections)
        ticket = rng.choice([*relay._tickets, rng.randbytes(TICKET_BYTES)])
        match rng.randrange(6):
            case 0 if victim.session is not None and victim.session.live:
                frames: list[Control] = [Incoming(ticket, "ann.test"), Reserve(), Reserved(rng.random() < 0.5)]
                switchboard.queue(victim, rng.choice(frames))
            case 1 if victim.partner is None and victim._sealer is not None:
                victim.queue_record(Spliced())
                switchboard.signal(victim)
            case 2 if len(relay.places) > 1:
                first, second = relay.places[:2]
                places = relay._places._places
                places[first], places[second] = places[second], places[first]
            case 3:
                circuit = relay._tickets.get(ticket)
                if circuit is not None:
                    circuit.target = rng.choice(self.names)
            case 4 if victim.partner is not None:
                victim.queue_raw(rng.randbytes(rng.choice([1, 40, 500])))
                switchboard.signal(victim)
            case 5:
                router._reception.violated(victim, NoCircuit("no reason"), self.world.now)

    # --- what holds ---

    def check(self) -> None:
        """Nothing is doubled, reordered, or from somebody else; nobody waits for nothing."""
        for node in self.lives:
            seen: dict[tuple[int, bytes], int] = {}
            headers = node.headers()
            assert len(headers) == len(set(headers))
            for source, header, _ in node.received():
                sender, target, stream = self.sent[header]
                assert (source, node.name) == (sender.name, target)
                key = (id(sender), stream)
                assert seen.get(key, -1) < int(header)
                seen[key] = int(header)
        for node in self.world.nodes.values():
            if node.name != BAD or not self.harmful:  # which falsifies its own books
                check_books(node.network)

    def finish(self, *, bad_router_dies: bool) -> None:
        """The faults end; every message has its one outcome, and messages pass again."""
        world = self.world
        self.harmful = False
        world.run(30.0)
        if BAD in world.nodes:
            world.crash(world.nodes[BAD])
        if not bad_router_dies:
            self.start(BAD)
        world.run(60.0)
        for node in world.nodes.values():
            node.take_all(world.now)
        world.run(60.0)
        self.check()
        for node in world.nodes.values():
            mine = [header for header, (sender, _, _) in self.sent.items() if sender is node]
            outcomes = [*node.delivered(), *(token for token, _ in node.failed())]
            assert sorted(map(repr, outcomes)) == sorted(map(repr, mine))
            assert set(node.delivered()) <= {header for other in self.lives for header in other.headers()}
            assert node.network.statistics()["outgoing_messages"] == 0
            for session in node.network._sessions.table.all():
                assert session.inbox.idle
                assert not (session.live and session.inbox.incomplete)
        self.exchange()
        world.run(CIRCUIT_IDLE_SECONDS)
        self.check()

    def exchange(self) -> None:
        """Everybody reaches everybody, within the budget."""
        nodes = list(self.world.nodes.values())
        before = len(self.sent)
        for node in nodes:
            for other in nodes:
                if other is not node:
                    self.send(node, other.name)
        self.world.run(RECOVERY_SECONDS)
        for number in range(before, len(self.sent)):
            sender, target, _ = self.sent[b"%d" % number]
            assert b"%d" % number in self.world.nodes[target].headers(), f"{number}: {sender.name} to {target}"


def check_places(network: Network) -> None:
    """There are no more than there may be, and each is counted once."""
    places = network._relay._places
    held = places._places.values()
    assert len(held) <= network._config.reservations
    assert places._of_key == Counter(each.key for each in held)
    assert places._of_origin == Counter(each.origin for each in held)
    assert places._sizes == Counter(places._of_origin.values())


def check_books(network: Network) -> None:
    """The tables agree with each other; every connection and every episode has somebody who ends it."""
    relay, switchboard, sessions = network._relay, network._switchboard, network._sessions
    connections = switchboard.all()
    legs = [leg.number for leg in connections if leg.number in relay._circuits]
    assert sorted(relay._circuits) == sorted(legs)
    circuits = {id(circuit): circuit for circuit in relay._circuits.values()}
    assert relay.circuits == len(circuits)
    assert sum(relay._load.values()) == 2 * len(circuits)
    check_places(network)
    assert set(map(id, relay._tickets.values())) <= set(circuits)
    assert len(switchboard._half_open) == sum(each.half_open for each in connections)
    assert all(each.number in switchboard.timers._deadlines for each in connections)
    for session in sessions.table.all():
        check_session(network, session)


def check_session(network: Network, session: Session) -> None:
    """Something will happen to it if it wants something."""
    sessions, switchboard = network._sessions, network._switchboard
    attempt = switchboard.get(session.attempt)
    timed = session.name in sessions.timers._deadlines
    if session.connection is None:
        assert session.looking or session.reach is None or attempt is not None or timed, session
        assert session.looking or session.reach is not None or not session.outbox.messages, session
        if session.name in sessions.routers:
            assert session.looking or session.reach is not None or timed, session
    else:
        assert switchboard.get(session.connection.number) is session.connection
    if attempt is not None:
        assert attempt.owner == session.name or attempt is session.connection


@pytest.mark.parametrize("bad_router_dies", [False, True])
@pytest.mark.parametrize("registrar", sample([True, False]))
@pytest.mark.parametrize("seed", seeds(1, 3))
def test_whatever_a_router_does_nothing_is_lost_doubled_reordered_or_forgotten(
    seed: int, registrar: bool, bad_router_dies: bool
) -> None:
    torture = Torture(seed, registrar=registrar)
    for _ in range(60):
        torture.act()
    torture.finish(bad_router_dies=bad_router_dies)
