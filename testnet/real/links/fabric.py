"""(trio) All links of a testnet: addresses tell who dials whom, and the faults what becomes of it."""

from __future__ import annotations

import itertools
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from functools import partial
from random import Random

import trio

from testnet.model.rule import LOSE, PASS, Answering, Dialing, Event, Fault, Judgement, Link, LinkFault, fresh
from testnet.model.where import Where
from testnet.real.links import sockets
from testnet.real.links.door import Door
from testnet.real.links.gateway import Far, FarDoor
from testnet.real.links.rules import Rules
from testnet.real.links.stream import Counts, ProxiedConnection
from testnet.real.nodes.addresses import NodePlace

_DROPPED_BYTES = 1 << 16
_GONE_LOOK_SECONDS = 0.5
"""Seconds between two checks whether a waiting dial has been given up: each costs a descriptor."""


class Links:
    """All links of a testnet; made by `open_links`."""

    def __init__(self, nursery: trio.Nursery, seed: int) -> None:
        """Listen and forward in `nursery`; the chance of each fault follows from `seed` and its number."""
        began = trio.current_time()
        self.counts: defaultdict[Link, Counts] = defaultdict(Counts)
        """Counts by link, in the order in which they were first used."""
        self._nursery = nursery
        self._seed = seed
        self._rules = Rules(lambda: trio.current_time() - began)
        self._doors: dict[str, Door] = {}
        """Doors by the node's name."""
        self._names: dict[str, str] = {}
        """Names of nodes by host."""
        self._open: set[ProxiedConnection] = set()
        self._numbers = itertools.count(1)
        self._last_fault = 0

    @property
    def open_connections(self) -> int:
        """Return the number of open connections."""
        return len(self._open)

    def add(self, name: str, place: NodePlace, far: Far | None = None) -> None:
        """Note that the node `name` is at `place`, or on another machine, which `far` knows, and may be dialed from now
        on. Raises OSError if that cannot be."""
        if name in self._doors:
            self._doors[name].occupy(place)
        else:
            enter = partial(self._let_in, name)
            self._doors[name] = (
                Door(name, place, self._rules, enter)
                if far is None
                else FarDoor(name, place, self._rules, enter, far, self._names)
            )
            self._nursery.start_soon(self._doors[name].serve)
        self._names[place.host] = name

    def apply(self, fault: Fault, number: int | None = None) -> int:
        """Begin `fault` on the links, if it concerns links, and return its number: this one, or the next one that is
        free."""
        number = self.reserve(number)
        if isinstance(fault, LinkFault):
            self._rules.add(number, fresh(fault), Random(f"{self._seed} {number}"))
            self._look()
        return number

    def reserve(self, number: int | None = None) -> int:
        """Return a number for a fault that is not applied here: this one, or the next one that is free."""
        number = self._last_fault + 1 if number is None else number
        self._last_fault = max(self._last_fault, number)
        return number

    def remove(self, number: int) -> None:
        """End the fault of that number."""
        self._rules.remove(number)
        self._look()

    def failed(self, number: int) -> str | None:
        """Return why that fault has failed, or None."""
        return self._rules.failed.get(number)

    def cut(self, where: Where) -> int:
        """Reset all connections of these links, and return how many."""
        found = [connection for connection in self._open if where.covers(connection.link)]
        for connection in found:
            self.counts[connection.link].resets += 1
            connection.cut()
        return len(found)

    def statistics(self) -> list[dict[str, str | int]]:
        """Return the counts of each link that has been used."""
        return [{"source": link.source, "target": link.target, **asdict(it)} for link, it in self.counts.items()]

    def _look(self) -> None:
        for door in self._doors.values():
            door.look()

    def _let_in(self, target: str, client: socket.socket, host: str) -> None:
        self._nursery.start_soon(self._forward, client, host, target)

    async def _forward(self, client: socket.socket, host: str, target: str) -> None:
        link = Link(self._names.get(host, host), target)
        try:
            server = await self._dial(client, host, link)
            if server is not None:
                await self._connect(ProxiedConnection(next(self._numbers), link, client, server))
        finally:
            sockets.close(client)

    async def _connect(self, connection: ProxiedConnection) -> None:
        try:
            if await self._allowed(connection.client, Answering(connection.link.back, 0.0)) is not None:
                await self._run(connection)
        finally:
            sockets.reset(connection.server)

    async def _run(self, connection: ProxiedConnection) -> None:
        self.counts[connection.link].connections += 1
        self._open.add(connection)
        try:
            await connection.run(self._rules, self.counts)
        finally:
            self._open.discard(connection)

    async def _dial(self, client: socket.socket, host: str, link: Link) -> socket.socket | None:
        """Return the connection to the target, or None if there is none; `client` knows by then, if it is to know."""
        changes = self._rules.changes
        dialed = await self._allowed(client, Dialing(link, 0.0))
        if dialed is None:
            return None
        has_waited = dialed.delay or self._rules.changes != changes
        if has_waited and sockets.has_gone(client):
            return None
        door = self._doors.get(dialed.host or link.target)
        if door is not None:
            with suppress(OSError):
                return await door.dial(_as_source(host))
        sockets.reset(client)
        return None

    async def _allowed(self, client: socket.socket, event: Event) -> Judgement | None:
        """Wait until `event` happens and return the verdict, or None if it never happens or `client` has given up."""
        judgement = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_gone, client, nursery.cancel_scope)
            judgement = await self._happens(client, event)
            nursery.cancel_scope.cancel()
        return judgement

    async def _happens(self, client: socket.socket, event: Event) -> Judgement | None:
        judgement = await self._rules.decide(event)
        if judgement.verdict is LOSE:
            await _ignore(client)
            return None
        await self._rules.late(event.link, trio.current_time(), judgement.delays)
        if judgement.verdict is not PASS:
            self.counts[event.link].resets += 1
            sockets.reset(client)
            return None
        return judgement


def _as_source(host: str) -> str | None:
    """Return the source address of a dial. On loopback the target sees the host that has dialed; elsewhere nobody can
    take another's address."""
    return host if host.startswith("127.") else None


async def _until_gone(client: socket.socket, waiting: trio.CancelScope) -> None:
    gone = False
    while not gone:
        await trio.sleep(_GONE_LOOK_SECONDS)
        gone = sockets.has_gone(client)
    waiting.cancel()


async def _ignore(client: socket.socket) -> None:
    """Read and drop what the client sends, until it gives up."""
    dropped = memoryview(bytearray(_DROPPED_BYTES))
    with suppress(OSError):
        while await sockets.receive_into(client, dropped):
            pass


@asynccontextmanager
async def open_links(seed: int = 0) -> AsyncIterator[Links]:
    """Yield links without a node."""
    async with trio.open_nursery() as nursery:
        links = Links(nursery, seed)
        yield links
        nursery.cancel_scope.cancel()
