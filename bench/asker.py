"""A node that only asks its registrar for names: `python -m bench.asker FOLDER COUNT OUTSTANDING`.

It prints look-ups a second: for the names of `bench.lookups`, each once, over a real session; it verifies every record,
as all nodes do.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import trio

from bench.lookups import name_of
from nectar_node.contract.config import GenesisFile
from net.contract.events import Close, Dial, LookedUp, NetEvent, Registered, Writable
from net.io.driver import Driver
from net.io.tcp import TcpTransport
from net.names import directory
from net.names.directory import RegistrarDirectory
from net.names.identity import Identity
from net.peering.network import Network, NetworkConfig


class Asker:
    """One network and its driver; it ignores everything but connections and look-ups."""

    def __init__(self, known: directory.Genesis, nursery: trio.Nursery) -> None:
        identity = Identity(f"asker-{os.getpid()}.nec", os.urandom(32))
        config = NetworkConfig(register=True, wall_clock_offset=time.time() - trio.current_time())
        self.directory = RegistrarDirectory(known)
        self.network = Network(identity, self.directory, config, os.urandom, trio.current_time())
        self.registered = trio.Event()
        self.finished = trio.Event()
        self._driver = Driver(self.network, TcpTransport(), nursery, self.turn, trio.current_time)
        self._next = self._answered = self._count = 0

    def ask(self, count: int, outstanding: int) -> None:
        """Look up so many names, so many at once; `finished` tells when they are there."""
        self._count = count
        for _ in range(outstanding):
            self._ask_next()
        self.turn()

    def turn(self) -> None:
        """Drain the network's events."""
        while (event := self.network.next_event()) is not None:
            self._handle(event)

    def _handle(self, event: NetEvent) -> None:
        match event:
            case Dial() | Close() | Writable():
                self._driver.handle(event)
            case Registered():
                self.registered.set()
            case LookedUp(name):
                assert self.directory.signed(name) is not None, name
                self._answered += 1
                self._ask_next()
                if self._answered == self._count:
                    self.finished.set()

    def _ask_next(self) -> None:
        if self._next < self._count:
            self.network.look_up(name_of(self._next), trio.current_time())
            self._next += 1


async def main(*arguments: str) -> float:
    """Print look-ups a second."""
    folder, count, outstanding = arguments
    genesis = GenesisFile.load(Path(folder))
    known = directory.Genesis(genesis.registrar, genesis.public_key, genesis.host, genesis.port)
    async with trio.open_nursery() as nursery:
        asker = Asker(known, nursery)
        asker.turn()
        await asker.registered.wait()
        begin = time.perf_counter()
        asker.ask(int(count), int(outstanding))
        await asker.finished.wait()
        seconds = time.perf_counter() - begin
        nursery.cancel_scope.cancel()
    return int(count) / seconds


if __name__ == "__main__":
    print(trio.run(main, *sys.argv[1:]))
