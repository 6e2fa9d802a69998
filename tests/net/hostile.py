"""Peers that say what their own network would not, and what is to be seen of the node that they say it to."""

from __future__ import annotations

import struct

from nectar_node.contract.memory_budget import MemoryBudget
from net.base.frames import DATA, FIRST, Control, encode_control
from net.contract.events import (
    Log,
)
from net.peering.network import Network, NetworkConfig
from net.session.session import Connection
from tests.net.world import (
    Node,
    World,
    connection_of,
    identity_of,
    pair,
    static_directory,
)


def hostile_pair() -> tuple[World, Node, Node, Connection]:
    """A node, a peer that is up at time 0 and about to misbehave, and that peer's end of the connection."""
    world, victim, hostile = pair()
    world.post(hostile, victim.name, b"up")
    return world, victim, hostile, connection_of(hostile.network, victim.name)


def say(world: World, hostile: Node, connection: Connection, *frames: bytes | Control) -> None:
    """Have the hostile peer send frames that its own network would not."""
    speak(hostile.network, connection, *frames)
    world.settle()


def speak(network: Network, connection: Connection, *frames: bytes | Control) -> None:
    """Have a network send frames that it would not of itself."""
    for frame in frames:
        connection._queue(frame if isinstance(frame, bytes) else encode_control(frame))
    network._switchboard.signal(connection)


def begins(number: int, header: int, chunk: bytes) -> bytes:
    """The first frame of a message whose header has so many bytes."""
    return struct.pack(">BBHQII", DATA, FIRST, len(chunk), number, header, 0xFFFFFFFF) + chunk


def goes_on(number: int, chunk: bytes) -> bytes:
    """A further frame."""
    return struct.pack(">BBHQ", DATA, 0, len(chunk), number) + chunk


def lines(node: Node) -> list[str]:
    """What its network has logged."""
    return [event.text for event in node.events if isinstance(event, Log)]


def is_live(node: Node) -> bool:
    """Whether it has a session that carries messages."""
    return node.network.statistics()["live"] == 1


MIB = 1 << 20


class Crowd:
    """A node with little memory, and peers that are up and about to fill it."""

    def __init__(self, peers: int, capacity: int = 8 * MIB) -> None:
        self.world = World()
        self.budget = MemoryBudget(capacity)
        victim = identity_of("victim.test")
        peer_identities = [identity_of(f"p{number}.test") for number in range(peers)]
        directory = static_directory(victim, *peer_identities)
        self.victim = self.world.add(victim, directory, NetworkConfig(memory=self.budget))
        self.peers = [self.world.add(each, static_directory(victim, each)) for each in peer_identities]
        for peer in self.peers:
            self.world.send(peer, victim.name, b"up")
        self.world.settle()

    def connection(self, peer: Node) -> Connection:
        """That peer's end."""
        connection = connection_of(peer.network, self.victim.name)
        session = connection.session
        assert session is not None
        return connection

    def begin(self, peer: Node, size: int, number: int = 2) -> None:
        """The peer sends the first byte of such a message."""
        say(self.world, peer, self.connection(peer), begins(number, size, b"x"))

    def go_on(self, peer: Node, size: int, number: int = 2) -> None:
        """The peer sends so many bytes more of it."""
        pieces = [bytes(min(60_000, size - start)) for start in range(0, size, 60_000)]
        say(self.world, peer, self.connection(peer), *(goes_on(number, piece) for piece in pieces))

    def fill(self, peers: list[Node] | None = None) -> None:
        """These peers, or all, begin a message of which nothing more comes."""
        for peer in self.peers if peers is None else peers:
            self.begin(peer, 600_000)

    def is_up(self, peer: Node) -> bool:
        """Whether the victim still has a session with it that carries messages."""
        session = self.victim.network._sessions.table.get(peer.name)
        return session is not None and session.live


def deferred(crowd: Crowd) -> int:
    """Connections of the victim that wait for memory."""
    return len(crowd.victim.network._reception._backlog._starved)


def accept(network: Network, host: str, now: float) -> int:
    """One more has connected."""
    number = network.new_connection()
    network.accepted(number, host, now)
    return number
