"""Three nodes on slow, breaking wires, with restarts and deaf kernels: what holds whatever happens.

Everything is drawn from one seed: latencies, cuts, crashes, messages. Safety is checked at every delivery, the
outcome of every message at the end, when the faults have ended.
"""

import random

import pytest

from net.peering.network import NetworkConfig
from tests.net.torture import SlowWorld
from tests.net.world import Node, identity_of, static_directory

NAMES = ("ann.test", "bob.test", "cid.test")


class Torture:
    """One run."""

    def __init__(self, seed: int, *, crashes: bool) -> None:
        self.rng = random.Random(seed)
        self.world = SlowWorld(self.rng)
        self.crashes = crashes
        self.lives: list[Node] = []
        self.sent: dict[bytes, tuple[Node, str, bytes]] = {}
        for name in NAMES:
            self.start(name)

    def start(self, name: str) -> None:
        """A node is there (again)."""
        config = NetworkConfig(credit_bytes=100_000, credit_messages=8)
        directory = static_directory(*map(identity_of, NAMES))
        self.lives.append(self.world.add(identity_of(name), directory, config))

    def act(self) -> None:
        """Something happens."""
        world, rng = self.world, self.rng
        node = rng.choice(list(world.nodes.values()))
        choice = rng.random()
        if choice < 0.7:
            other = rng.choice([name for name in NAMES if name != node.name])
            header = b"%d" % len(self.sent)
            stream = b"%d" % rng.randrange(2)
            self.sent[header] = (node, other, stream)
            world.send(node, other, header, bytes(rng.choice([0, 10, 5000, 90_000])), stream=stream)
        elif choice < 0.8 and world.wires:
            world.cut(rng.choice(world.wires))
        elif choice < 0.85:
            node.taking = not node.taking
        elif choice < 0.9 and world.wires:
            rng.choice(world.wires).swallow = True
        elif choice < 0.93 and self.crashes and len(world.nodes) == len(NAMES):
            world.crash(node)
            world.at(world.now + rng.choice([0.0, 0.5, 20.0]), lambda: self.start(node.name))
        while node.untaken and node.taking:
            node.network.taken(node.untaken.pop(rng.randrange(len(node.untaken))), world.now)
        world.run(rng.choice([0.0, 0.0, 0.01, 0.3, 7.0]))
        self.check()

    def check(self) -> None:
        """Nothing is doubled, reordered, or from somebody else."""
        for node in self.lives:
            seen: dict[tuple[int, bytes], int] = {}
            headers = node.headers()
            assert len(headers) == len(set(headers))
            for source, header, _ in node.received():
                sender, target, stream = self.sent[header]
                assert (source, node.name) == (sender.name, target)
                key = (id(sender), stream)
                assert seen.get(key, -1) < int(header)
                seen[key] = int(header)

    def finish(self) -> None:
        """The faults end; everything comes to its end."""
        world = self.world
        world.run(60.0)
        for node in world.nodes.values():
            node.taking = True
            while node.untaken:
                node.network.taken(node.untaken.pop(), world.now)
        world.run(60.0)
        self.check()
        for node in world.nodes.values():
            mine = [header for header, (sender, _, _) in self.sent.items() if sender is node]
            outcomes = [*node.delivered(), *(token for token, _ in node.failed())]
            assert sorted(map(repr, outcomes)) == sorted(map(repr, mine))
            arrived = {header for other in self.lives for header in other.headers()}
            assert set(node.delivered()) <= arrived
            assert node.network.statistics()["outgoing_messages"] == 0
            for session in node.network._sessions.table.all():
                assert session.inbox.idle
                assert not (session.live and session.inbox.incomplete)


@pytest.mark.parametrize("crashes", [False, True])
@pytest.mark.parametrize("seed", range(15))
def test_nothing_is_lost_doubled_or_reordered_and_everything_ends(seed: int, crashes: bool) -> None:
    torture = Torture(seed, crashes=crashes)
    for _ in range(60):
        torture.act()
    torture.finish()


@pytest.mark.parametrize("seed", range(5))
def test_when_the_faults_have_ended_messages_pass_again(seed: int) -> None:
    torture = Torture(seed, crashes=True)
    for _ in range(40):
        torture.act()
    torture.finish()
    world = torture.world
    for node in list(world.nodes.values()):
        for name in NAMES:
            if name != node.name:
                world.send(node, name, f"after {node.name} {name}".encode())
    world.run(5.0)
    for node in world.nodes.values():
        expected = {f"after {name} {node.name}".encode() for name in NAMES if name != node.name}
        assert expected <= set(node.headers())
