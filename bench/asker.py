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

from bench.crowd import Member
from bench.lookups import name_of
from nectar_node.contract.config import GenesisFile
from net.contract.config import NetworkConfig
from net.contract.events import LookedUp, NetEvent, Registered
from net.names.directory import Genesis, RegistrarDirectory
from net.names.identity import Identity


class Asker:
    """A node that ignores everything but connections and look-ups."""

    def __init__(self, known: Genesis, nursery: trio.Nursery) -> None:
        identity = Identity(f"asker-{os.getpid()}.nec", os.urandom(32))
        config = NetworkConfig(register=True, wall_clock_offset=time.time() - trio.current_time())
        self.directory = RegistrarDirectory(known)
        self.member = Member(identity, self.directory, nursery, self._told, config)
        self.registered = trio.Event()
        self.finished = trio.Event()
        self._next = self._answered = self._count = 0

    def ask(self, count: int, outstanding: int) -> None:
        """Look up so many names, so many at once; `finished` tells when they are there."""
        self._count = count
        for _ in range(outstanding):
            self._ask_next()
        self.member.turn()

    def _told(self, event: NetEvent) -> None:
        match event:
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
            self.member.network.look_up(name_of(self._next), trio.current_time())
            self._next += 1


async def main(*arguments: str) -> float:
    """Print look-ups a second."""
    folder, count, outstanding = arguments
    known = GenesisFile.load(Path(folder)).genesis()
    async with trio.open_nursery() as nursery:
        asker = Asker(known, nursery)
        asker.member.turn()
        await asker.registered.wait()
        begin = time.perf_counter()
        asker.ask(int(count), int(outstanding))
        await asker.finished.wait()
        seconds = time.perf_counter() - begin
        nursery.cancel_scope.cancel()
    return int(count) / seconds


if __name__ == "__main__":
    print(trio.run(main, *sys.argv[1:]))
