"""Whole networks in one thread under virtual time: what a driver and the wires between the nodes do, without either.

Bytes pass at once and in order; time moves only when nothing else can happen, and then exactly to the next deadline. A
world can refuse dials, swallow bytes, cut a connection at any byte, and restart a node.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from net.base.limits import RECORD_SECONDS
from net.contract.events import (
    Buffer,
    Close,
    Delivered,
    Dial,
    Failed,
    FailureReason,
    Hold,
    Log,
    NetEvent,
    Outgoing,
    Received,
    RecordStored,
    Unforeseen,
    Writable,
)
from net.names.directory import (
    Directory,
    Endpoint,
    Genesis,
    NameRecord,
    RegistrarDirectory,
    SignedRecord,
    StaticDirectory,
    grant_record,
    sign_record,
)
from net.names.identity import Identity
from net.peering.network import Network, NetworkConfig
from net.session.session import Connection

PORT = 9000
LIMIT = 65536


def entropy_of(seed: str) -> Callable[[int], bytes]:
    """Deterministic bytes that depend on the seed alone."""
    count = 0

    def draw(size: int) -> bytes:
        nonlocal count
        count += 1
        parts = (blake2b(f"{seed}/{count}/{index}".encode()).digest() for index in range(size // 64 + 1))
        return b"".join(parts)[:size]

    return draw


def identity_of(name: str, key: str = "") -> Identity:
    """The node's identity; another `key`, another key."""
    return Identity(name, blake2b(f"{name}{key}".encode(), digest_size=32).digest())


def host_of(name: str) -> str:
    """The address at which a node of the world listens."""
    return f"host-{name}"


def record_of(
    identity: Identity, sequence: int = 1, port: int = PORT, *, issued_at: int = 0, seconds: int = RECORD_SECONDS
) -> SignedRecord:
    """A signed record with the node's one endpoint."""
    endpoints = (Endpoint(host_of(identity.name), port),)
    expires_at = issued_at + seconds
    record = NameRecord(identity.name, identity.public_key, endpoints, (), sequence, issued_at, expires_at)
    return sign_record(record, identity)


def static_directory(*identities: Identity) -> StaticDirectory:
    """A directory that knows just these."""
    return StaticDirectory({identity.name: record_of(identity) for identity in identities})


REGISTRAR = identity_of("registrar.test")
GENESIS = Genesis(REGISTRAR.name, REGISTRAR.public_key, host_of(REGISTRAR.name), PORT)


def cached_directory(*identities: Identity) -> RegistrarDirectory:
    """A registrar's cache that knows these already."""
    return RegistrarDirectory(GENESIS, [grant_record(record_of(item), REGISTRAR).held() for item in identities])


@dataclass
class Wire:
    """One TCP connection."""

    ends: tuple[tuple["Node", int], tuple["Node", int]]
    carried: int = 0
    cut_after: int | None = None
    swallow: bool = False
    alter: Callable[[bytes, int], bytes] | None = None
    log: list[bytes] = field(default_factory=list)


@dataclass
class Node:
    """A node of the world, and all that its network has said."""

    name: str
    network: Network
    taking: bool = True
    disk: str = "works"
    """Or `refuses`, or `hangs`: what becomes of the records that are to be kept."""
    events: list[NetEvent] = field(default_factory=list)
    untaken: list[object] = field(default_factory=list)
    dials: list[tuple[float, str, int]] = field(default_factory=list)

    def of(self, *kinds: type) -> list[NetEvent]:
        """Its events of these kinds, in order."""
        return [event for event in self.events if isinstance(event, kinds)]

    def received(self) -> list[tuple[str, bytes, bytes | None]]:
        """Source, header and blob of all messages."""
        return [
            (event.node, event.header, None if event.blob is None else bytes(event.blob))
            for event in self.events
            if isinstance(event, Received)
        ]

    def take_all(self, now: float) -> None:
        """Its kernel takes what it has left untaken, and whatever comes from now on."""
        self.taking = True
        while self.untaken:
            self.network.taken(self.untaken.pop(), now)

    def headers(self) -> list[bytes]:
        """The headers of all messages."""
        return [header for _, header, _ in self.received()]

    def delivered(self) -> list[object]:
        """Tokens of what arrived at the other side."""
        return [token for event in self.events if isinstance(event, Delivered) for token in event.tokens]

    def failed(self) -> list[tuple[object, FailureReason]]:
        """Tokens and reasons of what came back."""
        return [(event.token, event.reason) for event in self.events if isinstance(event, Failed)]


class World:
    """See the module's text."""

    def __init__(self) -> None:
        self.now = 0.0
        self.nodes: dict[str, Node] = {}
        self.listening: dict[tuple[str, int], Node] = {}
        self.clogged: set[str] = set()
        """Nodes whose bytes nobody takes."""
        self.tolerant = False
        """Whether a node's own code may fail."""
        self.silent: set[tuple[str, int]] = set()
        """Endpoints that swallow a dial."""
        self.wires: list[Wire] = []
        self.open: dict[tuple[int, int], Wire] = {}
        self.on_wire: Callable[[Wire], None] = lambda wire: None
        """Called for each new wire, to make it a bad one."""
        self.generation: dict[str, int] = defaultdict(int)
        self.hosts: dict[int, str] = {}
        """By the id of a node: the address that others see it come from, if that is not its own."""
        self.held: dict[tuple[int, int], list[bytes]] = {}
        """What waits for a node that reads nothing from that connection for now."""

    def add(
        self,
        identity: Identity,
        directory: Directory,
        config: NetworkConfig | None = None,
        *,
        port: int | None = PORT,
        alias: str | None = None,
    ) -> Node:
        """Start (or restart) a node; `port` None: it does not listen; `alias`: for a second one of the same name."""
        name = alias or identity.name
        self.generation[name] += 1
        entropy = entropy_of(f"{name}/{self.generation[name]}")
        node = Node(identity.name, Network(identity, directory, config or NetworkConfig(), entropy, self.now))
        self.nodes[name] = node
        if port is not None:
            self.listening[(host_of(name), port)] = node
        return node

    def crash(self, node: Node) -> None:
        """The node vanishes; its connections break."""
        for wire in [wire for wire in self.open.values() if any(end[0] is node for end in wire.ends)]:
            self.cut(wire)
        self.listening = {key: value for key, value in self.listening.items() if value is not node}
        self.nodes = {key: value for key, value in self.nodes.items() if value is not node}

    def cut(self, wire: Wire) -> None:
        """Break a connection for both ends."""
        for node, connection in wire.ends:
            if self.open.pop((id(node), connection), None) is not None and node in self.nodes.values():
                node.network.lost(connection, self.now)

    def send(self, node: Node, to: str, header: bytes, blob: Buffer | None = None, stream: bytes = b"s") -> None:
        """Send a message whose token is its header; its stream is told beside that where it can be."""
        paired = node.network.tells_pairs(to)
        node.network.send(Outgoing(to, stream, header, blob, header, paired=paired), self.now)

    def post(
        self,
        node: Node,
        to: str,
        header: bytes,
        blob: Buffer | None = None,
        stream: bytes = b"s",
        seconds: float = 0.0,
    ) -> None:
        """Send a message as `send` does, and let happen what can happen within so much time."""
        self.send(node, to, header, blob, stream)
        self.run(seconds)

    def settle(self) -> None:
        """Let happen what can happen without time passing."""
        busy = True
        while busy:
            busy = False
            for node in list(self.nodes.values()):
                while (event := node.network.next_event()) is not None:
                    busy = True
                    self._handle(node, event)
                if node.network.next_deadline() == 0.0:
                    busy = True
                    node.network.on_timer(self.now)  # much was read at once: the next part of it

    def run(self, seconds: float) -> None:
        """Let time pass, from deadline to deadline."""
        end = self.now + seconds
        self.settle()
        while (when := self.next_deadline()) is not None and when <= end:
            self.now = max(self.now, when)
            for node in list(self.nodes.values()):
                deadline = node.network.next_deadline()
                if deadline is not None and deadline <= self.now:
                    node.network.on_timer(self.now)
            self.settle()
        self.now = end

    def next_deadline(self) -> float | None:
        """The earliest of all nodes."""
        deadlines = [node.network.next_deadline() for node in self.nodes.values()]
        return min((when for when in deadlines if when is not None), default=None)

    def _handle(self, node: Node, event: NetEvent) -> None:
        match event:
            case Dial(connection, host, port):
                node.dials.append((self.now, host, port))
                self._dial(node, connection, host, port)
            case Close(connection, farewell):
                self._close(node, connection, farewell)
            case Writable() if node.name in self.clogged:
                pass
            case Writable(connection):
                self._transmit(node, connection)
            case Hold(connection, True):
                self.held.setdefault((id(node), connection), [])
            case Hold(connection, False):
                for data in self.held.pop((id(node), connection), []):
                    node.network.receive(connection, data, self.now)
            case Log():
                node.events.append(event)
            case Received(receipt=receipt):
                node.events.append(event)
                if node.taking:
                    node.network.taken(receipt, self.now)
                else:
                    node.untaken.append(receipt)
            case Unforeseen(what, traceback):
                node.events.append(event)
                assert self.tolerant, "\n".join((f"{node.name} failed at {what}:", *traceback))
            case RecordStored(record, use):
                node.events.append(event)
                for each in (use, record):
                    if each is not None and node.disk != "hangs":
                        node.network.record_kept(each, self.now, kept=node.disk == "works")
            case _:
                node.events.append(event)

    def _transmit(self, node: Node, connection: int) -> None:
        size = LIMIT
        while 2 * size >= LIMIT and (id(node), connection) in self.open:
            data = b"".join(node.network.pending(connection, LIMIT))
            size = len(data)
            if 2 * size < LIMIT:
                assert node.network.pending(connection, LIMIT) == [], "that was to be all"
            if data:
                self._carry(node, connection, data)

    def _dial(self, node: Node, connection: int, host: str, port: int) -> None:
        other = self.listening.get((host, port))
        if (host, port) in self.silent:
            return
        if other is None:
            node.network.dial_failed(connection, "refused", self.now)
            return
        number = other.network.new_connection()
        wire = Wire(((node, connection), (other, number)))
        self.wires.append(wire)
        self.open[(id(node), connection)] = wire
        self.open[(id(other), number)] = wire
        self.on_wire(wire)
        other.network.accepted(number, self.hosts.get(id(node), host_of(node.name)), self.now)
        node.network.connected(connection, self.now)

    def _close(self, node: Node, connection: int, farewell: bytes) -> None:
        wire = self.open.get((id(node), connection))
        if wire is None:
            return
        if farewell:
            self._carry(node, connection, farewell)
        del_end = self.open.pop((id(node), connection), None)
        if del_end is not None:
            self.cut(wire)

    def _carry(self, node: Node, connection: int, data: bytes) -> None:
        wire = self.open.get((id(node), connection))
        if wire is None:
            return
        to = 1 if wire.ends[0] == (node, connection) else 0
        if wire.alter is not None:
            data = wire.alter(data, to)
        last = wire.cut_after is not None and wire.carried + len(data) >= wire.cut_after
        if last and wire.cut_after is not None:
            data = data[: wire.cut_after - wire.carried]
        wire.carried += len(data)
        wire.log.append(data)
        other, number = wire.ends[to]
        if data and not wire.swallow:
            self._arrive(other, number, data)
        if last:
            self.cut(wire)

    def _arrive(self, node: Node, connection: int, data: bytes) -> None:
        ours = node.network._switchboard.get(connection)
        if (ours is not None and ours.holds) or (id(node), connection) in self.held:
            self.held.setdefault((id(node), connection), []).append(data)
        else:
            node.network.receive(connection, data, self.now)


def connection_of(network: Network, peer: str) -> Connection:
    """Its end of the connection that its session with that peer has; there must be one."""
    session = network._sessions.table.get(peer)
    assert session is not None
    assert session.connection is not None
    return session.connection


def pair(
    config: NetworkConfig | None = None, names: tuple[str, str] = ("ann.test", "bob.test")
) -> tuple[World, Node, Node]:
    """Two nodes that know each other from a static directory."""
    world = World()
    identities = [identity_of(name) for name in names]
    first, second = (world.add(identity, static_directory(*identities), config) for identity in identities)
    return world, first, second


def met(
    header: bytes, config: NetworkConfig | None = None, names: tuple[str, str] = ("ann.test", "bob.test")
) -> tuple[World, Node, Node]:
    """Two nodes that know each other, after the first has sent the second this message."""
    world, first, second = pair(config, names)
    world.post(first, second.name, header)
    return world, first, second
