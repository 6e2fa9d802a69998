"""Two nodes' places with links between them, and faults that say what a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import trio
import trio.lowlevel
import trio.testing

from testnet.model.rule import PASS, Event, Verdict
from testnet.model.where import EVERYWHERE, Where
from testnet.real.links import sockets
from testnet.real.links.fabric import Links, open_links
from testnet.real.nodes.addresses import LoopbackNetwork, NodePlace

A, B = "a.nec", "b.nec"
TO_B = Where(A, B, both=False)
LIMIT = 60.0
"""Seconds after which something is taken to hang; no test waits for it to pass."""


@dataclass(frozen=True, slots=True)
class Says:
    """On the events of one kind, what a test wants."""

    kind: type[Event]
    verdict: Verdict | Callable[[Event], Verdict]
    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        if not isinstance(event, self.kind) or not self.where.covers(event.link):
            return PASS
        return self.verdict(event) if callable(self.verdict) else self.verdict

    def words(self) -> str:
        return "as the test says"


@dataclass
class Rig:
    """Both nodes' places, and what B has got."""

    links: Links
    a: NodePlace
    b: NodePlace
    got: bytearray
    accepted: list[trio.SocketStream]
    ended: trio.Event
    """Set when the first connection to B has ended, either way."""
    broken: bool = False
    """Whether it was by a reset."""

    async def dial(self, place: NodePlace | None = None) -> trio.SocketStream:
        """A connection from A to B, or to another node's place."""
        connection = await sockets.connect((place or self.b).front, self.a.host)
        return trio.SocketStream(trio.socket.from_stdlib_socket(connection))

    async def dial_until_it_is_there(self, place: NodePlace) -> None:
        """Until a dial is not refused any more."""
        while True:
            with suppress(ConnectionRefusedError):
                await (await self.dial(place)).aclose()
                return
            await trio.lowlevel.checkpoint()

    async def receive(self, count: int) -> None:
        """Wait until B has got `count` bytes in all."""
        with trio.fail_after(LIMIT):
            while len(self.got) < count:
                await trio.lowlevel.checkpoint()


@asynccontextmanager
async def open_rig(folder: Path) -> AsyncIterator[Rig]:
    """B sends back what it gets, until its peer has said everything."""
    network = LoopbackNetwork.of(folder)
    async with open_links() as links, trio.open_nursery() as nursery:
        rig = Rig(links, network.place(0), network.place(1), bytearray(), [], trio.Event())
        links.add(A, rig.a)
        links.add(B, rig.b)

        async def echo(stream: trio.SocketStream) -> None:
            rig.accepted.append(stream)
            try:
                async for data in stream:
                    rig.got += data
                    await stream.send_all(data)
                await stream.send_eof()
            except trio.BrokenResourceError:
                rig.broken = True
            rig.ended.set()

        async def serve() -> None:
            with suppress(trio.ClosedResourceError):
                await trio.serve_tcp(echo, rig.b.port, host=rig.b.host)

        nursery.start_soon(serve)
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(LIMIT):
            yield rig
        nursery.cancel_scope.cancel()


async def receive_all(stream: trio.SocketStream) -> bytes:
    """Until its end."""
    return b"".join([data async for data in stream])
