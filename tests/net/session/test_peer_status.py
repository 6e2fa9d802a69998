"""What is known of each peer: state and since when, round-trip time, last error; in virtual time, exactly."""

from net.base.limits import KEEPALIVE_SECONDS, PING_SECONDS, RECOVERY_SECONDS
from net.names.directory import StaticDirectory
from net.session.peer_status import PeerError, PeerState, PeerStatus
from tests.net.joined import join, joined
from tests.net.world import (
    PORT,
    Node,
    Wire,
    World,
    connection_of,
    host_of,
    identity_of,
    met,
    pair,
    record_of,
    static_directory,
)

HOP = 0.125
"""Seconds that each piece of bytes takes in a slow world; a binary fraction, so sums are exact."""


def slow(world: World) -> None:
    """From now on every piece that travels takes `HOP` seconds, one after the other."""

    def alter(data: bytes, _: int) -> bytes:
        world.now += HOP
        return data

    def on_wire(wire: Wire) -> None:
        wire.alter = alter

    world.on_wire = on_wire
    for wire in world.wires:
        wire.alter = alter


def status(node: Node, name: str) -> PeerStatus:
    (peer,) = [each for each in node.network.peers() if each.name == name]
    return peer


def test_the_round_trip_is_measured_when_a_session_comes_to_life() -> None:
    world, first, second = pair()
    slow(world)
    world.post(first, second.name, b"m")
    measured = status(first, second.name).round_trip
    assert measured is not None
    assert measured >= 2 * HOP
    assert status(second, first.name).round_trip is not None


def test_the_round_trip_is_measured_again_after_silence_and_the_last_one_counts() -> None:
    world, first, second = met(b"m")
    assert status(first, second.name).round_trip == 0.0
    slow(world)
    world.run(KEEPALIVE_SECONDS)
    # The ping and the pong of one node, or those of both, whose pieces take turns on the wire.
    assert {status(first, second.name).round_trip, status(second, first.name).round_trip} <= {2 * HOP, 3 * HOP}


def test_while_a_pong_is_awaited_nothing_is_asked_that_it_could_be_taken_for_the_answer_to() -> None:
    world, first, second = met(b"m")
    world.clogged.add(second.name)
    for _ in range(3):
        first.network.probe(second.name, object(), world.now)
        world.run(1)
    connection = connection_of(second.network, first.name)
    assert len(connection._controls) == 1
    world.clogged.clear()
    world._transmit(second, connection.number)
    assert status(first, second.name).round_trip == 3.0


def test_a_pong_that_nobody_asked_for_measures_nothing() -> None:
    world, first, second = met(b"m")
    connection = connection_of(first.network, second.name)
    session = connection.session
    assert session is not None
    session.vitals.round_trip = None
    first.network._reception._handlers._on_pong(connection, session, None, world.now)  # type: ignore[arg-type]
    assert status(first, second.name).round_trip is None


def test_a_peer_is_up_since_its_session_came_to_life_and_idle_time_changes_nothing() -> None:
    world, first, second = pair()
    world.run(7)
    world.post(first, second.name, b"m", seconds=100)
    peer = status(first, second.name)
    assert (peer.state, peer.since, peer.host, peer.router) == (PeerState.UP, 7.0, host_of(second.name), None)
    assert (peer.queued_messages, peer.queued_bytes, peer.error) == (0, 0, None)


def test_a_peer_that_is_sought_is_connecting_since_the_search_began_and_then_down() -> None:
    world, first, second = pair()
    world.silent.add((host_of(second.name), PORT))
    world.run(2)
    world.post(first, second.name, b"m", b"blob", seconds=1)
    peer = status(first, second.name)
    assert (peer.state, peer.since, peer.queued_messages, peer.queued_bytes) == (PeerState.CONNECTING, 2.0, 1, 5)
    world.run(10)
    peer = status(first, second.name)
    assert (peer.state, peer.since) == (PeerState.DOWN, 2 + RECOVERY_SECONDS)
    assert peer.error == PeerError(f"{host_of(second.name)}:{PORT}: no answer in time", 2 + RECOVERY_SECONDS)


def test_the_last_error_says_that_a_dial_was_refused_and_stays_when_the_peer_is_back() -> None:
    world, first, second = pair()
    del world.listening[(host_of(second.name), PORT)]
    world.run(1)
    world.post(first, second.name, b"lost", seconds=1)
    error = PeerError(f"{host_of(second.name)}:{PORT}: refused", 1.0)
    assert (status(first, second.name).state, status(first, second.name).error) == (PeerState.DOWN, error)
    world.listening[(host_of(second.name), PORT)] = second
    world.post(first, second.name, b"m")
    assert (status(first, second.name).state, status(first, second.name).error) == (PeerState.UP, error)


def test_the_last_error_says_that_the_peer_said_goodbye_and_why() -> None:
    world, first, second = pair()
    world.post(first, second.name, b"m", seconds=3)
    second.network.shutdown(world.now)
    world.settle()
    peer = status(first, second.name)
    assert peer.state is PeerState.CONNECTING
    assert peer.error == PeerError(f"{host_of(second.name)}:{PORT}: the peer says: shutdown", 3.0)
    world.run(RECOVERY_SECONDS)
    assert status(first, second.name).state is PeerState.DOWN
    assert status(first, second.name).error == peer.error


def test_the_last_error_says_that_nothing_was_heard() -> None:
    world, first, second = met(b"m")
    for wire in world.wires:
        wire.swallow = True
    world.run(KEEPALIVE_SECONDS + PING_SECONDS)
    error = status(first, second.name).error
    assert error is not None
    assert (error.text.endswith("no answer in time"), error.at) == (True, KEEPALIVE_SECONDS + PING_SECONDS)


def test_the_last_error_of_a_name_that_nobody_has() -> None:
    world = World()
    first = world.add(identity_of("ann.test"), StaticDirectory({}))
    world.run(4)
    world.send(first, "no.test", b"m")
    assert status(first, "no.test").error == PeerError("no such name", 4.0)


def test_a_connection_that_another_replaces_is_no_error() -> None:
    world, first, second = pair()
    world.send(first, second.name, b"1")
    world.send(second, first.name, b"2")  # both dial at once
    world.settle()
    assert (status(first, second.name).error, status(second, first.name).error) == (None, None)


def test_a_guest_at_the_registrar_changes_nothing_about_the_peer_whose_name_it_wants() -> None:
    world, registrar, (node,) = joined(identity_of("ann.test"))
    thief = join(world, identity_of("ann.test", "another key"), port=PORT + 1)
    world.settle()
    world.crash(thief)
    assert status(registrar, node.name).error is None


def test_wrong_keys_are_named_in_the_last_error() -> None:
    world = World()
    first = world.add(identity_of("ann.test"), static_directory(identity_of("ann.test"), identity_of("bob.test")))
    impostor = identity_of("bob.test", "another key")
    records = {"ann.test": record_of(identity_of("ann.test")), "bob.test": record_of(impostor)}
    world.add(impostor, StaticDirectory(records))
    world.post(first, "bob.test", b"m")
    error = status(first, "bob.test").error
    assert error is not None
    assert error.text == f"{host_of('bob.test')}:{PORT}: the peer does not hold the key of bob.test"
