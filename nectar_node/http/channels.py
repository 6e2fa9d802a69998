"""The WebSockets of browsers: whose they are, what waits on them in either direction, and how many there may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from kernel.contract.address import PackageId, ProcessId
from kernel.contract.message import ReplyTo
from nectar_node.base.descriptors import MAX_SOCKETS
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.contract.package_bytes import PackageBytes

MAX_UNSENT_BYTES = 32 << 20
"""Bytes that wait for one browser: what a process may send at once. One larger message may wait alone."""
MAX_UNSENT_FRAMES = 8192
"""Messages that wait for one browser: the answers to twice what an inbox holds."""
MAX_UNSENT_BYTES_OF_ONE = 64 << 20
"""Bytes that wait for the browsers of one package."""
MAX_UNSENT_BYTES_OF_ALL = 256 << 20
"""Bytes that wait for all browsers."""
FRAME_BYTES = 256
"""Memory of a message that waits, beside its bytes."""
MAX_ASKED = 1024
"""Requests of a process that one extension has not answered; the oldest goes."""
LEFT_FOR_OTHERS = 1024
"""WebSockets, of those that a node may have, that no package has alone; of few, three eighths."""
PING_SECONDS = 30
"""Seconds between two pings of the node; a browser that answers none has gone. Proxies close what is idle for 60 s."""


class SocketChannel:
    """One WebSocket, which a process knows by its `id`."""

    __slots__ = (
        *("address", "asked", "ended", "extension", "heard", "id", "ping_behind", "ping_late", "pinged", "process"),
        *("reads", "server", "session", "token", "unsent_bytes", "unsent_frames"),
    )

    def __init__(
        self, token: object, id: int, process: ProcessId, server: ProcessId, extension: bool, address: str, session: str
    ) -> None:
        self.token = token
        self.id = id
        self.process = process
        self.server = server
        """The name of the HTTP server under which the process has bound the path."""
        self.extension = extension
        """Whether the other end is a program that works for the process."""
        self.address = address
        """The IP address of the other end; empty: this machine."""
        self.session = session
        """The cookie of whoever has signed in; empty: nobody had to."""
        self.ended = False
        """Whether the connection has ended, and the process has yet to learn of it."""
        self.reads = False
        """Whether the next message of the browser is wanted: none of it waits for the process."""
        self.heard = True
        """Whether something has come since the last ping."""
        self.pinged = False
        """Whether the node has sent a ping since it reads."""
        self.ping_behind = 0
        """Messages that its connection has yet to take until it has taken the ping."""
        self.ping_late = False
        """Whether something was before the ping when its answer was last looked for, so that it may just have left."""
        self.unsent_bytes = 0
        """Memory of what the connection has not taken."""
        self.unsent_frames = 0
        self.asked: dict[int, ReplyTo] | None = None
        """Whom the answers of an extension are for, by the ids of the process's requests, the oldest first."""

    def ask(self, id: int, reply_to: ReplyTo) -> None:
        """Note a request of the process that the extension is to answer."""
        if self.asked is None:
            self.asked = {}
        self.asked[id] = reply_to
        if len(self.asked) > MAX_ASKED:
            del self.asked[next(iter(self.asked))]

    def answered(self, id: int) -> ReplyTo | None:
        """Return whom an answer of the extension is for, once; None: nobody, as far as is known."""
        return None if self.asked is None else self.asked.pop(id, None)


class Channels:
    """All WebSockets."""

    def __init__(self, memory: MemoryBudget, capacity: int = MAX_SOCKETS) -> None:
        """`capacity`: how many there may be; what waits for them is in `memory`."""
        self._capacity = capacity
        self._of_one = max(capacity * 5 // 8, capacity - LEFT_FOR_OTHERS)
        """How many the processes of one package may have: the others have some in any case."""
        self._of_address = max(1, capacity // 16)
        """How many may come from one address that is not this machine's."""
        self.by_id: dict[int, SocketChannel] = {}
        self.by_token: dict[object, SocketChannel] = {}
        self._of: dict[ProcessId, dict[int, SocketChannel]] = {}
        self._packages: Counter[PackageId] = Counter()
        self._addresses: Counter[str] = Counter()
        self._unsent = PackageBytes(memory, MAX_UNSENT_BYTES_OF_ONE, MAX_UNSENT_BYTES_OF_ALL)
        self._rounds: tuple[dict[int, SocketChannel], ...] = tuple({} for _ in range(PING_SECONDS))
        """The channels in as many parts: each second one of them is looked after."""

    def __len__(self) -> int:
        return len(self.by_id)

    def refusal(self, process: ProcessId, address: str) -> str | None:
        """Return why there can be no further one for a process, from an address (empty: this machine), as a sentence;
        None: there can.
        """
        if len(self.by_id) >= self._capacity:
            return "The node has too many WebSockets."
        if self._packages[process.package_id] >= self._of_one:
            return "The process behind this page has too many WebSockets."
        if address and self._addresses[address] >= self._of_address:
            return "There are too many WebSockets from this address."
        return None

    def add(self, channel: SocketChannel) -> None:
        """Add a new one, whose id and token no other has."""
        self.by_id[channel.id] = self.by_token[channel.token] = channel
        self._of.setdefault(channel.process, {})[channel.id] = channel
        self._packages[channel.process.package_id] += 1
        if channel.address:
            self._addresses[channel.address] += 1
        self._rounds[channel.id % PING_SECONDS][channel.id] = channel

    def remove(self, channel: SocketChannel) -> None:
        """Forget one."""
        del self.by_id[channel.id]
        self.by_token.pop(channel.token, None)
        del self._rounds[channel.id % PING_SECONDS][channel.id]
        self.drop_unsent(channel)
        of = self._of[channel.process]
        del of[channel.id]
        if not of:
            del self._of[channel.process]
        _lower(self._packages, channel.process.package_id, 1)
        if channel.address:
            _lower(self._addresses, channel.address, 1)

    def of(self, process: ProcessId) -> tuple[SocketChannel, ...]:
        """Return those of a process."""
        return tuple(self._of.get(process, {}).values())

    def due(self, second: int) -> Iterable[SocketChannel]:
        """Return those that are to be looked after in that second."""
        return tuple(self._rounds[second % PING_SECONDS].values())

    # --- what waits for browsers ------------------------------------------------------------------------------------

    def may_send(self, channel: SocketChannel, size: int) -> bool:
        """Whether a message of `size` bytes may wait for a browser."""
        if channel.unsent_frames >= MAX_UNSENT_FRAMES:
            return False
        cost, package = size + FRAME_BYTES, channel.process.package_id
        if channel.unsent_frames and channel.unsent_bytes + cost > MAX_UNSENT_BYTES:
            return False
        return self._unsent.may_add(package, cost)

    def sends(self, channel: SocketChannel, size: int) -> None:
        """Count a message that waits for a browser from now on."""
        channel.unsent_frames += 1
        self._add_unsent(channel, size + FRAME_BYTES)

    def sent(self, channel: SocketChannel, size: int) -> None:
        """Count no longer a message that a browser's connection has taken."""
        if channel.unsent_frames:
            channel.unsent_frames -= 1
            self._add_unsent(channel, -(size + FRAME_BYTES))

    def drop_unsent(self, channel: SocketChannel) -> None:
        """Count no longer what waited for a browser, whose connection has ended."""
        channel.unsent_frames = 0
        self._add_unsent(channel, -channel.unsent_bytes)

    def _add_unsent(self, channel: SocketChannel, cost: int) -> None:
        channel.unsent_bytes += cost
        if cost > 0:
            self._unsent.add(channel.process.package_id, cost)
        else:
            self._unsent.remove(channel.process.package_id, -cost)


def _lower(counter: Counter[PackageId] | Counter[str], key: PackageId | str, by: int) -> None:
    """Lower a count, and forget it at zero."""
    counts: Counter[PackageId | str] = counter  # type: ignore[assignment]
    counts[key] -= by
    if not counts[key]:
        del counts[key]
