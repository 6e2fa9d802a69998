"""Peers that are gone are remembered for a while, and not for ever; in virtual time, exactly."""

from __future__ import annotations

from math import inf

from net.base.limits import FORGET_SECONDS, KEEPALIVE_SECONDS, RECOVERY_SECONDS
from net.contract.config import NetworkConfig
from net.contract.events import PeerUp
from net.session.peer_status import PeerState
from tests.net.joined import join, registrar_in
from tests.net.world import PORT, Node, Wire, World, host_of, identity_of, pair, static_directory


def known(node: Node) -> list[str]:
    return [peer.name for peer in node.network.peers()]


def test_a_peer_that_is_gone_is_remembered_for_a_while_and_then_forgotten() -> None:
    world, first, second = pair()
    world.post(second, first.name, b"m")
    world.crash(second)
    world.run(2 * RECOVERY_SECONDS + 2 * KEEPALIVE_SECONDS)
    (peer,) = first.network.peers()
    assert peer.state is PeerState.DOWN
    world.run(FORGET_SECONDS - 3 * RECOVERY_SECONDS - 2 * KEEPALIVE_SECONDS)
    assert known(first) == [second.name]
    world.run(FORGET_SECONDS + 3 * RECOVERY_SECONDS + 2 * KEEPALIVE_SECONDS)
    assert known(first) == []
    assert (first.network.next_deadline() or inf) > world.now + FORGET_SECONDS, "nothing is looked for any more"


def test_one_that_never_answered_a_dial_is_forgotten_too() -> None:
    world, first, second = pair()
    world.silent.add((host_of(second.name), PORT))
    world.post(first, second.name, b"m", seconds=RECOVERY_SECONDS)
    assert len(first.failed()) == 1
    assert known(first) == [second.name]
    world.run(2 * FORGET_SECONDS)
    assert known(first) == []


def test_one_that_proved_its_name_and_was_never_heard_of_again_is_forgotten_too() -> None:
    world, first, second = pair()

    def on_wire(wire: Wire) -> None:
        wire.alter = lambda data, _: b"" if known(first) else data

    world.on_wire = on_wire
    world.post(second, first.name, b"m")
    assert known(first) == [second.name]
    assert first.of(PeerUp) == []
    world.crash(second)
    world.run(3 * FORGET_SECONDS)
    assert known(first) == []


def test_a_peer_that_is_there_is_not_forgotten_and_one_that_is_back_is_known_again() -> None:
    world, first, second = pair()
    world.post(first, second.name, b"m", seconds=5 * FORGET_SECONDS)
    assert known(first) == [second.name]
    for wire in list(world.open.values()):
        world.cut(wire)
    world.run(5 * FORGET_SECONDS)
    world.post(first, second.name, b"again")
    assert second.headers() == [b"m", b"again"]
    assert first.delivered() == [b"m", b"again"]


def test_the_registrar_and_the_routers_of_a_node_are_not_forgotten() -> None:
    world = World()
    registrar = registrar_in(world)
    node = join(world, identity_of("a.test"))
    world.run(10)
    world.crash(registrar)
    world.run(5 * FORGET_SECONDS)
    assert known(node) == [registrar.name]
    identities = [identity_of("m.test"), identity_of("router.test")]
    alone = World()
    mine = alone.add(identities[0], static_directory(*identities), NetworkConfig(routers=("router.test",)))
    mine.network.register(alone.now)
    alone.run(3 * FORGET_SECONDS)
    assert known(mine) == ["router.test"]
