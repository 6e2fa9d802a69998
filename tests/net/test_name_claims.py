"""Who a name belongs to, over time, in whole networks: expiry, renewal, changed keys, two claimants, a failing disk."""

import pytest

from net.base.frames import Register
from net.base.limits import CLOCK_SKEW_SECONDS, FIRST_RECORD_SECONDS, MAX_WAITING_GRANTS, RECORD_SECONDS
from net.base.wall_clock import STEP_SECONDS
from net.contract.events import FailureReason, Log, PeerUp, RegistrationFailed
from net.names.directory import (
    Endpoint,
    RegistrarDirectory,
)
from net.names.identity import Identity
from net.peering.network import NetworkConfig
from tests.net.hostile import speak
from tests.net.joined import join, joined, outcome, registrar_in, registrations, stored
from tests.net.world import (
    GENESIS,
    PORT,
    REGISTRAR,
    Node,
    Wire,
    World,
    cached_directory,
    connection_of,
    host_of,
    identity_of,
    record_of,
)

ANN = identity_of("ann.test")
NEW = identity_of("ann.test", "new key")
BOB = identity_of("bob.test")
OUTAGE = 30.0
"""Seconds after which nobody waits for a node to come back."""


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "reason"),
    [
        (CLOCK_SKEW_SECONDS, "granted"),
        (CLOCK_SKEW_SECONDS + 1, FailureReason.RECORD_FROM_THE_FUTURE),
        (-CLOCK_SKEW_SECONDS, "granted"),
        (-CLOCK_SKEW_SECONDS - 1, FailureReason.RECORD_EXPIRED),
    ],
)
def test_a_node_whose_clock_is_wrong_is_told_so(ahead: int, reason: object) -> None:
    world = World()
    registrar_in(world, wall_clock_offset=float(10 * RECORD_SECONDS))
    node = join(world, ANN, wall_clock_offset=float(10 * RECORD_SECONDS + ahead))
    world.settle()
    assert outcome(node)[0] == reason


# --- expiry ---------------------------------------------------------------------------------------------------------


def test_a_node_renews_its_record_at_half_its_lifetime() -> None:
    world = World()
    registrar = registrar_in(world)
    node = join(world, ANN, record_seconds=100)
    world.run(49.5)
    assert [record.expires_at for record in stored(registrar)] == [100]
    world.run(0.5)
    assert [(record.sequence, record.expires_at) for record in stored(registrar)] == [(1, 100), (2, 150)]
    world.run(50)
    assert outcome(node) == ["granted"] * 3


def test_a_node_that_boots_with_less_than_half_its_lifetime_left_renews_at_once() -> None:
    world, registrar, (node,) = joined(ANN, record_seconds=100)
    cache = stored(node)
    world.crash(node)
    for away, renewals in ((40.0, 0), (20.0, 1)):
        world.run(away)
        world.crash(join(world, ANN, RegistrarDirectory(GENESIS, cache), record_seconds=100))
        node = join(world, ANN, RegistrarDirectory(GENESIS, cache), record_seconds=100)
        world.settle()
        assert outcome(node) == ["granted"]
        assert len(stored(registrar)) == 1 + renewals
        world.crash(node)


def test_a_renewal_goes_on_until_the_registrar_is_back() -> None:
    world, registrar, (node,) = joined(ANN, record_seconds=100)
    kept = stored(registrar)
    world.crash(registrar)
    world.run(60)
    assert outcome(node)[:2] == ["granted", FailureReason.UNREACHABLE]
    registrar = registrar_in(world, kept)
    world.run(10)
    assert [record.sequence for record in stored(registrar)] == [2]
    assert outcome(node)[-1] == "granted"


def test_an_expired_record_is_looked_up_again() -> None:
    world = World()
    registrar_in(world)
    first, second = join(world, ANN), join(world, BOB, record_seconds=100)
    world.post(first, second.name, b"one")
    world.crash(second)
    world.run(OUTAGE)
    moved = join(world, BOB, port=PORT + 1, record_seconds=1000)
    world.run(100)
    world.post(first, moved.name, b"two")
    assert moved.headers() == [b"two"]
    assert [port for _, _, port in first.dials][-1] == PORT + 1


def test_an_expired_record_is_not_believed_while_the_registrar_is_down() -> None:
    world = World()
    first = world.add(ANN, cached_directory(BOB), NetworkConfig(wall_clock_offset=RECORD_SECONDS - 10.0))
    second = world.add(BOB, cached_directory(ANN))
    world.post(first, second.name, b"one")
    assert second.headers() == [b"one"]
    world.crash(second)
    world.run(OUTAGE)
    again = world.add(BOB, cached_directory(ANN, BOB))
    world.send(first, again.name, b"two")
    world.post(again, first.name, b"three", seconds=10)
    assert again.headers() == first.headers() == []
    assert (b"two", FailureReason.NO_REGISTRAR) in first.failed()


# --- a clock that is set ----------------------------------------------------------------------------------------------


def test_a_node_whose_clock_goes_on_renews_its_record_by_what_it_shows_then() -> None:
    world, registrar, (node,) = joined(ANN)
    for each in (registrar, node):
        each.network.set_wall_clock(RECORD_SECONDS / 2, world.now)
    world.settle()
    record = node.network.record("ann.test")
    assert record is not None
    assert (record.sequence, record.issued_at) == (2, RECORD_SECONDS / 2)
    assert outcome(node) == ["granted", "granted"]


def test_a_node_whose_clock_was_ahead_for_a_while_keeps_its_name() -> None:
    world, _, (node,) = joined(ANN)
    node.network.set_wall_clock(10.0 * RECORD_SECONDS, world.now)
    world.settle()
    assert outcome(node)[1:] == [FailureReason.RECORD_FROM_THE_FUTURE]
    node.network.set_wall_clock(0.0, world.now)
    world.settle()
    assert outcome(node)[2:] == ["granted"]


def test_a_clock_that_is_slewed_is_worth_a_thought_when_that_adds_up() -> None:
    world, _, (node,) = joined(ANN)
    for tenth in range(1, 5):
        node.network.set_wall_clock(tenth / 10, world.now)
    world.settle()
    assert outcome(node) == ["granted"]
    node.network.set_wall_clock(STEP_SECONDS, world.now)
    world.settle()
    assert outcome(node) == ["granted", "granted"]


# --- the registrar's disk ---------------------------------------------------------------------------------------------


def test_a_registration_is_answered_when_the_record_is_durable() -> None:
    world = World()
    registrar = registrar_in(world)
    registrar.disk = "hangs"
    node = join(world, ANN)
    other = world.add(BOB, RegistrarDirectory(GENESIS))
    world.settle()
    (record,) = stored(registrar)
    other.network.look_up("ann.test", world.now)
    world.settle()
    assert (outcome(node), stored(other)) == ([], [])
    registrar.network.record_kept(record, world.now, kept=True)
    world.settle()
    assert outcome(node) == ["granted"]
    assert PeerUp("ann.test") in registrar.events


def test_a_crash_after_the_record_is_durable_has_granted_it() -> None:
    """The answer was lost; the node asks again, and the name is its own."""
    world = World()
    registrar = registrar_in(world)
    registrar.disk = "hangs"
    first = join(world, ANN)
    world.settle()
    kept = stored(registrar)
    world.crash(registrar)
    registrar_in(world, kept)
    thief = join(world, NEW, port=PORT + 1)
    world.run(10)
    assert (outcome(first)[-1], outcome(thief)) == ("granted", [FailureReason.NAME_TAKEN])


def test_a_registrar_whose_disk_refuses_says_so_and_grants_when_it_works_again() -> None:
    world = World()
    registrar = registrar_in(world)
    registrar.disk = "refuses"
    node = join(world, ANN)
    world.settle()
    assert registrations(node) == [RegistrationFailed(FailureReason.RECORD_NOT_KEPT, retries=True)]
    registrar.disk = "works"
    world.run(5)
    assert outcome(node) == [FailureReason.RECORD_NOT_KEPT, "granted"]


def test_a_slow_disk_makes_no_node_fail_it_asks_for_the_same_record_again() -> None:
    world = World()
    registrar = registrar_in(world)
    registrar.disk = "hangs"
    node = join(world, ANN)
    world.run(12)
    (record,) = stored(registrar)
    assert outcome(node) == [FailureReason.UNREACHABLE]
    registrar.network.record_kept(record, world.now, kept=True)
    world.run(5)
    assert outcome(node) == [FailureReason.UNREACHABLE, "granted"]


def test_a_peer_that_registers_without_end_while_the_disk_is_slow_is_sent_away() -> None:
    world, registrar, (node,) = joined(ANN)
    registrar.disk = "hangs"
    connection = connection_of(node.network, REGISTRAR.name)
    for sequence in range(2, 3 + MAX_WAITING_GRANTS):
        request = Register(sequence, record_of(ANN, sequence, seconds=FIRST_RECORD_SECONDS).encode())
        speak(node.network, connection, request)
    world.settle()
    assert len(stored(registrar)) == 1 + MAX_WAITING_GRANTS
    assert any("too many registrations" in event.text for event in registrar.events if isinstance(event, Log))


# --- changed keys -----------------------------------------------------------------------------------------------------


def two_peers(world: World) -> tuple[Node, Node, Node]:
    """The registrar, Ann and Bob, who have spoken to each other."""
    registrar, ann, bob = registrar_in(world), join(world, ANN), join(world, BOB)
    world.settle()
    world.post(bob, ann.name, b"before")
    assert ann.headers() == [b"before"]
    return registrar, ann, bob


def test_a_peer_that_dials_with_the_old_record_accepts_the_new_key_and_asks_nobody() -> None:
    world = World()
    registrar, ann, bob = two_peers(world)
    world.crash(ann)
    world.run(OUTAGE)
    changed = join(world, NEW, RegistrarDirectory(GENESIS, stored(ann)), previous=ANN)
    world.settle()
    assert outcome(changed) == ["granted"]
    world.crash(registrar)
    world.post(bob, changed.name, b"after")
    assert changed.headers() == [b"after"]
    assert bob.failed() == []


def test_a_peer_that_is_dialed_accepts_the_new_key_and_asks_nobody() -> None:
    world = World()
    registrar, ann, bob = two_peers(world)
    world.crash(ann)
    world.run(OUTAGE)
    changed = join(world, NEW, RegistrarDirectory(GENESIS, stored(ann)), previous=ANN)
    world.settle()
    world.crash(registrar)
    world.post(changed, bob.name, b"after")
    assert bob.headers() == [b"after"]


@pytest.mark.parametrize("noticed", [True, False])
def test_a_peer_with_a_live_session_goes_on_with_the_new_key(noticed: bool) -> None:
    """Also if it has not noticed that the old connection is dead."""
    world = World()
    _, ann, bob = two_peers(world)
    if noticed:
        world.crash(ann)
    else:
        del world.nodes["ann.test"]
    changed = join(world, NEW, RegistrarDirectory(GENESIS, stored(ann)), previous=ANN)
    world.settle()
    world.send(changed, bob.name, b"from the new key")
    world.post(bob, changed.name, b"to the new key", seconds=2)
    assert outcome(changed) == ["granted"]
    assert bob.headers() == [b"from the new key"]
    assert b"to the new key" in changed.headers() + [token for token, _ in bob.failed()]
    world.post(bob, changed.name, b"later")
    assert changed.headers()[-1] == b"later"


@pytest.mark.parametrize("noticed", [True, False])
def test_a_node_with_a_new_key_is_a_full_peer_of_the_registrar_at_once(noticed: bool) -> None:
    world, registrar, (ann,) = joined(ANN)
    world.post(registrar, ann.name, b"before")
    if noticed:
        world.crash(ann)
        world.silent.add((host_of(ann.name), PORT))
        world.send(registrar, ann.name, b"waits")
    else:
        del world.nodes["ann.test"]
    changed = join(world, NEW, RegistrarDirectory(GENESIS, stored(ann)), previous=ANN)
    world.settle()
    assert outcome(changed) == ["granted"]
    world.send(changed, registrar.name, b"from the new key")
    world.post(registrar, changed.name, b"to the new key")
    assert registrar.headers() == [b"from the new key"]
    assert changed.headers() == ([b"waits"] if noticed else []) + [b"to the new key"]
    assert registrar.failed() == []
    assert len(registrar.network.peers()) == 1


def test_a_change_that_was_granted_before_a_crash_needs_no_second_one() -> None:
    world = World()
    registrar, ann, _ = two_peers(world)
    world.crash(ann)
    for _ in range(2):
        changed = join(world, NEW, RegistrarDirectory(GENESIS, stored(ann)), previous=ANN)
        world.run(OUTAGE)
        assert outcome(changed) == ["granted"]
        world.crash(changed)
    assert [record.sequence for record in stored(registrar) if record.name == "ann.test"] == [1, 2]


# --- two claimants ----------------------------------------------------------------------------------------------------


def test_of_two_nodes_that_claim_one_name_the_one_with_the_present_key_is_believed_by_all() -> None:
    """An old holder that runs on, a new one, peers with the old record cached, and a registrar that is restarted."""
    world = World()
    registrar, old, bob = two_peers(world)
    carl = join(world, identity_of("carl.test"))
    world.settle()
    world.post(carl, old.name, b"hello")
    new = world.add(
        NEW,
        RegistrarDirectory(GENESIS, stored(old)),
        NetworkConfig(endpoints=(Endpoint("host-new", PORT),), register=True, previous=ANN),
        port=None,
        alias="new holder",
    )
    world.listening[("host-new", PORT)] = new
    world.settle()
    assert outcome(new) == ["granted"]
    kept = stored(registrar)
    world.crash(registrar)
    world.post(new, bob.name, b"from the new holder", seconds=1)
    registrar = registrar_in(world, kept)
    world.run(OUTAGE)
    carl.network.look_up("ann.test", world.now)
    world.settle()
    before = len(old.received())
    for node in (bob, carl, registrar):
        world.send(node, "ann.test", b"to whom it belongs")
    for target in (bob.name, carl.name, REGISTRAR.name):
        world.send(old, target, b"from the old holder")
    world.run(OUTAGE)
    assert new.headers() == [b"to whom it belongs"] * 3
    assert len(old.received()) == before
    assert b"from the old holder" not in bob.headers() + carl.headers() + registrar.headers()
    assert bob.headers() == [b"from the new holder"]


@pytest.mark.parametrize("peer", [BOB, identity_of("aaa.test")])
def test_a_session_with_the_old_key_ends_when_the_new_holder_shows_up(peer: Identity) -> None:
    """Even if that says no more than its name, whichever of the two is the arbiter of the session."""
    world, _, (old, other) = joined(ANN, peer)
    world.post(other, old.name, b"hello")
    new = join(world, NEW, RegistrarDirectory(GENESIS, stored(old)), port=PORT + 1, previous=ANN)
    world.settle()

    def silent(wire: Wire) -> None:
        """The new holder's greeting arrives, and nothing after it."""
        sent = 0

        def alter(data: bytes, to: int) -> bytes:
            nonlocal sent
            sent += to == 1
            return data if to == 0 or sent <= 2 else b""

        wire.alter = alter

    world.on_wire = silent
    world.post(new, peer.name, b"never arrives")
    world.post(other, old.name, b"not for the old holder", seconds=1)
    assert old.headers() == [b"hello"]
