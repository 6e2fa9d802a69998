"""What a peer can take of a node is bounded, and whoever takes without giving is sent away, at exact times."""

import pytest

from net.events import Close, Dial
from net.limits import MAX_HALF_OPEN, MAX_HALF_OPEN_PER_HOST
from tests.net.world import World, identity_of, pair, static_directory

# --- handshakes -------------------------------------------------------------------------------------------------------


def test_half_open_handshakes_are_capped_per_host() -> None:
    _, first, _ = pair()
    network = first.network
    numbers = [network.new_connection() for _ in range(MAX_HALF_OPEN_PER_HOST + 1)]
    for number in numbers:
        network.accepted(number, "one host", 0.0)
    assert network.next_event() == Close(numbers[-1])
    other = network.new_connection()
    network.accepted(other, "another host", 0.0)
    assert network.next_event() is None
    network.lost(numbers[0], 0.0)
    again = network.new_connection()
    network.accepted(again, "one host", 0.0)
    assert network.next_event() is None


def test_a_handshake_of_a_second_makes_room_for_a_newcomer() -> None:
    _, first, _ = pair()
    network = first.network
    numbers = [network.new_connection() for _ in range(MAX_HALF_OPEN_PER_HOST)]
    for number in numbers:
        network.accepted(number, "one host", 10.0)
    for when, closed in ((10.9, "newcomer"), (11.0, "oldest"), (11.0, "second oldest"), (11.5, "third oldest")):
        newcomer = network.new_connection()
        network.accepted(newcomer, "one host", when)
        expected = {
            "newcomer": newcomer,
            **dict(zip(("oldest", "second oldest", "third oldest"), numbers, strict=False)),
        }
        assert list(iter(network.next_event, None)) == [Close(expected[closed])]


def test_when_all_places_are_taken_the_host_with_most_of_them_makes_room() -> None:
    _, first, _ = pair()
    network = first.network
    hosts = ["few"] + ["many"] * MAX_HALF_OPEN_PER_HOST + ["more"] * (MAX_HALF_OPEN - MAX_HALF_OPEN_PER_HOST - 1)
    numbers = {network.new_connection(): host for host in hosts}
    for number, host in numbers.items():
        network.accepted(number, host, 0.0)
    network.accepted(network.new_connection(), "a newcomer", 1.0)
    (close,) = iter(network.next_event, None)
    assert isinstance(close, Close)
    assert numbers[close.connection] == "many"


def test_finished_handshakes_do_not_count_as_half_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("net.switchboard.MAX_HALF_OPEN_PER_HOST", 3)
    world, first, second = pair()
    for index in range(3 + 5):
        world.send(second, first.name, b"%d" % index)
        world.settle()
        world.cut(world.wires[-1])
        world.run(1)
    assert len(first.headers()) == 3 + 5


def test_500_nodes_that_dial_one_at_once_all_get_in_and_none_twice() -> None:
    world = World()
    identities = [identity_of(f"n{index}.test") for index in range(500)]
    hub = world.add(identity_of("hub.test"), directory := static_directory(identity_of("hub.test"), *identities))
    nodes = [world.add(identity, directory, port=None) for identity in identities]
    for node in nodes:
        world.send(node, hub.name, node.name.encode())
        dial = node.network.next_event()
        assert isinstance(dial, Dial)
        world._handle(node, dial)
    assert hub.network.statistics()["connections"] == 500
    world.settle()
    assert sorted(hub.headers()) == sorted(node.name.encode() for node in nodes)
    assert [len(node.dials) for node in nodes] == [1] * 500
    statistics = hub.network.statistics()
    assert (statistics["connections"], statistics["sessions"], statistics["live"], world.now) == (500, 500, 500, 0.0)
