"""An exception at a random call inside `net/` never ends more than the connection and the session it happened in.

Networks in virtual time: a registrar, a router, two nodes that can be dialed and one behind the router. The three
send to each other, connections break, a process takes nothing for a while, a node restarts. One run without an
exception says which calls there are, and each seed draws one of them; `tests.injections` says how to play one again.
Whole nodes have theirs in tests/testnet/sim/test_injection.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from net.contract.events import FailureReason, NetEvent, Unforeseen
from net.names.directory import Endpoint, RegistrarDirectory
from net.names.registrar import Registrar
from net.peering.network import Network, NetworkConfig
from testnet.sim.injection import Injected, Injection, Probe, Reached
from tests.injections import play_seeds
from tests.net.world import GENESIS, PORT, REGISTRAR, Node, World, host_of, identity_of, pair

SEEDS = range(20)
"""In every run of the tests; the others are whole nodes'."""
LONG_SEEDS = range(1_000, 9_000)
"""In `make soak`."""
ANN, BOB, CAT, ROD = "ann.test", "bob.test", "cat.test", "rod.test"
NAMES = (ANN, BOB, CAT)
"""Those who talk; the other one is the router."""
_GUARDS = (
    "Network.new_connection",
    "Network.next_event",
    "Identity.__",
    "RecordTable.__",
    "Registrar.__",
    "RegistrarDirectory.__",
)
"""What makes a network, and what its driver sees to (`net.io.driver`)."""


class Town(World):
    """A world that counts its steps for the probe, and forgets no node."""

    def __init__(self, probe: Probe) -> None:
        super().__init__()
        self.tolerant = True
        self.probe = probe
        self.everyone: list[Node] = []

    def _handle(self, node: Node, event: NetEvent) -> None:
        self.probe.begin_step()
        super()._handle(node, event)

    def boot(self, name: str) -> None:
        """A node of that name, for the first time or again."""
        if name == REGISTRAR.name:
            node = self.add(REGISTRAR, Registrar(REGISTRAR, []))
        else:
            behind = name == CAT
            endpoints = () if behind else (Endpoint(host_of(name), PORT),)
            config = NetworkConfig(endpoints=endpoints, routers=(ROD,) if behind else (), register=True)
            node = self.add(identity_of(name), RegistrarDirectory(GENESIS, []), config, port=None if behind else PORT)
        self.everyone.append(node)


class Play:
    """One run."""

    def __init__(self, injection: Injection | None) -> None:
        self.probe = Probe(("net",), Network, injection, guards=_GUARDS)
        self.town = Town(self.probe)
        self.sent: dict[bytes, tuple[str, str]] = {}
        try:
            self._play()
        finally:
            self.probe.end()
        self.town.run(60.0)
        self.before = len(self.sent)
        self._round()
        self.town.run(45.0)

    def _play(self) -> None:
        town = self.town
        for name in (REGISTRAR.name, ROD, ANN, BOB, CAT):
            town.boot(name)
        town.run(1.0)
        self._round()
        self._send(ANN, CAT, 150_000)
        self._send(BOB, ANN, 70_000)
        town.nodes[ANN].network.look_up("nobody.test", town.now)
        town.nodes[ANN].network.probe(BOB, "probe", town.now)
        town.run(1.0)
        for wire in list(town.open.values())[:4]:
            town.cut(wire)
        bob = town.nodes[BOB]
        bob.taking = False
        self._round()
        town.run(1.0)
        bob.take_all(town.now)
        town.run(25.0)
        town.crash(bob)
        self._send(ANN, BOB)
        town.run(2.0)
        town.boot(BOB)
        town.run(5.0)

    def _send(self, node: str, other: str, size: int = 0) -> None:
        token = b"%d" % len(self.sent)
        self.sent[token] = (node, other)
        self.town.send(self.town.nodes[node], other, token, bytes(size) if size else None, b"%d" % (size > 0))

    def _round(self) -> None:
        for node in NAMES:
            for other in NAMES:
                if node != other:
                    self._send(node, other)

    def problems(self) -> Iterator[str]:
        """What more has ended than may."""
        if not self.probe.raised:
            yield "nothing was raised"
        everyone = self.town.everyone
        delivered = {token for node in everyone for token in node.delivered()}
        taken = Counter(header for node in everyone for header in node.headers())
        outcomes = Counter(token for node in everyone for token in _settled(node))
        first_bob = next(node for node in everyone if node.name == BOB)
        lost = {token for token, (sender, _) in self.sent.items() if sender == BOB} - {*_settled(first_bob)}
        for number, (token, (sender, other)) in enumerate(self.sent.items()):
            what = f"message {number} from {sender} to {other}"
            healed = number >= self.before
            if outcomes[token] != 1 and (healed or token not in lost):
                yield f"{what} has {outcomes[token]} outcomes"
            if taken[token] > 1 or (token in delivered and not taken[token]):
                yield f"{what} has been taken {taken[token]} times"
            if healed and token not in delivered:
                yield f"{what} is not delivered, though two minutes have passed"
        failures = sum(node.network.failures for node in self.town.everyone)
        if failures != 1:
            yield f"one exception is counted as {failures}"


def _settled(node: Node) -> list[object]:
    return [*node.delivered(), *(token for token, _ in node.failed())]


@pytest.fixture(scope="module")
def reached() -> Reached:
    play = Play(None)
    assert list(play.problems()) == ["nothing was raised", "one exception is counted as 0"]
    return play.probe.reached


def test_g5_an_exception_anywhere_in_the_net_ends_no_more_than_a_session(reached: Reached) -> None:
    play_seeds(SEEDS, reached, lambda injection: Play(injection).problems())


@pytest.mark.long
def test_g5_an_exception_anywhere_in_the_net_ends_no_more_than_a_session_many_times(reached: Reached) -> None:
    play_seeds(LONG_SEEDS, reached, lambda injection: Play(injection).problems())


def test_the_seeds_notice_it_where_a_session_does_not_begin_anew(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("net.peering.sessions.Sessions.reset", lambda *_: None)
    with pytest.raises((AssertionError, Injected), match=r"injection seed|, line "):
        play_seeds(SEEDS, reached, lambda injection: Play(injection).problems())


def fail(*_: object, **__: object) -> None:
    """What nobody has foreseen."""
    raise ZeroDivisionError("ours")


def test_the_peer_is_told_that_it_is_no_fault_of_its_own_and_messages_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, ann, bob = pair()
    world.tolerant = True
    world.post(ann, BOB, b"first")
    bob.taking = False
    world.post(ann, BOB, b"second")
    with monkeypatch.context() as broken:
        broken.setattr("net.session.session.Session.receive", fail)
        world.post(bob, ANN, b"third")
    assert ann.failed() == [(b"second", FailureReason.CONNECTION_LOST)]
    (failure,) = ann.of(Unforeseen)
    assert isinstance(failure, Unforeseen)
    assert failure.what.endswith("with bob.test")
    assert failure.traceback[-1] == "ZeroDivisionError: ours"
    (peer,) = bob.network.peers()
    assert peer.error is not None
    assert peer.error.text.endswith("the peer says: internal")
    (status,) = ann.network.peers()
    assert (status.failures, ann.network.failures) == (1, 1)
    assert not bob.network._sessions._penalties._by_name, "nobody is punished"
    bob.taking = True
    world.run(30.0)
    world.post(ann, BOB, b"fourth", seconds=5.0)
    assert b"fourth" in ann.delivered()


def test_a_deadline_that_fails_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    world, ann, _ = pair()
    world.tolerant = True
    world.post(ann, BOB, b"first")
    with monkeypatch.context() as broken:
        broken.setattr("net.peering.reception.Reception.due", fail)
        world.run(20.0)
    assert len(ann.of(Unforeseen)) == 1, "its connection is over, and so is its deadline"
    world.post(ann, BOB, b"second", seconds=5.0)
    assert ann.delivered() == [b"first", b"second"]


def test_what_is_due_for_all_is_tried_once_a_second_and_not_over_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
    world, ann, bob = pair()
    world.tolerant = True
    with monkeypatch.context() as broken:
        broken.setattr("net.names.directory.StaticDirectory.next_expiry", lambda _: 0.0)
        broken.setattr("net.names.directory.StaticDirectory.expire", fail)
        world.post(ann, BOB, b"first", seconds=10.0)
    assert len(ann.of(Unforeseen)) == 11, "at once, and after each second"
    assert bob.headers() == [b"first"]
