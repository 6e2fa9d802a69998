"""A node behind routers is reached like any other, and no router can read, forge, or lose anything without notice."""

import random
from collections import deque
from collections.abc import Callable

import pytest

from net.base.frames import DATA, DATA_HEADER
from net.base.limits import CIRCUIT_IDLE_SECONDS, MAX_CIRCUITS_PER_NODE, RELAY_BYTES
from net.contract.events import FailureReason, Hold, Log, PeerUp
from net.names.registrar import Registrar
from tests.net.hostile import say
from tests.net.routed import ROUTERS, carrying, flip, indirect, member, network, router_of
from tests.net.world import REGISTRAR, Node, Wire, World, connection_of, host_of

CALLERS = pytest.mark.parametrize("caller", ["ann.test", "zoe.test"])
"""Of a lower name than the node behind the routers, and of a higher one: either may be the arbiter."""


@CALLERS
def test_messages_pass_both_ways_through_a_router(caller: str) -> None:
    world, first, hidden = network(caller)
    blob = random.Random(7).randbytes(300_000)
    world.post(first, hidden.name, b"to the hidden one", blob, seconds=1)
    assert hidden.received() == [(first.name, b"to the hidden one", blob)]
    world.post(hidden, first.name, b"and back", blob, seconds=1)
    assert first.received() == [(hidden.name, b"and back", blob)]
    assert router_of(first, hidden.name) == router_of(hidden, first.name) == "one.test"
    assert first.delivered() == [b"to the hidden one"]


def test_a_node_behind_routers_dials_others_directly() -> None:
    world, first, hidden = network()
    world.post(hidden, first.name, b"hello", seconds=1)
    assert first.headers() == [b"hello"]
    assert router_of(first, hidden.name) is router_of(hidden, first.name) is None


def test_two_nodes_behind_different_routers_reach_each_other() -> None:
    world, _, hidden = network(routers=("one.test",))
    member(world, "two.test")
    other = indirect(world, "olaf.test", ("two.test",))
    world.run(2)
    world.send(hidden, other.name, b"over two")
    world.post(other, hidden.name, b"over one", seconds=2)
    assert (other.headers(), hidden.headers()) == ([b"over two"], [b"over one"])


def test_a_router_is_reached_by_its_own_node_and_reaches_it() -> None:
    world, _, hidden = network()
    router = world.nodes["one.test"]
    world.send(router, hidden.name, b"down")
    world.post(hidden, router.name, b"up", seconds=1)
    assert (hidden.headers(), router.headers()) == ([b"down"], [b"up"])


def test_a_router_sees_no_byte_of_what_it_carries() -> None:
    world, first, hidden = network()
    secret = b"a secret that is long enough to be found"
    world.post(first, hidden.name, secret, secret, seconds=1)
    assert hidden.headers() == [secret]
    carried = b"".join(data for wire in world.wires for data in wire.log)
    assert secret not in carried
    assert not world.nodes["one.test"].received()


def test_when_a_router_dies_the_next_one_takes_over_and_nothing_is_lost() -> None:
    world, first, hidden = network()
    for number in range(5):
        world.send(first, hidden.name, b"before %d" % number)
    world.run(1)
    assert router_of(first, hidden.name) == "one.test"
    world.crash(world.nodes["one.test"])
    for number in range(5):
        world.send(first, hidden.name, b"after %d" % number, bytes(200_000))
        world.send(hidden, first.name, b"back %d" % number)
    died = world.now
    while len(hidden.headers()) < 10 and world.now < died + 5:
        world.run(0.05)
    assert world.now - died < 1
    assert hidden.headers() == [b"before %d" % n for n in range(5)] + [b"after %d" % n for n in range(5)]
    world.run(1)
    assert first.headers() == [b"back %d" % n for n in range(5)]
    assert first.failed() == hidden.failed() == []
    assert router_of(first, hidden.name) in ("two.test", None)


def test_when_all_routers_are_dead_the_sender_is_told_within_the_budget() -> None:
    world, first, hidden = network()
    for name in ROUTERS:
        world.crash(world.nodes[name])
    begin = world.now
    world.post(first, hidden.name, b"hello", seconds=0.01)
    assert first.failed() == [(b"hello", FailureReason.REFUSED)]
    assert world.now - begin < 5


def test_a_router_that_comes_back_carries_again() -> None:
    world, first, hidden = network(routers=("one.test",))
    world.crash(world.nodes["one.test"])
    world.run(20)
    member(world, "one.test")
    world.run(3)
    world.post(first, hidden.name, b"hello again", seconds=2)
    assert hidden.headers() == [b"hello again"]


def test_a_router_carries_only_those_who_have_a_place() -> None:
    world, first, hidden = network(routers=("one.test",))
    world.crash(hidden)
    world.run(1)
    begin = world.now
    world.post(first, hidden.name, b"hello", seconds=4.9)
    assert first.failed() == []
    world.run(0.2)
    assert first.failed() == [(b"hello", FailureReason.UNREACHABLE)]
    assert world.now - begin < 5.2
    assert any("makes no circuit to ida.test" in event.text for event in first.of(Log) if isinstance(event, Log))


def test_a_node_that_is_no_router_gives_no_place() -> None:
    world = World()
    world.add(REGISTRAR, Registrar(REGISTRAR))
    member(world, "one.test", reservations=0)
    first = member(world, "ann.test")
    hidden = indirect(world, routers=("one.test",))
    world.run(2)
    assert Log("one.test has no place for this node; it is asked again") in hidden.events
    world.post(first, hidden.name, b"hello", seconds=6)
    assert first.failed() == [(b"hello", FailureReason.UNREACHABLE)]


def test_a_router_that_cannot_be_reached_is_told_once_and_tried_again() -> None:
    world = World()
    world.add(REGISTRAR, Registrar(REGISTRAR))
    hidden = indirect(world, routers=("one.test",))
    world.run(10)
    trouble = Log("the router one.test cannot be reached: no such name; it is tried again")
    assert hidden.of(Log).count(trouble) == 1
    member(world, "one.test")
    world.run(2)
    assert world.nodes["one.test"].network.carried() == [hidden.name]


def test_a_place_that_becomes_free_is_given_to_who_asks_again() -> None:
    world = World()
    world.add(REGISTRAR, Registrar(REGISTRAR))
    router = member(world, "one.test", reservations=1)
    first = indirect(world, "ida.test", ("one.test",))
    world.run(2)
    second = indirect(world, "olaf.test", ("one.test",))
    world.run(2)
    assert router.network.carried() == [first.name]
    world.crash(first)
    world.run(2)
    assert router.network.carried() == [second.name]


def test_one_node_cannot_use_up_a_router() -> None:
    world, first, hidden = network(routers=("one.test",))
    router = world.nodes["one.test"]
    relay = router.network._relay
    world.post(first, hidden.name, b"hello", seconds=1)
    assert relay.circuits == 1
    relay._load[hidden.name] = MAX_CIRCUITS_PER_NODE
    other = member(world, "ben.test")
    world.post(other, hidden.name, b"hello", seconds=6)
    assert other.failed() == [(b"hello", FailureReason.UNREACHABLE)]
    assert relay.circuits == 1


def test_a_circuit_is_forgotten_with_its_connections() -> None:
    world, first, _ = carrying()
    relay = world.nodes["one.test"].network._relay
    assert relay.circuits == 1
    world.crash(first)
    world.run(1)
    assert (relay.circuits, relay._circuits, relay._tickets, relay._load, relay._pairs) == (0, {}, {}, {}, {})


def test_a_circuit_whose_ends_have_vanished_is_ended_by_the_router() -> None:
    world, first, hidden = carrying()
    router = world.nodes["one.test"].network
    for name in (first.name, hidden.name):
        del world.nodes[name]  # gone, and no connection of theirs says so
    world.run(CIRCUIT_IDLE_SECONDS - 2)
    assert router.statistics()["circuits"] == 1
    world.run(3)
    assert router.statistics()["circuits"] == 0


def test_a_router_stops_reading_from_a_sender_that_is_faster_than_the_receiver() -> None:
    world, _, _ = carrying()
    router = world.nodes["one.test"]
    (leg,) = [
        leg for leg in router.network._switchboard.all() if leg.partner is not None and leg.host == host_of("ann.test")
    ]
    assert leg.partner is not None
    leg.partner.signalled = True  # the driver is still writing: it takes nothing more for now
    for _ in range(20):
        router.network.receive(leg.number, bytes(100_000), world.now)
    holds = []
    while (event := router.network.next_event()) is not None:
        holds.append(event)
    assert Hold(leg.number, held=True) in holds
    assert holds.count(Hold(leg.number, held=True)) == 1
    assert RELAY_BYTES < leg.partner.raw_bytes <= 21 * 100_000
    while router.network.pending(leg.partner.number, 1 << 18):
        pass
    assert leg.partner.raw_bytes == 0
    assert router.network.next_event() == Hold(leg.number, held=False)


@pytest.mark.parametrize("seed", range(8))
def test_cuts_anywhere_on_a_circuit_lose_double_and_reorder_nothing(seed: int) -> None:
    chance = random.Random(seed)
    world, first, hidden = network()
    cuts = iter([chance.randrange(1, 150_000) for _ in range(8)])

    def cut(wire: Wire) -> None:
        wire.cut_after = next(cuts, None)

    world.on_wire = cut
    messages = [(b"%d" % number, chance.randbytes(chance.choice((0, 100, 70_000)))) for number in range(12)]
    for header, blob in messages:
        world.send(first, hidden.name, header, blob)
        world.post(hidden, first.name, header, blob, seconds=chance.random())
    world.run(30)
    assert hidden.received() == [(first.name, *each) for each in messages], seed
    assert first.received() == [(hidden.name, *each) for each in messages], seed
    assert first.failed() == hidden.failed() == [], seed


# --- a router that means harm -----------------------------------------------------------------------------------------


def on_circuits(world: World, router: str, change: Callable[[bytes], bytes]) -> None:
    """Let that router do something to the bytes that it passes to the node behind it, once the circuit is there."""
    node = world.nodes[router]

    def alter(data: bytes, wire: Wire) -> bytes:
        ends = [connection for end, connection in wire.ends if end is node]
        connection = node.network._switchboard.get(ends[0]) if ends else None
        return change(data) if connection is not None and connection.partner is not None else data

    for wire in world.wires:
        wire.alter = lambda data, to, wire=wire: alter(data, wire) if wire.ends[to][0] is not node else data
    world.on_wire = lambda wire: setattr(
        wire, "alter", lambda data, to: alter(data, wire) if wire.ends[to][0] is not node else data
    )


@pytest.mark.parametrize(
    "change",
    [flip, lambda data: b"", lambda data: data + data, lambda data: data[: len(data) // 2]],
    ids=["tampers", "drops", "replays", "truncates"],
)
def test_a_router_that_does_harm_is_left_for_the_next_one_and_nothing_is_lost(change: Callable[[bytes], bytes]) -> None:
    world, first, hidden = network()
    on_circuits(world, "one.test", change)
    sent = [b"message %d" % number for number in range(5)]
    for each in sent:
        world.send(first, hidden.name, each, each * 100)
    world.run(6)
    assert hidden.received() == [(first.name, each, each * 100) for each in sent]
    assert first.failed() == []
    assert router_of(first, hidden.name) == "two.test"


@pytest.mark.parametrize("change", [flip, lambda data: data + data], ids=["tampers", "replays"])
def test_a_router_that_begins_to_do_harm_is_noticed_at_once(change: Callable[[bytes], bytes]) -> None:
    world, first, hidden = network()
    world.post(first, hidden.name, b"while it was good", seconds=1)
    on_circuits(world, "one.test", change)
    for number in range(5):
        world.send(first, hidden.name, b"message %d" % number)
    world.run(3)
    assert hidden.headers() == [b"while it was good"] + [b"message %d" % number for number in range(5)]
    assert first.failed() == []


def test_a_router_that_begins_to_drop_everything_is_noticed_by_the_keepalive() -> None:
    world, first, hidden = network()
    world.post(first, hidden.name, b"while it was good", seconds=1)
    on_circuits(world, "one.test", lambda data: b"")
    world.post(first, hidden.name, b"swallowed", seconds=26)
    assert hidden.headers() == [b"while it was good", b"swallowed"]
    assert first.failed() == []
    assert router_of(first, hidden.name) == "two.test"


def delay(world: World, router: str, seconds: float, until: float) -> None:
    """Let time pass, while that router keeps all that it passes to the node behind it for so long."""
    node = world.nodes[router]
    line: deque[tuple[float, tuple[Node, int], bytes]] = deque()

    def late(wire: Wire) -> Callable[[bytes, int], bytes]:
        def alter(data: bytes, to: int) -> bytes:
            end = next((connection for each, connection in wire.ends if each is node), None)
            leg = node.network._switchboard.get(end)
            if leg is None or leg.partner is None or wire.ends[to][0] is node:
                return data
            line.append((world.now + seconds, wire.ends[to], data))
            return b""

        return alter

    for wire in world.wires:
        wire.alter = late(wire)
    world.on_wire = lambda wire: setattr(wire, "alter", late(wire))
    while world.now < until:
        world.run(0.125)
        while line and line[0][0] <= world.now:
            _, (receiver, number), data = line.popleft()
            receiver.network.receive(number, data, world.now)


@pytest.mark.parametrize(("seconds", "router"), [(1.0, "one.test"), (30.0, "two.test")])
def test_a_router_that_delays_everything_is_survived_or_left(seconds: float, router: str) -> None:
    world, first, hidden = network()
    world.post(first, hidden.name, b"while it was good", seconds=1)
    sent = [b"message %d" % number for number in range(5)]
    for each in sent:
        world.send(first, hidden.name, each)
        world.send(hidden, first.name, each)
    delay(world, "one.test", seconds, world.now + 40)
    assert hidden.headers() == [b"while it was good", *sent]
    assert first.headers() == sent
    assert first.failed() == hidden.failed() == []
    assert router_of(first, hidden.name) == router


def test_a_router_that_connects_somebody_else_gains_nothing() -> None:
    """It gives the caller an impostor; the caller notices, and takes the next router."""
    world, first, hidden = network()
    impostor = indirect(world, "mallory.test", ("one.test",))
    world.run(2)
    places = world.nodes["one.test"].network._relay._places._places
    places[hidden.name] = places[impostor.name]
    relay = world.nodes["one.test"].network._relay
    honest = relay.accept
    relay.accept = lambda leg, name, ticket, now: honest(  # type: ignore[method-assign]
        leg, hidden.name if name == impostor.name else name, ticket, now
    )
    world.post(first, hidden.name, b"for ida alone", seconds=4)
    assert hidden.headers() == [b"for ida alone"]
    assert impostor.received() == []
    assert PeerUp(hidden.name) in first.events
    assert router_of(first, hidden.name) == "two.test"


def test_a_router_that_broke_the_protocol_is_not_asked_in_its_pause_and_the_next_one_is_at_once() -> None:
    world, first, hidden = network()
    world.post(first, "one.test", b"up", seconds=1)
    router = world.nodes["one.test"]
    say(world, router, connection_of(router.network, first.name), DATA_HEADER.pack(DATA, 0, 1, 99) + b"x")
    began = world.now
    world.post(first, hidden.name, b"hello")
    assert (hidden.headers(), world.now) == ([b"hello"], began)
    assert router_of(first, hidden.name) == "two.test"
