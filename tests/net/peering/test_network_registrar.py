"""Nodes that know each other through a registrar: joining, lookups, and going on while it is down."""

from net.base.frames import Lookup
from net.contract.events import FailureReason, Log, PeerUp, Registered, RegistrationFailed
from net.names.directory import Endpoint, RegistrarDirectory, decode_record_untrusted
from tests.net.hostile import say
from tests.net.joined import join, joined, registrar_in, stored
from tests.net.world import GENESIS, PORT, World, cached_directory, connection_of, host_of, identity_of


def test_a_node_registers_its_name_at_boot() -> None:
    world, registrar, (node,) = joined(identity_of("ann.test"))
    (event,) = node.of(Registered)
    assert isinstance(event, Registered)
    record = decode_record_untrusted(event.record)
    assert record.granted_by(GENESIS.public_key)
    assert record.record.endpoints == (Endpoint(host_of("ann.test"), PORT),)
    assert stored(registrar) == stored(node) == [record.held()]
    assert world.now == 0.0


def test_two_nodes_that_joined_find_each_other() -> None:
    world, _, (first, second) = joined(identity_of("ann.test"), identity_of("bob.test"))
    world.post(first, second.name, b"hello")
    assert second.received() == [(first.name, b"hello", None)]
    world.post(second, first.name, b"hello too")
    assert first.headers() == [b"hello too"]


def test_a_node_without_a_registered_name_cannot_send_messages_to_anybody() -> None:
    world, registrar, (member,) = joined(identity_of("ann.test"))
    stranger = world.add(identity_of("eve.test"), RegistrarDirectory(GENESIS))
    world.send(stranger, member.name, b"to a member")
    world.post(stranger, registrar.name, b"to the registrar", seconds=20)
    assert member.received() == registrar.received() == []
    assert PeerUp("eve.test") not in member.events + registrar.events
    assert sorted(stranger.failed(), key=repr) == [
        (b"to a member", FailureReason.NO_REGISTRAR),
        (b"to the registrar", FailureReason.NOT_BELIEVED),
    ]


def test_a_message_to_the_registrar_waits_until_the_name_is_granted() -> None:
    world = World()
    registrar = registrar_in(world)
    node = join(world, identity_of("ann.test"))
    world.post(node, registrar.name, b"early")
    assert registrar.received() == [(node.name, b"early", None)]
    assert node.delivered() == [b"early"]


def test_a_stranger_with_a_granted_record_is_believed_while_the_registrar_is_down() -> None:
    world = World()
    ann, bob = identity_of("ann.test"), identity_of("bob.test")
    first = world.add(ann, cached_directory(ann, bob))
    second = world.add(bob, cached_directory(bob))
    world.post(first, second.name, b"hello", seconds=10)
    assert second.headers() == [b"hello"]
    assert [each.encoded for each in stored(second)] == [first.network._directory.signed(first.name)]


def test_an_impostor_at_an_old_endpoint_does_not_hide_the_node_that_moved() -> None:
    world, _, (first, second) = joined(identity_of("ann.test"), identity_of("bob.test"))
    world.post(first, second.name, b"one")
    cache = RegistrarDirectory(GENESIS, stored(second))
    world.crash(second)
    world.run(30)
    moved = join(world, identity_of("bob.test"), cache, port=PORT + 7)
    impostor_identity = identity_of("bob.test", "another key")
    impostor = world.add(impostor_identity, RegistrarDirectory(GENESIS), alias="impostor")
    world.settle()
    world.post(first, second.name, b"two")
    assert moved.headers() == [b"two"]
    assert impostor.received() == []
    assert [port for _, _, port in first.dials][-2:] == [PORT, PORT + 7]


def test_a_registration_is_tried_again_until_the_registrar_is_there() -> None:
    world = World()
    node = join(world, identity_of("ann.test"))
    world.run(9)
    assert node.of(Registered, RegistrationFailed) == [RegistrationFailed(FailureReason.UNREACHABLE, retries=True)]
    registrar_in(world)
    world.run(2)
    assert len(node.of(Registered)) == 1


def test_a_registrar_that_answers_nothing_leaves_a_lookup_unanswered_for_five_seconds() -> None:
    world, _, (node,) = joined(identity_of("ann.test"))
    world.wires[0].swallow = True
    world.post(node, "bob.test", b"hello", seconds=4.9)
    assert node.failed() == []
    world.run(0.1)
    assert node.failed() == [(b"hello", FailureReason.NO_REGISTRAR)]


def test_a_lookup_that_a_broken_connection_swallowed_is_asked_again_on_the_next() -> None:
    world, _, (node, other) = joined(identity_of("ann.test"), identity_of("bob.test"))
    world.wires[0].swallow = True
    world.post(node, other.name, b"hello")
    world.cut(world.wires[0])
    world.run(1)
    assert other.headers() == [b"hello"]


def test_a_request_to_a_node_that_is_no_registrar_ends_the_connection() -> None:
    world, _, (first, second) = joined(identity_of("ann.test"), identity_of("bob.test"))
    world.post(first, second.name, b"up")
    say(world, first, connection_of(first.network, second.name), Lookup(1, "bob.test"))
    assert any("not a registrar" in str(event) for event in second.of(Log))


def test_a_node_that_comes_back_elsewhere_within_the_budget_is_found_again() -> None:
    world, _, (first, second) = joined(identity_of("ann.test"), identity_of("bob.test"))
    world.post(first, second.name, b"before", seconds=1)
    world.crash(second)
    world.post(first, second.name, b"meanwhile", seconds=2.5)
    again = join(world, identity_of(second.name), port=PORT + 1)
    world.run(2.4)
    assert again.headers() == [b"meanwhile"]
    assert first.failed() == []


def test_a_node_that_comes_back_where_it_was_is_found_again_also_when_the_registrar_is_gone() -> None:
    world, registrar, (first, second) = joined(identity_of("ann.test"), identity_of("bob.test"))
    world.post(first, second.name, b"before", seconds=1)
    world.crash(registrar)
    world.silent.add((host_of(registrar.name), PORT))
    listening = dict(world.listening)
    world.listening = {key: node for key, node in listening.items() if node is not second}
    (wire,) = {id(each): each for each in world.open.values() if second in (each.ends[0][0], each.ends[1][0])}.values()
    world.cut(wire)
    world.post(first, second.name, b"meanwhile", seconds=2.5)
    world.listening = {key: node for key, node in listening.items() if node is not registrar}
    world.run(2.4)
    assert second.headers() == [b"before", b"meanwhile"]
    assert first.failed() == []
