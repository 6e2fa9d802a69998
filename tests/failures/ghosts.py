"""Peers made by hand, on real sockets: names in the registrar behind which there is no node, or one that is not right.

They run in a thread of their own, with the net's real driver.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from net.base.frames import VERSION
from net.contract.events import Registered
from net.io.tcp import TcpTransport
from net.names.directory import Endpoint, Genesis, RegistrarDirectory
from net.names.identity import Identity
from net.peering.network import NetworkConfig
from testnet.real.links.thread import run_in_thread
from tests.net.owner import Owner

HOST = "127.0.0.1"
_PATIENCE = 20.0
"""Seconds for a registration."""


class Ghosts:
    """All of them."""

    def __init__(self, genesis: Genesis, nursery: trio.Nursery, token: trio.lowlevel.TrioToken) -> None:
        self._genesis = genesis
        self._nursery = nursery
        self._token = token

    def register(self, name: str, port: int, host: str = HOST) -> None:
        """Give the name to a key that is not kept, and say that its node is reachable there."""
        trio.from_thread.run(self._register, Identity(name, os.urandom(32)), host, port, trio_token=self._token)

    def haunt(self, name: str, *, right_key: bool = True, version: int = VERSION) -> None:
        """Register the name, and answer there with its key or another one, in that version of the protocol."""
        trio.from_thread.run(self._haunt, name, right_key, version, trio_token=self._token)

    async def _register(self, identity: Identity, host: str, port: int) -> None:
        with trio.fail_after(_PATIENCE):
            async with trio.open_nursery() as nursery:
                offset = time.time() - trio.current_time()
                endpoints = (Endpoint(host, port),)
                config = NetworkConfig(endpoints=endpoints, register=True, wall_clock_offset=offset)
                owner = Owner(identity, RegistrarDirectory(self._genesis), config, nursery)
                owner.turn()
                await owner.until(Registered)
                nursery.cancel_scope.cancel()

    async def _haunt(self, name: str, right_key: bool, version: int) -> None:
        listener = await TcpTransport().listen(HOST, 0)
        identity = Identity(name, os.urandom(32))
        await self._register(identity, HOST, listener.port)
        answers = identity if right_key else Identity(name, os.urandom(32))
        peer = Owner(answers, RegistrarDirectory(self._genesis), NetworkConfig(version=version), self._nursery)
        self._nursery.start_soon(peer.driver.serve, listener)


@contextmanager
def run_ghosts(genesis: Genesis) -> Iterator[Ghosts]:
    """Until the end of this; they register with the registrar that `genesis` names."""
    with run_in_thread(_open_nursery) as (nursery, token):
        yield Ghosts(genesis, nursery, token)


@asynccontextmanager
async def _open_nursery() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()
