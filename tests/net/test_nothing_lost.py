"""A connection may break at any byte, any number of times, and nodes may crash: no message is lost or doubled (G4, G5).

Records are small here, so that a short conversation has every kind of boundary: several records in a message, several
messages in a record, and frames cut by the end of a record. `make soak` does the same for long, and at full size.
"""

from __future__ import annotations

from collections import Counter

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from net.contract.events import Failed, FailureReason, Outgoing
from net.peering.network import NetworkConfig
from tests.net.soak import Soak, soak_sockets
from tests.net.world import Node, Wire, World, identity_of, pair, static_directory
from tests.seeds import SOAK

PLAINTEXT_BYTES = 200
RECORD_BYTES = PLAINTEXT_BYTES + 16
WORTH_WAITING_BYTES = 24
FIRST_NAMES, SECOND_NAMES = ("ann.test", "bob.test"), ("bob.test", "ann.test")
MESSAGES = (
    (0, b"a1", b"blob", b"1"),
    (0, b"a2", bytes(range(256)) * 2, b"1"),
    (0, b"a3", None, b"2"),
    (1, b"b1", bytes(250), b"1"),
    (1, b"b2", b"", b"1"),
    (0, b"a4" * 30, bytes(100), b"2"),
    (0, b"a5", None, b"1"),
)
"""Who sends (the first or the second node), header, blob, stream: both ways, three streams, sizes around a record's."""
EXAMPLES = 1000 if SOAK else 15
STRIDES = {"one way": 1 if SOAK else 13, "other way": 1 if SOAK else 29, "crash": 1 if SOAK else 41}
"""`make soak` tries every byte; the default tests skip some, so that each record is still cut somewhere."""


@pytest.fixture(autouse=True)
def small_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record holds little."""
    monkeypatch.setattr("net.session.channel.MAX_PLAINTEXT_BYTES", PLAINTEXT_BYTES)
    monkeypatch.setattr("net.session.channel.MAX_RECORD_BYTES", RECORD_BYTES)
    monkeypatch.setattr("net.session.outbox.MAX_CHUNK_WORTH_WAITING", WORTH_WAITING_BYTES)


def converse(world: World, nodes: tuple[Node, Node]) -> None:
    """Send all MESSAGES; of some the stream is told beside the header."""
    for sender, header, blob, stream in MESSAGES:
        out = Outgoing(nodes[1 - sender].name, stream, header, blob, header, paired=stream == b"1")
        nodes[sender].network.send(out, world.now)


def cut_at(world: World, *cuts: int) -> None:
    """The first connections break after so many bytes each."""
    remaining = iter(cuts)

    def on_wire(wire: Wire) -> None:
        wire.cut_after = next(remaining, None)

    world.on_wire = on_wire


def check_complete(nodes: tuple[Node, Node]) -> None:
    """Every message has arrived once, whole and in its stream's order, and its sender knows."""
    for receiver, sender in ((1, 0), (0, 1)):
        expected = [(header, blob) for who, header, blob, _ in MESSAGES if who == sender]
        arrived = [(header, blob) for _, header, blob in nodes[receiver].received()]
        assert Counter(arrived) == Counter(expected)
        for stream in {each[3] for each in MESSAGES}:
            ordered = [header for who, header, _, name in MESSAGES if (who, name) == (sender, stream)]
            assert [header for header, _ in arrived if header in ordered] == ordered
        assert Counter(nodes[sender].delivered()) == Counter(header for header, _ in expected)
        assert nodes[sender].failed() == []


def carried(names: tuple[str, str]) -> int:
    """Bytes of the whole conversation if nothing breaks."""
    world, *nodes = pair(names=names)
    converse(world, (nodes[0], nodes[1]))
    world.run(1)
    check_complete((nodes[0], nodes[1]))
    return max(wire.carried for wire in world.wires)


@pytest.mark.parametrize(("names", "stride"), [(FIRST_NAMES, STRIDES["one way"]), (SECOND_NAMES, STRIDES["other way"])])
def test_a_cut_at_any_byte_of_a_mixed_conversation_loses_doubles_and_reorders_nothing(
    names: tuple[str, str], stride: int
) -> None:
    total = carried(names)
    assert total > 8 * RECORD_BYTES
    for cut in range(1, total + 1, stride):
        world, first, second = pair(names=names)
        cut_at(world, cut)
        converse(world, (first, second))
        world.run(4)
        try:
            check_complete((first, second))
        except AssertionError as error:
            raise AssertionError(f"cut at byte {cut}") from error


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 3000), max_size=12),
    names=st.sampled_from([FIRST_NAMES, SECOND_NAMES]),
    deaf=st.sets(st.integers(0, 1)),
)
def test_any_number_of_cuts_anywhere_loses_doubles_and_reorders_nothing(
    cuts: list[int], names: tuple[str, str], deaf: set[int]
) -> None:
    world, first, second = pair(NetworkConfig(recovery_seconds=60.0), names)
    nodes = (first, second)
    for index in deaf:
        nodes[index].taking = False
    cut_at(world, *cuts)
    converse(world, nodes)
    world.run(20)
    for index in deaf:
        assert nodes[1 - index].delivered() == []
    for node in nodes:
        node.take_all(world.now)
    world.run(40)
    check_complete(nodes)


class Crash(World):
    """A world in which one node crashes after so many bytes, and is back at once."""

    def __init__(self, after: int, victim: int) -> None:
        super().__init__()
        self.after = after
        self.victim = victim
        self.carried = 0
        self.lives: list[list[Node]] = [[], []]
        self.directory = static_directory(*map(identity_of, FIRST_NAMES))
        for index in (0, 1):
            self.start(index)

    def start(self, index: int) -> None:
        """The node is there (again)."""
        self.lives[index].append(self.add(identity_of(FIRST_NAMES[index]), self.directory))

    def _carry(self, node: Node, connection: int, data: bytes) -> None:
        rest = self.after - self.carried
        self.carried += len(data)
        if not 0 < rest <= len(data):
            super()._carry(node, connection, data)
            return
        super()._carry(node, connection, data[:rest])
        self.crash(self.lives[self.victim][-1])
        self.start(self.victim)


def crash_at(after: int, victim: int) -> None:
    """One run with a crash; each message then has the one end that is right."""
    world = Crash(after, victim)
    converse(world, (world.lives[0][0], world.lives[1][0]))
    world.run(12)
    arrived = [Counter(header for life in lives for header in life.headers()) for lives in world.lives]
    assert all(count == 1 for counter in arrived for count in counter.values()), "a message came twice"
    survivor = world.lives[1 - victim][0]
    mine = [header for who, header, _, _ in MESSAGES if who == 1 - victim]
    outcomes = [*survivor.delivered(), *(token for token, _ in survivor.failed())]
    assert Counter(map(repr, outcomes)) == Counter(map(repr, mine)), "not one end for each"
    assert all(header in arrived[victim] for header in survivor.delivered())
    reasons = {event.reason for event in survivor.of(Failed) if isinstance(event, Failed)}
    assert reasons <= {FailureReason.PEER_RESTARTED}
    blobs = {header: blob for _, header, blob, _ in MESSAGES}
    assert all(blob == blobs[header] for lives in world.lives for life in lives for _, header, blob in life.received())


@pytest.mark.parametrize("victim", [0, 1])
def test_a_crash_at_any_byte_repeats_nothing_and_what_was_not_acknowledged_comes_back(victim: int) -> None:
    for after in range(1, carried(FIRST_NAMES) + 1, STRIDES["crash"]):
        try:
            crash_at(after, victim)
        except AssertionError as error:
            raise AssertionError(f"crash at byte {after}") from error


@pytest.mark.parametrize("seed", range(2))
def test_a_short_soak_loses_and_doubles_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    ledger = Soak(seed).run(150)
    assert ledger.kept, f"seed {seed}: {ledger}"
    assert ledger.cuts >= 150


async def test_a_short_soak_on_real_sockets_loses_and_doubles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with trio.fail_after(60):
        ledger = await soak_sockets(1, 4)
    assert ledger.kept, str(ledger)
