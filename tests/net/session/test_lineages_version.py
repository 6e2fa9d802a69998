"""Version 3 of the frames: both sides take lineages in headers. The net only says so, and has headers worded anew."""

from __future__ import annotations

from itertools import product

import pytest

from net.base.frames import LINEAGES_EPOCH, Resume
from net.contract.events import Outgoing
from net.peering.network import NetworkConfig
from tests.net.session.test_pairs import NAMES, two
from tests.net.world import Node, identity_of, static_directory


def reworded(token: object, header: bytes, paired: bool, tells: bool) -> bytes:
    """A header with what it is told with."""
    return b"%s %d %d" % (token, paired, tells) if isinstance(token, bytes) else header


def wait_for_bob(ann: Node) -> None:
    """Two messages, of which one is short."""
    for token, paired in ((b"1", True), (b"2", False)):
        ann.network.send(Outgoing("bob.test", b"a>b", b"made before", b"blob", token, paired=paired), 0.0)


@pytest.mark.parametrize("versions", list(product((1, 2, 3), repeat=2)), ids=str)
@pytest.mark.parametrize("dialer", [0, 1], ids=NAMES)
def test_nodes_of_all_versions_talk_and_tell_lineages_only_if_both_take_them(
    versions: tuple[int, int], dialer: int
) -> None:
    world, nodes = two(*versions)
    world.post(nodes[dialer], NAMES[1 - dialer], b"first")
    for sender in (0, 1):
        for header in (b"1", b"2", b"3"):
            world.post(nodes[sender], NAMES[1 - sender], header, b"blob" * 100, b"a>b")
    for index, node in enumerate(nodes):
        assert node.headers()[-3:] == [b"1", b"2", b"3"]
        assert node.network.tells_lineages(NAMES[1 - index]) == (versions == (3, 3))
        assert node.network.tells_pairs(NAMES[1 - index]) == (min(versions) >= 2)
        assert node.network.takes_lineages == (versions[index] == 3)
        assert not node.failed()


def test_what_is_sent_before_the_peer_has_told_is_worded_anew_when_it_has() -> None:
    world, (ann, bob) = two(3, 3)
    ann.network.reworded = reworded
    assert not ann.network.tells_lineages("bob.test")
    ann.network.send(Outgoing("bob.test", b"a>b", b"made before", b"blob", b"1"), world.now)
    world.run(1.0)
    assert bob.headers() == [b"1 0 1"]
    assert ann.delivered() == [b"1"]


@pytest.mark.parametrize("version", [2, 3])
def test_what_waits_for_a_node_that_comes_back_is_worded_for_what_it_takes_now(version: int) -> None:
    world, (ann, bob) = two(3, 3)
    ann.network.reworded = reworded
    world.post(ann, "bob.test", b"hello")
    world.crash(bob)
    world.settle()
    wait_for_bob(ann)
    identities = [identity_of(name) for name in NAMES]
    again = world.add(identities[1], static_directory(*identities), NetworkConfig(frames_version=version))
    world.run(10.0)
    assert again.headers() == [b"1 1 %d" % (version == 3), b"2 0 %d" % (version == 3)]
    assert ann.network.tells_lineages("bob.test") == (version == 3)


def test_what_has_begun_keeps_its_header_over_a_break() -> None:
    world, (ann, bob) = two(3, 3)
    world.post(ann, "bob.test", b"hello")
    ann.network.reworded = reworded
    wire = next(iter(world.open.values()))
    wire.cut_after = wire.carried + 150_000  # more than two records
    ann.network.send(Outgoing("bob.test", b"a>b", b"begun", bytes(200_000), b"1"), world.now)
    world.run(10.0)
    assert bob.headers()[1:] == [b"begun"]
    assert not ann.failed()


def test_a_giving_up_leaves_the_version_as_it_was() -> None:
    world, (ann, bob) = two(3, 3)
    world.post(ann, "bob.test", b"hello")
    session = ann.network._sessions.table.get("bob.test")
    assert session is not None
    session.give_up()
    assert session._epoch == LINEAGES_EPOCH + 1
    frame = Resume(session._incarnation, session._epoch, 1, 0, 0, None)
    assert frame.epoch >= LINEAGES_EPOCH
    assert bob.network.tells_lineages("ann.test")
