"""A registrar, and peers that want all its names: real handshakes, in virtual time, over months."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

import pytest

from net.base.limits import (
    FIRST_RECORD_SECONDS,
    NAME_SECONDS,
    RECORD_SECONDS,
    UNUSED_NAME_SECONDS,
    USED_NAME_SECONDS,
)
from net.base.origins import Coverage
from net.contract.events import FailureReason, NamesFreed, Registered
from net.names import newcomers
from net.names.directory import Endpoint, HeldRecord, RegistrarDirectory, decode_record_untrusted
from net.names.invitation import Invitation, sign_invitation
from net.names.registrar import Registrar
from net.peering.network import NetworkConfig
from tests.net.joined import outcome
from tests.net.world import GENESIS, PORT, REGISTRAR, Node, World, host_of, identity_of

ANN = identity_of("ann.test")
CLIENTS = 10
DAY = 24 * 3600
FLOOD = 32
MOST_BYTES_PER_NAME = 9216
"""With the session of each, of which there are `limits.MAX_SESSIONS` at most."""


def registrar_in(world: World, *, by_invitation: bool = False, records: list[HeldRecord] | None = None) -> Node:
    """The registrar's node."""
    return world.add(REGISTRAR, Registrar(REGISTRAR, records or (), by_invitation=by_invitation))


def join(world: World, name: str, *, key: str = "", host: str | None = None, invitation: bytes | None = None) -> Node:
    """A node that registers; `host`: where it comes from, if not from an address of its own."""
    endpoints = (Endpoint(host_of(f"{name}{key}"), PORT),)
    config = NetworkConfig(endpoints=endpoints, register=True, invitation=invitation)
    node = world.add(identity_of(name, key), RegistrarDirectory(GENESIS), config, alias=f"{name}{key}")
    if host is not None:
        world.hosts[id(node)] = host
    return node


def flood(world: World, client: str, names: int) -> Iterator[str]:
    """A client at one address registers under one identity after the other; yields what becomes of each."""
    for number in range(names):
        node = join(world, f"x{number}.{client}.test", host=client)
        world.settle()
        yield str(outcome(node)[0])
        world.crash(node)
        world.hosts.pop(id(node))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many names an address may take at once here: fewer, as each is a handshake."""
    monkeypatch.setitem(newcomers._RATES, Coverage.HOST, (8, NAME_SECONDS))
    return 8


def test_honest_nodes_get_their_names_at_once_while_ten_clients_take_all_that_they_can(few: int) -> None:
    world = World()
    registrar = registrar_in(world)
    granted = 0
    floods = [flood(world, f"client{number}", few + 4) for number in range(CLIENTS)]
    for turn, results in enumerate(zip(*floods, strict=True)):
        granted += results.count("granted")
        honest = join(world, f"honest{turn}.test")
        world.settle()
        assert outcome(honest) == ["granted"]
        world.crash(honest)
    assert granted == CLIENTS * few
    assert world.now == 0.0
    world.run(FIRST_RECORD_SECONDS + UNUSED_NAME_SECONDS)
    assert registrar.network.records() == []
    assert registrar.of(NamesFreed)


def test_what_a_flood_took_of_memory_is_there_again_when_its_names_are_free() -> None:
    world = World()
    registrar = registrar_in(world)
    list(flood(world, "warm", 4))
    world.run(30 * DAY)
    tracemalloc.start()
    try:
        list(flood(world, "before", 4))
        world.run(30 * DAY)
        before = _memory(world)
        list(flood(world, "client", FLOOD))
        peak = _memory(world)
        world.run(30 * DAY)
        after = _memory(world)
    finally:
        tracemalloc.stop()
    assert registrar.network.records() == []
    assert registrar.network.statistics()["sessions"] == 0
    assert (peak - before) / FLOOD < MOST_BYTES_PER_NAME
    assert after - before < (peak - before) / 2  # of what is left, Python has most on its free lists


def _memory(world: World) -> int:
    for node in world.nodes.values():
        node.events.clear()
    world.wires.clear()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_who_came_too_late_at_a_busy_address_asks_again_when_it_is_told_to(few: int) -> None:
    world = World()
    registrar_in(world)
    list(flood(world, "office", few))
    late = join(world, "late.test", host="office")
    world.settle()
    assert outcome(late) == [FailureReason.TRY_LATER]
    world.run(NAME_SECONDS - 1)
    assert outcome(late) == [FailureReason.TRY_LATER]
    world.run(1)
    assert outcome(late) == [FailureReason.TRY_LATER, "granted"]


# --- a name's life ---------------------------------------------------------------------------------------------------


def lifetime(node: Node) -> int:
    """Of the last record that it was granted, in seconds."""
    event = node.of(Registered)[-1]
    assert isinstance(event, Registered)
    record = decode_record_untrusted(event.record).record
    return record.expires_at - record.issued_at


def test_a_name_that_is_used_gets_long_records_and_stays_for_a_season_after_the_last() -> None:
    world = World()
    registrar = registrar_in(world)
    node = join(world, "ann.test")
    world.settle()
    assert lifetime(node) == FIRST_RECORD_SECONDS
    kept = node.network.records()
    world.crash(node)
    world.run(FIRST_RECORD_SECONDS / 2 - 10)
    config = NetworkConfig(endpoints=(Endpoint(host_of("ann.test"), PORT),), register=True)
    node = world.add(ANN, RegistrarDirectory(GENESIS, kept), config)
    world.settle()
    assert lifetime(node) == FIRST_RECORD_SECONDS
    world.run(10)
    assert lifetime(node) == RECORD_SECONDS
    world.crash(node)
    world.run(RECORD_SECONDS + USED_NAME_SECONDS - 1)
    assert outcome(_thief(world)) == [FailureReason.NAME_TAKEN]
    world.run(2)
    assert registrar.network.records() == []
    assert outcome(_thief(world)) == ["granted"]


def _thief(world: World) -> Node:
    """Another key wants Ann's name."""
    thief = join(world, "ann.test", key="thief")
    world.settle()
    return thief


def test_those_who_remember_the_former_holder_of_a_name_believe_the_new_one_when_it_was_free() -> None:
    world = World()
    registrar_in(world)
    first, second = join(world, "ann.test"), join(world, "bob.test")
    world.settle()
    world.post(second, "ann.test", b"to the first")
    assert first.headers() == [b"to the first"]
    kept = second.network.records()
    for node in (first, second):
        world.crash(node)
    world.run(FIRST_RECORD_SECONDS + UNUSED_NAME_SECONDS)
    new = _thief(world)
    # By its clock the name is not free yet.
    endpoints = (Endpoint(host_of("bob.test"), PORT),)
    behind = NetworkConfig(endpoints=endpoints, register=True, wall_clock_offset=-600.0)
    second = world.add(identity_of("bob.test"), RegistrarDirectory(GENESIS, kept), behind)
    world.settle()
    assert outcome(new) == ["granted"]
    assert ANN.public_key in [held.public_key() for held in second.network.records()]
    world.post(second, "ann.test", b"to the second", seconds=1)
    assert new.headers() == [b"to the second"]


# --- by invitation ---------------------------------------------------------------------------------------------------


def test_a_network_by_invitation_takes_in_whoever_shows_one_and_nobody_else() -> None:
    world = World()
    registrar = registrar_in(world, by_invitation=True)
    token = sign_invitation(Invitation(bytes(16), 2, 1000, None), REGISTRAR)
    stranger = join(world, "eve.test")
    invited = [join(world, f"guest{number}.test", invitation=token) for number in range(3)]
    world.settle()
    assert outcome(stranger) == [FailureReason.INVITATION_NEEDED]
    assert [outcome(node) for node in invited] == [["granted"], ["granted"], [FailureReason.INVITATION_USED]]
    kept = registrar.network.records()
    world.crash(registrar)
    registrar = registrar_in(world, by_invitation=True, records=kept)
    late = join(world, "late.test", invitation=token)
    again = join(world, "guest0.test")
    world.run(10)
    assert outcome(late) == [FailureReason.INVITATION_USED]
    assert outcome(again) == ["granted"]


@pytest.mark.parametrize("disk", ["refuses", "hangs"])
def test_an_invitation_that_could_not_be_counted_lets_nobody_in(disk: str) -> None:
    world = World()
    registrar = registrar_in(world, by_invitation=True)
    registrar.disk = disk
    token = sign_invitation(Invitation(bytes(16), 1, 1000, None), REGISTRAR)
    node = join(world, "guest.test", invitation=token)
    world.settle()
    assert "granted" not in outcome(node)
    assert registrar.network.record("guest.test") is None
