"""Networks without a node, with the real driver on real sockets."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import trio

from net.contract.events import Close, Dial, Hold, NetEvent, Outgoing, Received, Unforeseen, Writable
from net.io.driver import Driver
from net.io.tcp import TcpTransport
from net.names.directory import NEVER, Directory, Endpoint, NameRecord, StaticDirectory, sign_record
from net.names.identity import Identity
from net.peering.network import Network, NetworkConfig
from tests.net.world import entropy_of, identity_of


class Owner:
    """What a node does for its network: drain events, keep the timer."""

    def __init__(
        self,
        identity: Identity,
        directory: Directory,
        config: NetworkConfig,
        nursery: trio.Nursery,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.network = Network(identity, directory, config, entropy, trio.current_time())
        self.driver = Driver(self.network, TcpTransport(), nursery, self.turn, trio.current_time)
        self.events: list[NetEvent] = []
        self.tolerant = False
        """Whether our own code may fail."""
        self.changed = trio.Event()
        nursery.start_soon(self.keep_time)

    def turn(self) -> None:
        """Drain the network's events."""
        while (event := self.network.next_event()) is not None:
            if isinstance(event, Dial | Close | Writable | Hold):
                self.driver.handle(event)
            else:
                self.events.append(event)
                if isinstance(event, Unforeseen):
                    assert self.tolerant, "\n".join(event.traceback)
                if isinstance(event, Received):
                    self.network.taken(event.receipt, trio.current_time())
        changed, self.changed = self.changed, trio.Event()
        changed.set()

    async def keep_time(self) -> None:
        """Call on_timer when it is due."""
        while True:
            deadline = self.network.next_deadline()
            with trio.move_on_at(deadline if deadline is not None else float("inf")):
                await self.changed.wait()
            if (deadline := self.network.next_deadline()) is not None and deadline <= trio.current_time():
                self.network.on_timer(trio.current_time())
                self.turn()

    def send(self, to: str, header: bytes, blob: bytes | None = None, stream: bytes = b"s") -> None:
        """Send a message; its token is its header."""
        paired = self.network.tells_pairs(to)
        self.network.send(Outgoing(to, stream, header, blob, header, paired=paired), trio.current_time())
        self.turn()

    async def until(self, kind: type, count: int = 1) -> list[NetEvent]:
        """The events of this kind, once there are so many."""
        while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
            await self.changed.wait()
        return found


def owner_of(name: str, places: Mapping[str, Endpoint | str], nursery: trio.Nursery, config: NetworkConfig) -> Owner:
    """`places`: of each node that there is where it is, or the router that it is behind."""
    records = {}
    for other, place in places.items():
        identity = identity_of(other)
        endpoints, routers = ((), (place,)) if isinstance(place, str) else ((place,), ())
        record = NameRecord(other, identity.public_key, endpoints, routers, 1, 0, NEVER)
        records[other] = sign_record(record, identity)
    return Owner(identity_of(name), StaticDirectory(records), config, nursery, entropy_of(name))
