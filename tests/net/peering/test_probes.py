"""How a peer is reached, step by step, as a probe tells it: every outcome, in virtual time, exactly."""

from dataclasses import replace

import cbor2
import pytest

from net.base.frames import VERSION
from net.base.limits import MAX_PROBES, PING_SECONDS, RECOVERY_SECONDS
from net.base.node_names import is_node_name
from net.contract.events import (
    AttemptFailed,
    AttemptStage,
    Delivered,
    Dialed,
    DialStatus,
    Failed,
    FailureReason,
    NameFound,
    NameMissing,
    Pinged,
    Pinging,
    Probed,
    ProbeEnded,
    ProbeOutcome,
    ProbeStep,
    Proven,
)
from net.names.directory import Directory, RegistrarDirectory, StaticDirectory
from net.session.handshake import Handshake, Noise
from tests.net.peering.test_network_registrar import join, registrar_in
from tests.net.test_routers import network
from tests.net.world import (
    GENESIS,
    PORT,
    Node,
    Wire,
    World,
    cached_directory,
    host_of,
    identity_of,
    pair,
    record_of,
    static_directory,
)

ANN, BOB = identity_of("ann.test"), identity_of("bob.test")
BOB_HOST = host_of(BOB.name)
FOUND = NameFound(record_of(BOB).record, fresh=False)
DIALING, DIALED = DialStatus(BOB_HOST, PORT, None), Dialed(BOB_HOST, PORT, None)
PROVEN = Proven(VERSION, BOB.public_key, BOB_HOST, dialed=True)
REACHED = ProbeEnded(ProbeOutcome.REACHED, None)


def failed(stage: AttemptStage, reason: FailureReason, text: str, host: str = BOB_HOST) -> AttemptFailed:
    return AttemptFailed(host, PORT, None, stage, reason, text)


def offline(reason: FailureReason) -> ProbeEnded:
    return ProbeEnded(ProbeOutcome.OFFLINE, reason)


def probe(world: World, node: Node, name: str, seconds: float = 0.0, token: object = "probe") -> list[ProbeStep]:
    """Probe for so long; what was told."""
    node.network.probe(name, token, world.now)
    world.run(seconds)
    return told(node, token)


def told(node: Node, token: object = "probe") -> list[ProbeStep]:
    return [event.step for event in node.events if isinstance(event, Probed) and event.token == token]


def test_a_node_that_is_there_is_dialed_proven_and_pinged() -> None:
    world, first, second = pair()
    assert probe(world, first, second.name) == [
        FOUND, DIALING, DIALED, PROVEN, Pinging(BOB_HOST), Pinged(0.0), REACHED,
    ]  # fmt: skip
    assert (world.now, first.network.next_deadline() is not None) == (0.0, True)


def test_no_message_is_sent() -> None:
    world, first, second = pair()
    probe(world, first, second.name, 20)
    assert second.received() == []
    assert first.of(Delivered, Failed) == []


def test_a_session_that_is_there_is_pinged_and_nothing_is_dialed() -> None:
    world, first, second = pair()
    world.send(first, second.name, b"m")
    world.settle()
    assert probe(world, first, second.name) == [FOUND, Pinging(BOB_HOST), Pinged(0.0), REACHED]
    assert len(world.wires) == 1


def test_the_ping_is_timed() -> None:
    world, first, second = pair()
    world.send(first, second.name, b"m")
    world.settle()

    def alter(data: bytes, _: int) -> bytes:
        world.now += 0.25
        return data

    world.wires[0].alter = alter
    assert probe(world, first, second.name)[-2:] == [Pinged(0.5), REACHED]


def test_an_unknown_name() -> None:
    world = World()
    registrar_in(world)
    node = join(world, ANN)
    world.settle()
    reason = FailureReason.NO_SUCH_NAME
    assert probe(world, node, "no.test") == [NameMissing(reason), offline(reason)]


def test_an_unknown_name_in_a_static_directory() -> None:
    world = World()
    node = world.add(ANN, StaticDirectory({}))
    assert probe(world, node, "no.test") == [offline(FailureReason.NO_SUCH_NAME)]


@pytest.mark.parametrize("name", ["ann.test", "no name"])
def test_ones_own_name_and_what_is_no_name_cannot_be_reached(name: str) -> None:
    world, first, _ = pair()
    assert (name == first.name) == is_node_name(name)
    assert probe(world, first, name) == [offline(FailureReason.NO_SUCH_NAME)]


def test_the_record_comes_from_the_registrar_if_it_is_not_known_here() -> None:
    world = World()
    registrar_in(world)
    node, _ = join(world, ANN), join(world, BOB)
    world.settle()
    first, *others = probe(world, node, BOB.name)
    assert isinstance(first, NameFound)
    assert (first.record.name, first.record.sequence, first.fresh) == (BOB.name, 1, True)
    assert others == [DIALING, DIALED, PROVEN, Pinging(BOB_HOST), Pinged(0.0), REACHED]


def test_the_registrar_is_down_and_the_record_is_not_known() -> None:
    world = World()
    node = world.add(ANN, RegistrarDirectory(GENESIS))
    reason = FailureReason.NO_REGISTRAR
    assert probe(world, node, BOB.name, RECOVERY_SECONDS - 0.001) == []
    world.run(0.002)
    assert told(node) == [NameMissing(reason), offline(reason)]


def test_the_registrar_is_down_and_the_record_is_known() -> None:
    world = World()
    node = world.add(ANN, cached_directory(ANN, BOB))
    world.add(BOB, cached_directory(ANN, BOB))
    assert probe(world, node, BOB.name)[-1] == REACHED


def test_the_registrar_is_asked_again_when_the_known_endpoint_refuses() -> None:
    world = World()
    registrar = registrar_in(world)
    node, other = join(world, ANN), join(world, BOB)
    world.settle()
    assert probe(world, node, BOB.name)[-1] == REACHED
    world.crash(other)
    world.run(10)
    join(world, BOB, port=PORT + 1)
    world.settle()
    found, dialing, refused, fresh, *others = probe(world, node, BOB.name, token="again")
    assert isinstance(found, NameFound)
    assert isinstance(fresh, NameFound)
    assert (found.fresh, fresh.fresh, fresh.record.sequence) == (False, True, found.record.sequence + 1)
    assert (dialing, refused) == (DIALING, failed(AttemptStage.DIAL, FailureReason.REFUSED, "refused"))
    assert others[0] == DialStatus(BOB_HOST, PORT + 1, None)
    assert others[-1] == REACHED
    assert registrar.received() == []


def test_a_dial_that_is_refused() -> None:
    world, first, second = pair()
    del world.listening[(BOB_HOST, PORT)]
    reason = FailureReason.REFUSED
    assert probe(world, first, second.name) == [
        FOUND, DIALING, failed(AttemptStage.DIAL, reason, "refused"), offline(reason),
    ]  # fmt: skip


def test_a_black_hole_at_the_endpoint() -> None:
    world, first, second = pair()
    world.silent.add((BOB_HOST, PORT))
    reason = FailureReason.UNREACHABLE
    assert probe(world, first, second.name, RECOVERY_SECONDS - 0.001) == [FOUND, DIALING]
    world.run(0.001)
    assert told(first)[2:] == [failed(AttemptStage.DIAL, reason, "no answer in time"), offline(reason)]


def test_a_black_hole_behind_the_dial() -> None:
    world, first, second = pair()

    def on_wire(wire: Wire) -> None:
        wire.swallow = True

    world.on_wire = on_wire
    reason = FailureReason.UNREACHABLE
    assert probe(world, first, second.name, RECOVERY_SECONDS) == [
        FOUND, DIALING, DIALED, failed(AttemptStage.HANDSHAKE, reason, "no answer in time"), offline(reason),
    ]  # fmt: skip


def test_a_peer_with_another_key() -> None:
    world = World()
    node = world.add(ANN, static_directory(ANN, BOB))
    impostor = identity_of(BOB.name, "another key")
    world.add(impostor, static_directory(ANN, impostor))
    reason = FailureReason.BAD_KEY
    assert probe(world, node, BOB.name) == [
        FOUND,
        DIALING,
        DIALED,
        failed(AttemptStage.HANDSHAKE, reason, "the peer does not hold the key of bob.test"),
        offline(reason),
    ]


@pytest.mark.parametrize(
    ("directory", "words"),
    [
        (static_directory(BOB), "the peer says: unknown name"),
        (static_directory(identity_of(ANN.name, "another key"), BOB), "the peer says: not believed"),
    ],
)
def test_a_peer_that_does_not_believe_who_we_are(directory: Directory, words: str) -> None:
    world = World()
    node = world.add(ANN, static_directory(ANN, BOB))
    world.add(BOB, directory)
    reason = FailureReason.NOT_BELIEVED
    steps = probe(world, node, BOB.name, RECOVERY_SECONDS)
    assert steps[:5] == [FOUND, DIALING, DIALED, PROVEN, failed(AttemptStage.ADMISSION, reason, words)]
    assert steps[-1] == offline(reason)


class OlderHandshake(Handshake):
    """As a node of an earlier version of the protocol would do it."""

    def write(self) -> bytes:
        noise: Noise = self._noise
        return noise.write(cbor2.dumps([VERSION - 1, self._identity.name, bytes(64), None]))


def test_a_peer_that_speaks_an_older_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    world, first, second = pair()

    def handshake(*, initiator: bool) -> Handshake:
        return OlderHandshake(BOB, None, initiator=initiator, static=bytes([1]) * 32, entropy=lambda size: bytes(size))

    monkeypatch.setattr(second.network._sessions, "handshake", handshake)
    steps = probe(world, first, second.name, RECOVERY_SECONDS)
    failure = steps[3]
    assert isinstance(failure, AttemptFailed)
    assert (failure.stage, "version" in failure.text) == (AttemptStage.HANDSHAKE, True)
    ended = steps[-1]
    assert isinstance(ended, ProbeEnded)
    assert ended.outcome is ProbeOutcome.OFFLINE


def test_a_session_whose_peer_answers_no_ping_is_a_timeout_after_five_seconds() -> None:
    world, first, second = pair()
    world.send(first, second.name, b"m")
    world.run(1)
    world.wires[0].swallow = True
    assert probe(world, first, second.name, PING_SECONDS - 0.001) == [FOUND, Pinging(BOB_HOST)]
    world.run(0.001)
    assert told(first)[2:] == [ProbeEnded(ProbeOutcome.TIMEOUT, None)]


def test_a_session_that_did_not_answer_a_probe_is_replaced() -> None:
    world, first, second = pair()
    world.send(first, second.name, b"m")
    world.run(1)
    world.wires[0].swallow = True
    probe(world, first, second.name, PING_SECONDS)
    world.run(1)
    assert (len(world.wires), probe(world, first, second.name, token="again")[-1]) == (2, REACHED)


def test_a_connection_that_breaks_before_the_pong_is_sought_again() -> None:
    world, first, second = pair()
    world.send(first, second.name, b"m")
    world.settle()
    world.wires[0].cut_after = world.wires[0].carried + 1
    steps = probe(world, first, second.name, 1)
    broken = failed(AttemptStage.SESSION, FailureReason.UNREACHABLE, "the connection broke")
    assert steps[:3] == [FOUND, Pinging(BOB_HOST), broken]
    assert steps[-3:] == [Pinging(steps[-3].host), Pinged(0.0), REACHED]  # type: ignore[union-attr]


def test_a_peer_that_breaks_every_connection_is_a_timeout_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "net.peering.probes.PROBE_SECONDS", patience := 2.0
    )  # with thousands of connections it takes long
    world, first, second = pair()
    world.send(first, second.name, b"m")
    world.settle()

    def on_wire(wire: Wire) -> None:
        def alter(data: bytes, _: int) -> bytes:
            watchers = first.network._sessions.probes._probes.values()
            if any(probe.ping_until is not None for probe in watchers):
                world.cut(wire)
            return data

        wire.alter = alter

    world.on_wire = on_wire
    on_wire(world.wires[0])
    assert not isinstance(probe(world, first, second.name, patience - 0.001)[-1], ProbeEnded)
    world.run(0.001)
    assert told(first)[-1] == ProbeEnded(ProbeOutcome.TIMEOUT, None)
    assert [type(step) for step in told(first)].count(Pinging) == len(world.wires) > 50


def test_the_peer_may_be_the_one_who_dials() -> None:
    world = World()
    node = world.add(ANN, static_directory(ANN, BOB))
    other = world.add(BOB, static_directory(ANN, BOB), port=None)
    world.silent.add((BOB_HOST, PORT))
    node.network.probe(BOB.name, "probe", world.now)
    world.run(1)
    world.send(other, ANN.name, b"m")
    world.settle()
    assert told(node)[-4:] == [replace(PROVEN, dialed=False), Pinging(BOB_HOST), Pinged(0.0), REACHED]


def test_who_joins_a_search_is_told_where_it_stands() -> None:
    world, first, second = pair()
    world.silent.add((BOB_HOST, PORT))
    world.send(first, second.name, b"m")
    world.run(1)
    assert probe(world, first, second.name) == [FOUND, DIALING]
    world.run(RECOVERY_SECONDS)
    assert told(first)[-1] == offline(FailureReason.UNREACHABLE)


def test_several_may_watch_one_peer() -> None:
    world, first, second = pair()
    for token in ("one", "two"):
        first.network.probe(second.name, token, world.now)
    world.settle()
    assert told(first, "one") == told(first, "two")
    assert told(first, "one")[-1] == REACHED


def test_probes_are_bounded() -> None:
    world, first, second = pair()
    world.silent.add((BOB_HOST, PORT))
    for token in range(MAX_PROBES + 1):
        first.network.probe(second.name, token, world.now)
    world.settle()
    assert told(first, MAX_PROBES) == [ProbeEnded(ProbeOutcome.BUSY, None)]
    assert told(first, MAX_PROBES - 1) == [FOUND, DIALING]
    world.run(RECOVERY_SECONDS)
    assert probe(world, first, second.name)[-1] == DIALING


def test_a_watcher_that_has_gone_is_told_nothing_more() -> None:
    world, first, second = pair()
    world.silent.add((BOB_HOST, PORT))
    assert probe(world, first, second.name) == [FOUND, DIALING]
    first.network.stop_probe("probe")
    world.run(RECOVERY_SECONDS)
    assert told(first) == [FOUND, DIALING]


def test_a_node_that_goes_down_ends_its_probes() -> None:
    world, first, second = pair()
    world.silent.add((BOB_HOST, PORT))
    probe(world, first, second.name)
    first.network.shutdown(world.now)
    world.settle()
    assert told(first)[-1] == offline(FailureReason.SHUTDOWN)
    assert probe(world, first, second.name, token="again") == [offline(FailureReason.SHUTDOWN)]


# --- through routers --------------------------------------------------------------------------------------------------


def test_a_node_behind_a_router_is_dialed_through_it() -> None:
    world, first, hidden = network(routers=("one.test",))
    steps = [step for step in probe(world, first, hidden.name, 1) if not isinstance(step, NameFound)]
    router = host_of("one.test")
    dialing, dialed = DialStatus(router, PORT, "one.test"), Dialed(router, PORT, "one.test")
    proven = Proven(VERSION, identity_of(hidden.name).public_key, router, dialed=True)
    assert steps == [dialing, dialed, proven, Pinging(router), Pinged(0.0), REACHED]
    assert [peer.router for peer in first.network.peers() if peer.name == hidden.name] == ["one.test"]


def test_a_router_that_is_down_is_named() -> None:
    world, first, hidden = network(routers=("one.test",))
    world.crash(world.nodes["one.test"])
    steps = probe(world, first, hidden.name, RECOVERY_SECONDS + 1)
    refused = [step for step in steps if isinstance(step, AttemptFailed)]
    assert {(step.stage, step.router, step.reason) for step in refused} == {
        (AttemptStage.DIAL, "one.test", FailureReason.REFUSED)
    }
    assert isinstance(steps[-1], ProbeEnded)
    assert steps[-1].outcome is ProbeOutcome.OFFLINE


def test_a_router_without_a_session_to_the_node_says_so() -> None:
    world, first, hidden = network(routers=("one.test",))
    world.crash(hidden)
    steps = probe(world, first, hidden.name, RECOVERY_SECONDS + 1)
    refused = [step for step in steps if isinstance(step, AttemptFailed)]
    assert {(step.stage, step.text) for step in refused} == {(AttemptStage.ROUTER, "the router says: no circuit")}
