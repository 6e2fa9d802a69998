"""The session machine under attack: honest nodes, and somebody in the middle of every connection who has no keys.

The attacker holds all bytes back and passes on what it likes: pieces late, twice, in another order, altered, cut short,
none at all, its own, or those of another connection; it dials both nodes and answers their dials. Its decisions come
from a string of bytes (`choices`). Whatever it does: nothing is raised, every message that arrives is one that was
sent, from that node, unaltered, once, and in order; memory is bounded; and when the attacker is gone, every message
that is outstanding comes to one end, and new ones pass.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from net.base.limits import (
    FIRST_ALLOCATION_BYTES,
    MAX_RECORD_BYTES,
    MAX_REPLY_BYTES,
    MAX_UNREAD_BYTES,
    MESSAGE_OVERHEAD_BYTES,
    RELAY_BYTES,
)
from net.contract.events import Close, Dial, Hold, Log, NetEvent, Received, Writable
from net.names.directory import Endpoint, RegistrarDirectory
from net.names.registrar import Registrar
from net.peering.network import Network, NetworkConfig
from net.session.sealing import Splitter
from tests.fuzz.choices import Choices
from tests.net.world import (
    GENESIS,
    LIMIT,
    PORT,
    REGISTRAR,
    Node,
    World,
    host_of,
    identity_of,
    static_directory,
)

NAMES = ("ann.test", "bob.test")
ROUTER = "rob.test"
FIRST_MESSAGES = 2
MAX_STEPS = 150
MAX_RECORDED = 256
"""Pieces of all connections that the attacker keeps, to play them back."""
CONFIG = NetworkConfig(credit_bytes=200_000, credit_messages=8)
SIZES = (None, 0, 1, 300, 5000, 70_000)
"""Of blobs; the last takes two records."""
PAUSES = (0.0, 0.01, 0.1, 1.0, 3.0, 5.0, 21.0)
CONNECTION_BYTES = MAX_UNREAD_BYTES + 2 * MAX_RECORD_BYTES + MAX_REPLY_BYTES
"""The most that a connection may hold apart from its session: what is unread, incomplete, or waits to be written."""
MAX_STEP_BYTES = 2 << 20
"""The most that comes at once here; a driver reads less at a time."""
MAX_LINKS = 12
"""Connections that the attacker keeps open at a time."""


@dataclass
class Lane:
    """One direction of a connection, as the attacker sees it."""

    pieces: deque[bytes] = field(default_factory=deque)
    splitter: Splitter = field(default_factory=Splitter)


@dataclass(eq=False)
class Link:
    """One connection through the attacker; an end that is None is the attacker itself, or closed."""

    ends: list[tuple[Node, int] | None]
    lanes: tuple[Lane, Lane] = field(default_factory=lambda: (Lane(), Lane()))
    """By the end to which they lead."""


class Middle(World):
    """A world in which every connection leads through the attacker. Sends nothing on before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[Link] = []
        self.recorded: list[bytes] = []
        self.divert = False
        """The attacker itself answers the next dial."""
        self.present = True
        """Whether the attacker is there; if not, bytes pass as they are."""

    def crash(self, node: Node) -> None:
        """See `World`; the attacker still has what the node had sent."""
        self.listening = {key: value for key, value in self.listening.items() if value is not node}
        self.nodes = {key: value for key, value in self.nodes.items() if value is not node}
        for link in self.links:
            link.ends = [None if end is not None and end[0] is node else end for end in link.ends]

    def hang_up(self, link: Link) -> None:
        """Break a connection for whoever is still there."""
        ends, link.ends = link.ends, [None, None]
        self.links.remove(link)
        for end in ends:
            if end is not None:
                end[0].network.lost(end[1], self.now)

    def put(self, link: Link, to: int, data: bytes) -> None:
        """Bytes for one end, right now."""
        end = link.ends[to]
        if end is not None:
            end[0].network.receive(end[1], data, self.now)

    def open_link(self, dialer: tuple[Node, int] | None, acceptor: Node | None) -> Link:
        """A new connection."""
        accepted = None
        if acceptor is not None:
            accepted = (acceptor, acceptor.network.new_connection())
            acceptor.network.accepted(accepted[1], host_of("attacker"), self.now)
        link = Link([dialer, accepted])
        self.links.append(link)
        if dialer is not None:
            dialer[0].network.connected(dialer[1], self.now)
        return link

    def _dial(self, node: Node, connection: int, host: str, port: int) -> None:
        other = self.listening.get((host, port))
        if self.divert and self.present:
            self.divert = False
            self.open_link((node, connection), None)
        elif other is None:
            node.network.dial_failed(connection, "refused", self.now)
        else:
            self.open_link((node, connection), other)

    def _find(self, node: Node, connection: int) -> tuple[Link, int] | None:
        for link in self.links:
            for index, end in enumerate(link.ends):
                if end is not None and end[0] is node and end[1] == connection:
                    return link, 1 - index
        return None

    def _close(self, node: Node, connection: int, farewell: bytes) -> None:
        found = self._find(node, connection)
        if found is None:
            return
        link, to = found
        self._keep(link, to, farewell)
        link.ends[1 - to] = None
        if not self.present:
            self.hang_up(link)

    def _carry(self, node: Node, connection: int, data: bytes) -> None:
        found = self._find(node, connection)
        if found is not None:
            self._keep(*found, data)

    def _keep(self, link: Link, to: int, data: bytes) -> None:
        if not self.present:
            self.put(link, to, data)
            return
        lane = link.lanes[to]
        for piece in lane.splitter.split(data):
            whole = len(piece).to_bytes(2, "big") + bytes(piece)
            lane.pieces.append(whole)
            if len(self.recorded) < MAX_RECORDED:
                self.recorded.append(whole)

    def _handle(self, node: Node, event: NetEvent) -> None:
        match event:
            case Dial(connection, host, port):
                self._dial(node, connection, host, port)
            case Close(connection, farewell):
                self._close(node, connection, farewell)
            case Writable(connection):
                while buffers := node.network.pending(connection, LIMIT):
                    self._carry(node, connection, b"".join(buffers))
            case Log() | Hold():
                pass
            case _:
                super()._handle(node, event)


class Attack:
    """One run; raises AssertionError if anything is not as promised, and nothing else."""

    def __init__(self, data: bytes, *, restarts: bool = False, registrar: bool = False, routed: bool = False) -> None:
        """`registrar`: the nodes do not know each other from the start, they ask a third one. `routed`: and one of
        them is behind a router."""
        self.choices = Choices(data)
        self.restarts = restarts
        self.registrar = registrar or routed
        self.routed = routed
        self.world = Middle()
        self.lives: list[Node] = []
        self.sent: dict[bytes, tuple[Node, str, bytes, bytes | None]] = {}
        self.checked: dict[int, int] = {}
        self.arrived: set[bytes] = set()
        self.last: dict[tuple[int, int, bytes], int] = {}
        if self.registrar:
            self.world.add(REGISTRAR, Registrar(REGISTRAR), CONFIG)
        if routed:
            self.start(ROUTER)
        for name in NAMES:
            self.start(name)

    def start(self, name: str) -> None:
        """A node is there (again)."""
        identity = identity_of(name)
        if self.registrar:
            hidden = self.routed and name == NAMES[1]
            endpoints = () if hidden else (Endpoint(host_of(name), PORT),)
            config = replace(CONFIG, endpoints=endpoints, routers=(ROUTER,) if hidden else (), register=True)
            port = None if hidden else PORT
            self.lives.append(self.world.add(identity, RegistrarDirectory(GENESIS), config, port=port))
        else:
            self.lives.append(self.world.add(identity, static_directory(*map(identity_of, NAMES)), CONFIG))

    def nodes(self) -> list[Node]:
        """The two that send and receive."""
        return [node for node in self.world.nodes.values() if node.name in NAMES]

    def run(self) -> None:
        """Let the attacker do as the bytes say, then be gone."""
        for _ in range(FIRST_MESSAGES):
            self.send()
        self.world.settle()
        for _ in range(MAX_STEPS):
            if not self.choices:
                break
            self.choices.of(_STEPS)(self)
            self.world.settle()
            self.check()
        self.finish()

    # --- what may happen ---

    def send(self) -> None:
        """An honest message."""
        sender = self.choices.of(self.nodes())
        (target,) = (name for name in NAMES if name != sender.name)
        header, stream = b"%d" % len(self.sent), b"%d" % self.choices.below(3)
        size = self.choices.of(SIZES)
        blob = None if size is None else random.Random(len(self.sent)).randbytes(size)
        self.sent[header] = (sender, target, stream, blob)
        self.world.send(sender, target, header, blob, stream=stream)

    def lane(self) -> tuple[Link, int, Lane] | None:
        """One in which something waits."""
        waiting = [(link, to) for link in self.world.links for to in (0, 1) if link.lanes[to].pieces]
        if not waiting:
            return None
        link, to = self.choices.of(waiting)
        return link, to, link.lanes[to]

    def pass_all(self) -> None:
        """The network works for a while."""
        for _ in range(50):
            found = [(link, to) for link in self.world.links for to in (0, 1) if link.lanes[to].pieces]
            if not found:
                break
            for link, to in found:
                pieces = link.lanes[to].pieces
                data = b"".join(pieces)
                pieces.clear()
                self.world.put(link, to, data)
            self.world.settle()
        for link in [link for link in self.world.links if None in link.ends]:
            self.world.hang_up(link)

    def pass_one(self) -> None:
        """One piece passes, perhaps in two parts."""
        if (found := self.lane()) is not None:
            link, to, lane = found
            piece = lane.pieces.popleft()
            middle = self.choices.below(len(piece) + 1)
            self.world.put(link, to, piece[:middle])
            self.world.put(link, to, piece[middle:])

    def pass_part(self) -> None:
        """A piece begins to pass; the rest waits."""
        if (found := self.lane()) is not None:
            link, to, lane = found
            piece = lane.pieces[0]
            middle = self.choices.below(max(1, len(piece)))
            lane.pieces[0] = piece[middle:]
            self.world.put(link, to, piece[:middle])

    def drop(self) -> None:
        """A piece vanishes."""
        if (found := self.lane()) is not None:
            found[2].pieces.popleft()

    def double(self) -> None:
        """A piece comes twice."""
        if (found := self.lane()) is not None:
            found[2].pieces.appendleft(found[2].pieces[0])

    def reorder(self) -> None:
        """A piece comes first that should come later."""
        if (found := self.lane()) is not None:
            found[2].pieces.rotate(1 + self.choices.below(3))

    def alter(self) -> None:
        """A piece gets other bytes, perhaps another length."""
        if (found := self.lane()) is not None:
            piece = bytearray(found[2].pieces[0])
            if piece:
                at = self.choices.below(len(piece))
                piece[at : at + self.choices.below(4)] = self.choices.take(1 + self.choices.below(4))
                found[2].pieces[0] = bytes(piece)

    def truncate(self) -> None:
        """A piece loses its end, and its length says so or not."""
        if (found := self.lane()) is not None:
            piece = found[2].pieces[0]
            piece = piece[: self.choices.below(len(piece) + 1)]
            if len(piece) >= 2 and self.choices.below(2):
                piece = (len(piece) - 2).to_bytes(2, "big") + piece[2:]
            found[2].pieces[0] = piece

    def inject(self) -> None:
        """Bytes that nobody has sent."""
        if self.world.links:
            link, to = self.choices.of(self.world.links), self.choices.below(2)
            data = self.choices.take(self.choices.below(64))
            if self.choices.below(2):
                data = len(data).to_bytes(2, "big") + data
            repeat = self.choices.of((1, 1, 1, 100, 20_000))
            self.world.put(link, to, data * repeat)

    def replay(self) -> None:
        """A piece of any connection comes (again) in any other."""
        if self.world.links and self.world.recorded:
            link, to = self.choices.of(self.world.links), self.choices.below(2)
            begin = self.choices.below(len(self.world.recorded))
            for piece in self.world.recorded[begin : begin + 1 + self.choices.below(4)]:
                if self.choices.below(2):
                    link.lanes[to].pieces.append(piece)
                else:
                    self.world.put(link, to, piece)

    def cut(self) -> None:
        """A connection breaks."""
        if self.world.links:
            self.world.hang_up(self.choices.of(self.world.links))

    def dial(self) -> None:
        """The attacker connects to a node."""
        if len(self.world.links) < MAX_LINKS:
            self.world.open_link(None, self.choices.of(list(self.world.nodes.values())))

    def divert(self) -> None:
        """The attacker will answer the next dial."""
        self.world.divert = True

    def wait(self) -> None:
        """Time passes."""
        self.world.run(self.choices.of(PAUSES))

    def toggle(self) -> None:
        """A kernel stops taking, or goes on."""
        node = self.choices.of(self.nodes())
        node.taking = not node.taking
        while node.taking and node.untaken:
            node.network.taken(node.untaken.pop(self.choices.below(len(node.untaken))), self.world.now)

    def restart(self) -> None:
        """A node crashes and comes back at once."""
        if self.restarts:
            node = self.choices.of(self.nodes())
            self.world.crash(node)
            self.start(node.name)

    # --- what has to hold ---

    def check(self) -> None:
        """What arrived since the last time is true, new and in order; and memory is bounded."""
        for node in self.lives:
            fresh = node.of(Received)[self.checked.get(id(node), 0) :]
            self.checked[id(node)] = self.checked.get(id(node), 0) + len(fresh)
            for event in fresh:
                assert isinstance(event, Received)
                self._check_message(node, event)
        for node in self.nodes():
            untaken = {id(receipt) for receipt in node.untaken}
            waiting = {
                each.header for each in node.of(Received) if isinstance(each, Received) and id(each.receipt) in untaken
            }
            (sender,) = (each for each in self.nodes() if each is not node)
            assert not waiting & set(sender.delivered()), "told of a delivery to a kernel that has not taken"
        for node in self.world.nodes.values():
            check_memory(node.network, len(self.world.links) + 1)

    def _check_message(self, node: Node, event: Received) -> None:
        sender, target, stream, blob = self.sent[event.header]
        assert (event.node, node.name) == (sender.name, target), "a message from or to somebody else"
        assert (None if event.blob is None else bytes(event.blob)) == blob, "an altered blob"
        assert event.header not in self.arrived, "a message came twice"
        self.arrived.add(event.header)
        key = (id(sender), id(node), stream)
        assert self.last.get(key, -1) < int(event.header), "a message out of order"
        self.last[key] = int(event.header)

    def finish(self) -> None:
        """The attacker is gone: everything ends, and new messages pass."""
        world = self.world
        self.pass_all()
        world.present = False
        world.divert = False
        for link in list(world.links):
            for to in (0, 1):
                world.put(link, to, b"".join(link.lanes[to].pieces))
                link.lanes[to].pieces.clear()
        for link in [link for link in world.links if None in link.ends]:
            world.hang_up(link)
        world.run(60.0)
        for node in world.nodes.values():
            node.take_all(world.now)
        world.run(60.0)
        self.check()
        for node in self.nodes():
            self._check_ends(node)
        for node in self.nodes():
            (other,) = (each for each in self.nodes() if each is not node)
            world.post(node, other.name, b"after", seconds=5.0)
            assert node.delivered()[-1:] == [b"after"], "no message passes any more"
            assert other.headers()[-1:] == [b"after"]
            assert other.network.statistics()["incoming_bytes"] == 0

    def _check_ends(self, node: Node) -> None:
        mine = [header for header, (sender, *_) in self.sent.items() if sender is node]
        outcomes = [*node.delivered(), *(token for token, _ in node.failed())]
        assert sorted(map(repr, outcomes)) == sorted(map(repr, mine)), "a message without one end"
        assert set(node.delivered()) <= self.arrived, "told of a delivery that never was"
        assert node.network.statistics()["outgoing_messages"] == 0


_STEPS: tuple[Callable[[Attack], None], ...] = (
    *(
        Attack.pass_all,
        Attack.pass_all,
        Attack.pass_all,
        Attack.pass_all,
        Attack.send,
        Attack.pass_one,
        Attack.pass_one,
        Attack.pass_part,
        Attack.drop,
        Attack.double,
    ),
    *(Attack.reorder, Attack.alter, Attack.truncate, Attack.inject, Attack.replay, Attack.cut, Attack.dial),
    *(Attack.divert, Attack.wait, Attack.toggle, Attack.restart),
)


def check_memory(network: Network, connections: int) -> None:
    """What a network holds for its peers, counted by hand, is bounded by its credit and its connections."""
    assert network.statistics()["connections"] <= connections, "connections that nobody has"
    for connection in network._switchboard.all():
        if connection.partner is not None:
            assert connection.raw_bytes <= RELAY_BYTES + MAX_STEP_BYTES, f"{connection} keeps too much of its partner's"
            continue
        held = sum(map(sys.getsizeof, connection.held)) + 8 * len(connection.held)
        unwritten = connection.control_bytes + sum(map(len, connection._raw))
        assert connection.splitter.held + held + unwritten <= CONNECTION_BYTES, f"{connection} holds too much"
    for session in network._sessions.table.all():
        inbox = session.inbox
        most = max([CONFIG.credit_bytes, *(item.cost for item in inbox._partial.values())])
        assert inbox.cost <= most + max(inbox._untaken.values(), default=0), f"{session} has more than its credit"
        begun = len(inbox._partial) + len(inbox._untaken) + len(inbox._acks)
        assert begun <= CONFIG.credit_messages, "acknowledgements that nobody reads"
        for item in inbox._partial.values():
            assert len(item.blob) <= max(FIRST_ALLOCATION_BYTES, 2 * item.filled), "memory on the peer's word"
            assert len(item.header) <= item.cost - MESSAGE_OVERHEAD_BYTES


def attack(data: bytes) -> None:
    """One run; the first byte decides whether nodes restart, and how they know each other."""
    kind = data[0] if data else 0
    Attack(data[1:], restarts=bool(kind & 1), registrar=bool(kind & 2), routed=bool(kind & 4)).run()


def _script(kind: int, *steps: tuple[Callable[[Attack], None], bytes]) -> bytes:
    """The input that takes these steps, each with the decisions that follow it."""
    first = bytes(3 * FIRST_MESSAGES)
    return bytes([kind]) + first + b"".join(bytes([_STEPS.index(step)]) + decisions for step, decisions in steps)


_PASS, _LARGE, _WAIT = (Attack.pass_all, b""), (Attack.send, b"\0\0\5"), (Attack.wait, b"\3")
_BREAK = ((Attack.cut, b"\0"), _WAIT, _PASS, _WAIT, _PASS)
SEEDS = (
    _script(0, _PASS, _LARGE, (Attack.pass_one, b"\0" + (30_000).to_bytes(3, "little")), *_BREAK),
    _script(
        0, _PASS, (Attack.toggle, b"\1"), _LARGE, (Attack.send, b"\0\1\1"), _PASS, *_BREAK, (Attack.toggle, b"\1\0\0")
    ),
    _script(0, _PASS, _LARGE, (Attack.drop, b"\0"), _LARGE, _PASS, *_BREAK),
    _script(1, _PASS, _LARGE, (Attack.pass_one, b"\0\0\0\0"), (Attack.restart, b"\1"), _WAIT, _PASS, *_BREAK),
    _script(1, _PASS, (Attack.toggle, b"\1"), _LARGE, _PASS, (Attack.restart, b"\0"), _LARGE, _PASS, *_BREAK),
    _script(2, _PASS, _WAIT, _PASS, _LARGE, (Attack.double, b"\0"), _PASS, *_BREAK),
    _script(4, _PASS, _WAIT, _PASS, _LARGE, _PASS, (Attack.pass_one, b"\0\0\0\0"), *_BREAK),
    *(bytes([kind]) + bytes(range(40)) for kind in range(8)),
)
"""Where the search begins: a message that is there in part, one that is not taken, pieces that are lost, a crash."""
