"""What happens when the world or a peer misbehaves: each fault has one promised outcome, at an exact time."""

from collections.abc import Callable

import pytest

from net.base.errors import GoodbyeCode
from net.contract.events import Close, FailureReason, Log, PeerDown, PeerUp
from net.names.directory import NEVER, Endpoint, NameRecord, StaticDirectory, sign_record
from net.peering.network import NetworkConfig
from tests.net.world import (
    PORT,
    REGISTRAR,
    Wire,
    World,
    cached_directory,
    connection_of,
    host_of,
    identity_of,
    met,
    pair,
    record_of,
    static_directory,
)

BOTH_ORDERS = pytest.mark.parametrize("names", [("ann.test", "bob.test"), ("bob.test", "ann.test")])


def cut_first_at(world: World, *cuts: int) -> None:
    """The first connections break after so many bytes each."""
    remaining = iter(cuts)

    def on_wire(wire: Wire) -> None:
        wire.cut_after = next(remaining, None)

    world.on_wire = on_wire


def test_a_large_message_goes_on_where_the_connection_broke() -> None:
    world, first, second = pair()
    size = 4 << 20
    cut_first_at(world, 1 << 20, 1 << 20, 1 << 20)
    blob = bytes(range(256)) * (size // 256)
    world.post(first, second.name, b"large", blob, seconds=5)
    assert second.received() == [(first.name, b"large", blob)]
    assert len(world.wires) == 4
    assert sum(wire.carried for wire in world.wires) < size * 1.1


def test_what_the_kernel_had_not_taken_when_the_connection_broke_is_acknowledged_later_and_not_sent_again() -> None:
    world, first, second = pair()
    second.taking = False
    world.post(first, second.name, b"slow")
    world.cut(world.wires[0])
    world.run(1)
    assert len(world.wires) == 2
    assert first.delivered() == []
    second.network.taken(second.untaken[0], world.now)
    world.settle()
    assert second.headers() == [b"slow"]
    assert first.delivered() == [b"slow"]


def test_an_acknowledgement_that_the_cut_swallowed_comes_with_the_next_connection() -> None:
    world, first, second = met(b"up")
    second.taking = False
    world.post(first, second.name, b"message")
    world.wires[0].cut_after = world.wires[0].carried + 1
    second.network.taken(second.untaken[0], world.now)
    world.run(1)
    assert first.delivered() == [b"up", b"message"]
    assert second.headers() == [b"up", b"message"]


@BOTH_ORDERS
def test_a_restart_fails_what_was_not_acknowledged_and_keeps_what_was_not_sent(names: tuple[str, str]) -> None:
    world, first, second = pair(names=names)
    second.taking = False
    world.post(first, second.name, b"sent")
    assert second.headers() == [b"sent"]
    world.crash(second)
    world.settle()
    world.send(first, second.name, b"queued meanwhile")
    again = world.add(identity_of(second.name), static_directory(identity_of(first.name), identity_of(second.name)))
    world.run(3)
    assert first.failed() == [(b"sent", FailureReason.PEER_RESTARTED)]
    assert again.headers() == [b"queued meanwhile"]
    assert first.delivered() == [b"queued meanwhile"]
    assert first.of(PeerDown) == []


def test_a_partial_message_to_a_peer_that_restarted_fails() -> None:
    world, first, second = pair()
    cut_first_at(world, 500_000)
    world.post(first, second.name, b"large", bytes(1 << 20))
    assert second.received() == []
    world.crash(second)
    again = world.add(identity_of(second.name), static_directory(identity_of(first.name), identity_of(second.name)))
    world.run(3)
    assert first.failed() == [(b"large", FailureReason.PEER_RESTARTED)]
    assert again.received() == []
    world.post(first, second.name, b"next", bytes(1 << 20), seconds=1)
    assert again.headers() == [b"next"]


@BOTH_ORDERS
def test_a_connection_that_does_not_come_back_fails_everything_when_the_budget_is_spent(
    names: tuple[str, str],
) -> None:
    world, first, second = pair(names=names)
    second.taking = False
    world.post(first, second.name, b"sent", seconds=2)
    world.crash(second)
    world.run(1)
    world.post(first, second.name, b"queued", seconds=3.75)
    assert first.failed() == []
    world.run(0.25)
    assert first.failed() == [
        (b"sent", FailureReason.CONNECTION_LOST),
        (b"queued", FailureReason.CONNECTION_LOST),
    ]
    assert first.of(PeerDown) == [PeerDown(second.name, FailureReason.CONNECTION_LOST)]
    assert len(first.dials) > 3


def test_after_giving_up_a_new_message_starts_afresh_and_old_ones_do_not_come_back() -> None:
    world, first, second = met(b"up")
    wire = world.wires[0]
    wire.swallow = True
    world.post(first, second.name, b"lost", bytes(100_000))
    del world.listening[(host_of(second.name), PORT)]
    world.cut(wire)
    world.run(6)
    assert first.failed() == [(b"lost", FailureReason.CONNECTION_LOST)]
    world.listening[(host_of(second.name), PORT)] = second
    world.post(first, second.name, b"after", seconds=1)
    assert second.headers() == [b"up", b"after"]
    assert first.delivered() == [b"up", b"after"]


def test_a_dial_that_nobody_answers_fails_when_the_budget_is_spent() -> None:
    world, first, second = pair()
    world.silent.add((host_of(second.name), PORT))
    world.post(first, second.name, b"hello", seconds=4.9)
    assert first.failed() == []
    world.run(0.1)
    assert first.failed() == [(b"hello", FailureReason.UNREACHABLE)]


def test_g13_a_node_of_another_version_is_found_out_at_once() -> None:
    world, first, second = pair()
    world.crash(second)
    world.add(identity_of(second.name), static_directory(identity_of(first.name)), NetworkConfig(version=0))
    world.post(first, second.name, b"hello")
    assert first.failed() == [(b"hello", FailureReason.OTHER_VERSION)]
    assert first.of(Log) == [
        Log(f"connection 1 with {second.name} ends: the peer speaks another version of the protocol")
    ]


def test_two_nodes_of_the_same_other_version_understand_each_other() -> None:
    _, _, second = met(b"hello", NetworkConfig(version=7))
    assert second.headers() == [b"hello"]


def test_a_connection_that_breaks_is_in_the_log_with_its_peer() -> None:
    world, first, second = met(b"hello")
    assert first.of(Log) == []
    world.cut(world.wires[0])
    world.settle()
    assert first.of(Log) == [Log(f"connection 1 with {second.name} has broken")]


def test_who_was_dialed_sends_on_after_a_break_though_nobody_can_dial_the_other_side() -> None:
    world, first, second = met(b"hello")
    del world.listening[(host_of(first.name), PORT)]
    world.cut(world.wires[0])
    world.post(second, first.name, b"at once", seconds=1)
    assert (first.headers(), second.failed()) == ([b"at once"], [])


def test_a_dialer_with_the_wrong_key_is_not_believed() -> None:
    world, first, second = pair()
    impostor = world.add(identity_of(first.name, "another key"), static_directory(identity_of(second.name)))
    world.post(impostor, second.name, b"false", seconds=6)
    assert second.received() == []
    assert second.of(PeerUp) == []
    assert impostor.failed() == [(b"false", FailureReason.NOT_BELIEVED)]


def test_a_silent_dialer_is_dropped_after_five_seconds() -> None:
    _, first, _ = pair()
    number = first.network.new_connection()
    first.network.accepted(number, "somewhere", 0.0)
    assert first.network.next_deadline() == 5.0
    first.network.on_timer(4.9)
    assert first.network.next_event() is None
    first.network.on_timer(5.0)
    events = [first.network.next_event(), first.network.next_event()]
    assert events == [Log(f"connection {number} with somewhere ends: silent for too long"), Close(number)]


@pytest.mark.parametrize(
    "junk", [b"GET / HTTP/1.1", b"\x00\x21" + bytes(33), b"\x00\x20" + bytes(32), b"\x00\x00", b"\xff", b"\x00\x20"]
)
def test_junk_is_dropped_as_soon_as_it_is_seen_to_be_junk(junk: bytes) -> None:
    _, first, _ = pair()
    number = first.network.new_connection()
    first.network.accepted(number, "somewhere", 0.0)
    first.network.receive(number, junk, 0.0)
    closes = [event for event in iter(first.network.next_event, None) if isinstance(event, Close)]
    could_be_a_handshake = junk in (b"\xff", b"\x00\x20")
    assert closes == ([] if could_be_a_handshake else [Close(number)])


def test_keepalive_finds_a_dead_connection_after_twenty_seconds() -> None:
    world, first, second = met(b"up", NetworkConfig(recovery_seconds=1.0))
    world.wires[0].swallow = True
    world.silent.add((host_of(first.name), PORT))
    world.silent.add((host_of(second.name), PORT))
    world.run(19.9)
    assert len(world.open) == 2
    world.run(0.1)
    assert len(world.open) == 0
    world.run(1)
    assert first.of(PeerDown) == [PeerDown(second.name, FailureReason.CONNECTION_LOST)]


def test_an_idle_connection_stays_up_on_pings_alone() -> None:
    world, first, second = pair()
    world.post(first, second.name, b"up", seconds=3600)
    assert len(world.wires) == 1
    assert len(world.open) == 2
    assert first.of(PeerDown) == second.of(PeerDown) == []


def test_when_both_dial_at_once_one_connection_survives_and_nothing_is_lost() -> None:
    world, first, second = pair()
    held: list[Callable[[], None]] = []
    deliver = world._carry
    world._carry = lambda *args: held.append(lambda: deliver(*args))  # type: ignore[method-assign]
    world.send(first, second.name, b"from ann")
    world.post(second, first.name, b"from bob")
    while held:
        held.pop(0)()
        world.settle()
    world.run(2)
    while held:
        held.pop(0)()
        world.settle()
    assert len(world.wires) == 2
    assert len(world.open) == 2
    assert (first.headers(), second.headers()) == ([b"from bob"], [b"from ann"])
    assert (first.delivered(), second.delivered()) == ([b"from ann"], [b"from bob"])


@BOTH_ORDERS
def test_a_peer_that_redials_while_we_think_the_old_connection_alive_gets_through(names: tuple[str, str]) -> None:
    world, first, second = met(b"one", names=names)
    wire = world.wires[0]
    world.open.pop((id(first), wire.ends[0][1]))
    first.network.lost(wire.ends[0][1], world.now)
    world.post(first, second.name, b"two", seconds=1)
    assert second.headers() == [b"one", b"two"]
    assert first.delivered() == [b"one", b"two"]
    assert second.of(PeerDown) == []


def test_a_changed_byte_ends_the_connection_and_never_reaches_the_node() -> None:
    world, first, second = met(b"up")
    wire = world.wires[0]
    wire.alter = lambda data, to: data[:-1] + bytes([data[-1] ^ 1])
    world.post(first, second.name, b"altered", seconds=2)
    assert second.headers() == [b"up", b"altered"]
    assert any("does not decrypt" in str(event) for event in second.of(Log))
    assert len(world.wires) == 2


def test_a_repeated_record_is_not_a_repeated_message() -> None:
    world, first, second = met(b"up")
    wire = world.wires[0]
    wire.alter = lambda data, to: data + data
    world.post(first, second.name, b"once", seconds=2)
    assert second.headers() == [b"up", b"once"]
    assert first.delivered() == [b"up", b"once"]


def test_a_whole_recorded_connection_played_back_says_nothing() -> None:
    world, _, second = met(b"secret")
    recorded = b"".join(world.wires[0].log)
    before = len(second.received())
    number = second.network.new_connection()
    second.network.accepted(number, "replayer", world.now)
    second.network.receive(number, recorded, world.now)
    world.run(6)
    assert len(second.received()) == before


def test_a_peer_that_overruns_its_credit_is_sent_away_with_that_code() -> None:
    world, first, second = pair(NetworkConfig(credit_messages=2))
    second.taking = False
    world.post(first, second.name, b"up")
    session = connection_of(first.network, second.name).session
    assert session is not None
    session.outbox.set_credit(1 << 30, 100)
    for index in range(3):
        world.send(first, second.name, b"%d" % index)
    world.settle()
    assert second.headers() == [b"up", b"0"]
    assert any(GoodbyeCode.CREDIT_OVERRUN.name.lower().replace("_", " ") in str(event) for event in first.of(Log))


def test_a_peer_whose_record_has_two_endpoints_is_reached_at_the_second() -> None:
    world = World()
    ann, bob = identity_of("ann.test"), identity_of("bob.test")
    first = world.add(ann, static_directory(ann, bob))
    second = world.add(bob, static_directory(ann, bob), port=PORT + 1)
    endpoints = (Endpoint(host_of(bob.name), PORT), Endpoint(host_of(bob.name), PORT + 1))
    record = sign_record(NameRecord(bob.name, bob.public_key, endpoints, (), 1, 0, NEVER), bob)
    first = world.add(ann, StaticDirectory({bob.name: record, ann.name: record_of(ann)}))
    world.post(first, bob.name, b"hello")
    assert second.headers() == [b"hello"]
    assert [port for _, _, port in first.dials] == [PORT, PORT + 1]


def test_a_search_that_fails_while_the_peers_own_connection_is_nearly_there_doubles_nothing() -> None:
    world = World()
    ann, bob = identity_of("ann.test"), identity_of("bob.test")
    first, second = (world.add(each, cached_directory(ann, bob)) for each in (ann, bob))
    world.silent.add((host_of(REGISTRAR.name), PORT))
    del world.listening[host_of(bob.name), PORT]
    world.post(first, bob.name, b"refused, and the registrar is asked in vain until 5.0", seconds=4.9)
    late: list[bytes] = []
    world.on_wire = lambda wire: setattr(wire, "alter", lambda data, to: delayed(wire, data, to))

    def delayed(wire: Wire, data: bytes, to: int) -> bytes:
        """Its resume frame, and what comes behind it, is on its way for a while."""
        if to == 0 or len(wire.log) < 4:
            return data
        late.append(data)
        return b""

    world.send(second, ann.name, b"dials")
    world.run(0.2)  # the lookup has failed
    (wire,) = world.wires
    wire.alter = None
    for data in late:
        wire.ends[1][0].network.receive(wire.ends[1][1], data, world.now)
    world.settle()
    assert second.delivered() == [b"dials"]
    second.taking = False
    world.post(first, bob.name, b"once")
    wire.swallow = True
    second.network.taken(second.untaken.pop(), world.now)
    world.settle()
    world.cut(wire)
    world.listening[host_of(bob.name), PORT] = second
    world.on_wire = lambda wire: None
    world.run(1)
    assert second.headers()[-1:] == [b"once"]
    assert second.headers().count(b"once") == 1
    assert first.delivered()[-1:] == [b"once"]
