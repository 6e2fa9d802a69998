"""Routers, their nodes and their callers against peers that mean harm, and against breaks at bad moments."""

import tracemalloc
from collections.abc import Callable

import pytest

from nectar_node.contract.memory_budget import MemoryBudget
from net.base.frames import TICKET_BYTES, Incoming, Reserved
from net.base.limits import (
    HANDSHAKE_SECONDS,
    MAX_CALLS_PER_ROUTER,
    MAX_CIRCUITS_PER_NODE,
    MAX_CIRCUITS_PER_PAIR,
    RECOVERY_SECONDS,
    RELAY_BYTES,
    ROUTER_RETRY_SECONDS,
    SCARCE_RELAY_BYTES,
)
from net.contract.events import Hold, Log
from net.names.directory import Endpoint, RegistrarDirectory
from net.names.registrar import Registrar
from net.peering import session_table
from net.peering.network import NetworkConfig
from net.peering.own_routers import Place
from net.session.handshake import Connect
from tests.net.hostile import speak
from tests.net.routed import INDIRECT, ROUTERS, carrying, flip, indirect, member, network, router_of
from tests.net.world import GENESIS, PORT, REGISTRAR, Node, Wire, World, host_of, identity_of


def wires_between(world: World, *names: str) -> list[Wire]:
    """The open ones, oldest first."""
    wires = dict.fromkeys(map(id, world.open.values()))
    return [wire for wire in world.wires if id(wire) in wires and {end.name for end, _ in wire.ends} == set(names)]


# --- breaks at bad moments --------------------------------------------------------------------------------------------


def test_what_a_router_sends_to_its_node_while_that_dials_again_arrives() -> None:
    world, _, hidden = network(routers=("one.test",))
    router = world.nodes["one.test"]
    world.cut(wires_between(world, "one.test", hidden.name)[0])
    world.post(router, hidden.name, b"nobody but the node itself can dial now", seconds=1)
    assert hidden.headers() == [b"nobody but the node itself can dial now"]
    assert router.failed() == []


def test_a_router_that_says_goodbye_is_dialed_again_at_once() -> None:
    world, _, hidden = network(routers=("one.test",))
    router = world.nodes["one.test"]
    router.network.shutdown(world.now)
    world.settle()
    world.crash(router)
    world.run(1)
    again = member(world, "one.test")
    world.run(ROUTER_RETRY_SECONDS + 1)
    assert again.network.carried() == [hidden.name]


def test_a_router_whose_session_came_through_another_router_can_call_its_node() -> None:
    world, first, hidden = network()
    one = world.nodes["one.test"]
    number = next(each for each in one.network._switchboard.all() if each.session and each.session.name == hidden.name)
    del world.listening[(host_of("one.test"), PORT)]
    one.network._switchboard.timers.set(number.number, None)
    world.cut(wires_between(world, "one.test", hidden.name)[0])
    world.post(one, hidden.name, b"through two", seconds=2)
    assert hidden.headers() == [b"through two"]
    assert router_of(one, hidden.name) == "two.test"
    world.listening[(host_of("one.test"), PORT)] = one
    world.run(2)
    world.post(first, hidden.name, b"through one", seconds=0.1)
    assert hidden.headers() == [b"through two", b"through one"]
    assert router_of(first, hidden.name) == "one.test"


def test_a_router_that_nobody_knows_delays_no_message_while_the_registrar_is_down() -> None:
    world, first, hidden = network()
    for name in (hidden.name, "one.test"):
        first.network.look_up(name, world.now)
        world.nodes[name].network.look_up(first.name, world.now)
    world.run(1)
    world.crash(world.nodes[REGISTRAR.name])
    world.run(30)
    world.post(first, hidden.name, b"through one", seconds=0.1)
    assert hidden.headers() == [b"through one"]


def test_a_router_that_cannot_be_reached_is_not_forgotten_for_want_of_room(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.add(REGISTRAR, Registrar(REGISTRAR))
    hidden = indirect(world, routers=("one.test",))
    world.run(10)
    monkeypatch.setattr(session_table, "MAX_SESSIONS", 2)
    member(world, "ann.test")
    world.run(0.1)
    world.post(hidden, "ann.test", b"hello", seconds=5)
    router = member(world, "one.test")
    world.run(2)
    assert router.network.carried() == [hidden.name]


@pytest.mark.parametrize("target", ["one.test", INDIRECT])
def test_who_has_moved_away_from_an_address_that_swallows_everything_is_found(target: str) -> None:
    world, first, _ = network(routers=("one.test",))
    for name in ("one.test", INDIRECT):
        first.network.look_up(name, world.now)
    world.run(1)
    world.crash(world.nodes["one.test"])
    world.silent.add((host_of("one.test"), PORT))
    settings = NetworkConfig(endpoints=(Endpoint(host_of("one.test"), PORT + 5),), register=True)
    world.add(identity_of("one.test"), RegistrarDirectory(GENESIS), settings, port=PORT + 5)
    world.run(10)
    world.post(first, target, b"hello", seconds=RECOVERY_SECONDS)
    assert world.nodes[target].headers() == [b"hello"]


# --- strangers, and the registrar as a router -------------------------------------------------------------------------


def test_the_registrar_is_a_router_for_who_joins_only_now() -> None:
    world = World()
    registrar = world.add(REGISTRAR, Registrar(REGISTRAR))
    first = member(world, "ann.test")
    hidden = indirect(world, routers=(REGISTRAR.name,))
    world.run(2)
    assert registrar.network.carried() == [hidden.name]
    world.post(first, hidden.name, b"hello", seconds=1)
    assert hidden.headers() == [b"hello"]


def test_a_stranger_at_the_registrar_takes_no_place_away_that_it_keeps_as_a_router() -> None:
    world = World()
    registrar = world.add(REGISTRAR, Registrar(REGISTRAR))
    hidden = indirect(world, routers=(REGISTRAR.name,))
    world.run(2)
    assert registrar.network.carried() == [hidden.name]
    settings = NetworkConfig(endpoints=(Endpoint(host_of("else"), PORT),), register=True)
    thief = world.add(identity_of(INDIRECT, "another key"), RegistrarDirectory(GENESIS), settings, alias="thief")
    world.run(2)
    world.crash(thief)
    world.run(0.001)
    assert registrar.network.carried() == [hidden.name]


# --- a router that is good until it has what it waits for -------------------------------------------------------------


def on_sessions(world: World, router: str, change: Callable[[bytes], bytes], after: int) -> None:
    """Let that router spoil what it passes to the node behind it once so many bytes have gone well."""
    node = world.nodes[router]

    def spoil(wire: Wire) -> None:
        passed = 0

        def alter(data: bytes, to: int) -> bytes:
            nonlocal passed
            mine, theirs = wire.ends[1 - to], wire.ends[to]
            leg = node.network._switchboard.get(mine[1]) if mine[0] is node else None
            if leg is None or leg.partner is None or theirs[0].name != INDIRECT:
                return data
            passed += len(data)
            return data if passed < after else change(data)

        wire.alter = alter

    world.on_wire = spoil


@pytest.mark.parametrize("change", [flip, lambda data: b""], ids=["tampers", "drops"])
@pytest.mark.parametrize("caller", ["ann.test", "zoe.test"])
def test_a_router_that_spoils_every_session_after_its_beginning_is_left_for_the_next_one(
    caller: str, change: Callable[[bytes], bytes]
) -> None:
    world, first, hidden = network(caller)
    on_sessions(world, "one.test", change, after=2000)
    world.post(first, hidden.name, b"hello", bytes(100_000), seconds=30)
    assert hidden.headers() == [b"hello"]
    assert router_of(first, hidden.name) == "two.test"


def test_a_router_that_has_broken_the_protocol_is_passed_over() -> None:
    world, first, hidden = network()
    for name in (*ROUTERS, hidden.name):
        world.send(first, name, b"hello") if name in ROUTERS else first.network.look_up(name, world.now)
    world.run(1)
    one = world.nodes["one.test"].network
    (there,) = [each for each in one._switchboard.all() if each.session and each.session.name == first.name]
    speak(one, there, Reserved(accepted=True))
    world.run(0.01)
    world.post(first, hidden.name, b"through two", seconds=0.1)
    assert hidden.headers() == [b"through two"]
    assert router_of(first, hidden.name) == "two.test"


def test_a_node_that_comes_back_without_routers_is_not_called_through_its_former_one() -> None:
    world, _, hidden = network(routers=("one.test",))
    former = next(wire for wire in wires_between(world, "one.test", hidden.name))
    del world.nodes[hidden.name]  # gone, and its connections do not say so
    back = member(world, hidden.name)
    world.post(back, "one.test", b"hello", seconds=1)
    assert former not in wires_between(world, "one.test", hidden.name)
    router = world.nodes["one.test"].network
    assert router.carried() == []


# --- a caller that means harm -----------------------------------------------------------------------------------------


def flood(world: World, caller: Node, router: str, target: str, count: int) -> None:
    """Let `caller` ask for so many circuits, and do nothing with them."""
    caller.network._circuits.spliced = lambda leg, frame, now: None  # type: ignore[method-assign]
    for _ in range(count):
        handshake = caller.network._sessions.handshake(initiator=True, circuit=Connect(target))
        endpoint = Endpoint(host_of(router), PORT)
        until = world.now + HANDSHAKE_SECONDS
        leg = caller.network._switchboard.dial(router, endpoint, handshake, until=until, now=world.now)
        leg.owner = None


def test_a_caller_that_floods_a_node_with_circuits_keeps_no_other_from_it() -> None:
    world, first, hidden = network(routers=("one.test",))
    mallory = member(world, "mallory.test")
    for name in ("one.test", hidden.name):
        world.nodes[name].network.look_up(mallory.name, world.now)
        mallory.network.look_up(name, world.now)
    world.run(1)
    flood(world, mallory, "one.test", hidden.name, MAX_CIRCUITS_PER_NODE)
    world.run(0.1)
    assert world.nodes["one.test"].network.statistics()["circuits"] == MAX_CIRCUITS_PER_PAIR
    world.post(first, hidden.name, b"hello", seconds=0.5)
    assert hidden.headers() == [b"hello"]


def test_callers_from_one_address_keep_no_other_from_a_node_however_many_names_they_have() -> None:
    world, first, hidden = network(routers=("one.test",))
    names = [f"mallory{number}.test" for number in range(MAX_CIRCUITS_PER_NODE // MAX_CIRCUITS_PER_PAIR)]
    callers = [member(world, name) for name in names]
    for mallory in callers:
        for name in ("one.test", hidden.name):
            world.nodes[name].network.look_up(mallory.name, world.now)
            mallory.network.look_up(name, world.now)
    world.run(1)
    for mallory in callers:
        flood(world, mallory, "one.test", hidden.name, MAX_CIRCUITS_PER_PAIR)
        world.run(0.05)
    relay = world.nodes["one.test"].network._relay
    assert relay.circuits == MAX_CIRCUITS_PER_NODE
    for circuit in relay._circuits.values():
        circuit.leg.host = host_of(names[0])
    world.post(first, hidden.name, b"hello", seconds=0.5)
    assert hidden.headers() == [b"hello"]
    assert relay.circuits == MAX_CIRCUITS_PER_NODE


def test_a_node_answers_calls_through_one_router_though_callers_have_taken_all_circuits_of_another() -> None:
    world, first, hidden = network()
    names = [f"mallory{number}.test" for number in range(MAX_CIRCUITS_PER_NODE // MAX_CIRCUITS_PER_PAIR)]
    callers = [member(world, name) for name in names]
    for caller in (*callers, first):
        for name in (*ROUTERS, hidden.name):
            world.nodes[name].network.look_up(caller.name, world.now)
            caller.network.look_up(name, world.now)
    world.run(1)
    for mallory in callers:
        flood(world, mallory, ROUTERS[0], hidden.name, MAX_CIRCUITS_PER_PAIR)
        world.run(0.05)
    assert circuits_with_both_legs(world, ROUTERS[0]) == MAX_CIRCUITS_PER_NODE
    flood(world, first, ROUTERS[1], hidden.name, 1)
    world.run(0.5)
    assert circuits_with_both_legs(world, ROUTERS[1]) == 1


def test_a_node_answers_calls_that_are_there_before_the_ends_of_those_that_they_replace() -> None:
    world, _, hidden = network(routers=("one.test",))
    circuits, session = hidden.network._circuits, hidden.network._sessions.table.get("one.test")
    assert session is not None
    for call in range(2 * MAX_CIRCUITS_PER_NODE + 1):
        circuits.call(session, Incoming(call.to_bytes(TICKET_BYTES, "big"), "mallory.test"), world.now)
    assert len(circuits._answering) == MAX_CALLS_PER_ROUTER == 2 * MAX_CIRCUITS_PER_NODE


def circuits_with_both_legs(world: World, router: str) -> int:
    """Those of a router whose ends are connected with each other."""
    circuits = world.nodes[router].network._relay._circuits.values()
    return len({id(each) for each in circuits if each.other is not None})


def test_a_caller_that_dribbles_to_a_node_that_does_not_read_costs_a_router_no_more_memory_than_others() -> None:
    world, first, _ = carrying()
    router = world.nodes["one.test"].network
    leg = next(leg for leg in router._switchboard.all() if leg.partner and leg.host == host_of(first.name))
    assert leg.partner is not None
    leg.partner.signalled = True  # the driver is still writing: it takes nothing more for now
    tracemalloc.start()
    for _ in range(RELAY_BYTES // 2 + 1):
        router.receive(leg.number, memoryview(b"ab"), world.now)
        if router.next_event() == Hold(leg.number, held=True):
            break
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 2 * RELAY_BYTES


def test_what_waits_at_a_router_is_paid_for_by_the_caller_and_less_may_wait_when_it_has_no_more() -> None:
    world = World()
    world.add(REGISTRAR, Registrar(REGISTRAR))
    budget = MemoryBudget(8 << 20)
    router = member(world, "one.test", memory=budget)
    first = member(world, "ann.test")
    hidden = indirect(world, routers=("one.test",))
    world.run(2)
    world.post(first, hidden.name, b"hello", seconds=1)
    leg = next(leg for leg in router.network._switchboard.all() if leg.partner and leg.host == host_of(first.name))
    assert leg.partner is not None
    leg.partner.signalled = True  # the driver is still writing: it takes nothing more for now
    budget.of_node("another.test").add(7 << 20)
    for _ in range(3):
        router.network.receive(leg.number, bytes(SCARCE_RELAY_BYTES // 2), world.now)
    assert Hold(leg.number, held=True) in iter(router.network.next_event, None)
    assert budget.of("peer", first.name) == leg.partner.raw_bytes
    world.crash(hidden)
    world.run(2)
    assert budget.of("peer", first.name) == 0


# --- places -----------------------------------------------------------------------------------------------------------


def test_an_honest_node_has_a_place_though_one_client_wants_them_all_and_all_can_see_who_has_one() -> None:
    world = World()
    world.add(REGISTRAR, Registrar(REGISTRAR))
    router = member(world, "one.test", reservations=6)
    crowd = [identity_of(f"x{number}.test") for number in range(8)]
    nodes = []
    for who in crowd:
        settings = NetworkConfig(routers=("one.test",), register=True)
        nodes.append(world.add(who, RegistrarDirectory(GENESIS), settings, port=None))
        world.hosts[id(nodes[-1])] = "client"
    world.run(2)
    assert len(router.network.carried()) == 6
    hidden, first = indirect(world, routers=("one.test",)), member(world, "ann.test")
    world.run(2)
    assert hidden.network.routers() == {"one.test": Place.HELD}
    held = [node for node in nodes if node.network.routers()["one.test"] is Place.HELD]
    assert sorted(router.network.carried()) == sorted([hidden.name, *(node.name for node in held)])
    assert len(held) == 5
    world.post(first, hidden.name, b"hello", seconds=1)
    assert hidden.headers() == [b"hello"]
    world.run(10)
    assert hidden.network.routers() == {"one.test": Place.HELD}


def test_a_node_whose_place_has_gone_to_another_address_asks_again_and_gets_one_when_there_is_one() -> None:
    world = World()
    world.add(REGISTRAR, Registrar(REGISTRAR))
    router = member(world, "one.test", reservations=2)
    first, second = (indirect(world, name, ("one.test",)) for name in ("x1.test", "x2.test"))
    for node in (first, second):
        world.hosts[id(node)] = "client"
    world.run(2)
    hidden = indirect(world, routers=("one.test",))
    world.run(2)
    (loser,) = (node for node in (first, second) if node.network.routers()["one.test"] is Place.REFUSED)
    told = [event.text for event in loser.of(Log) if isinstance(event, Log) and "no place" in event.text]
    assert told == ["one.test has no place for this node; it is asked again"]
    world.crash(hidden)
    world.run(ROUTER_RETRY_SECONDS + 0.1)
    assert loser.network.routers() == {"one.test": Place.HELD}
    assert set(router.network.carried()) == {"x1.test", "x2.test"}
