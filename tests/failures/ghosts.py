"""Peers made by hand, on real sockets: names in the registrar behind which there is no node, or one that is not right.

They run in a thread of their own, with the net's real driver.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import trio

from net.directory import Endpoint, Genesis, RegistrarDirectory
from net.driver import Driver
from net.events import Close, Dial, NetEvent, Registered, Writable
from net.handshake import VERSION
from net.identity import Identity
from net.peers import Network, NetworkConfig
from net.tcp import TcpTransport

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
                await _Peer(identity, self._genesis, config, nursery).registered.wait()
                nursery.cancel_scope.cancel()

    async def _haunt(self, name: str, right_key: bool, version: int) -> None:
        listener = await TcpTransport().listen(HOST, 0)
        identity = Identity(name, os.urandom(32))
        await self._register(identity, HOST, listener.port)
        answers = identity if right_key else Identity(name, os.urandom(32))
        peer = _Peer(answers, self._genesis, NetworkConfig(version=version), self._nursery)
        self._nursery.start_soon(peer.driver.serve, listener)


class _Peer:
    """A network without a node."""

    def __init__(self, identity: Identity, genesis: Genesis, config: NetworkConfig, nursery: trio.Nursery) -> None:
        self.network = Network(identity, RegistrarDirectory(genesis), config, os.urandom, trio.current_time())
        self.driver = Driver(self.network, TcpTransport(), nursery, self._turn, trio.current_time)
        self.registered = trio.Event()
        self._changed = trio.Event()
        nursery.start_soon(self._keep_time)
        self._turn()

    def _turn(self) -> None:
        while (event := self.network.next_event()) is not None:
            self._handle(event)
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    def _handle(self, event: NetEvent) -> None:
        if isinstance(event, Dial | Close | Writable):
            self.driver.handle(event)
        elif isinstance(event, Registered):
            self.registered.set()

    async def _keep_time(self) -> None:
        while True:
            deadline = self.network.next_deadline()
            with trio.move_on_at(deadline if deadline is not None else float("inf")):
                await self._changed.wait()
            if (due := self.network.next_deadline()) is not None and due <= trio.current_time():
                self.network.on_timer(trio.current_time())
                self._turn()


@contextmanager
def run_ghosts(genesis: Genesis) -> Iterator[Ghosts]:
    """Until the end of this; they register with the registrar that `genesis` names."""
    ready: Future[tuple[Ghosts, trio.CancelScope]] = Future()

    async def main() -> None:
        token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            ready.set_result((Ghosts(genesis, nursery, token), nursery.cancel_scope))
            await trio.sleep_forever()

    thread = threading.Thread(target=trio.run, args=(main,), name="ghosts")
    thread.start()
    ghosts, scope = ready.result()
    try:
        yield ghosts
    finally:
        ghosts._token.run_sync_soon(scope.cancel)
        thread.join()
