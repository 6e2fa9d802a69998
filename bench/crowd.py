"""Networks over TCP with nothing above them: many in one process, that dial one in another.

`python -m bench.crowd COUNT` is the one that is dialed: it says on which port it listens, then answers each line of its
standard input with a line of JSON about itself.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import trio

from bench.measure import resident_kib
from net.contract.config import NetworkConfig
from net.contract.events import Close, Delivered, Dial, Failed, NetEvent, Outgoing, Received, Writable
from net.io.driver import Driver
from net.io.tcp import TcpTransport
from net.names.directory import (
    NEVER,
    Endpoint,
    NameRecord,
    RegistrarDirectory,
    SignedRecord,
    StaticDirectory,
    sign_record,
)
from net.names.identity import Identity
from net.peering.network import Network

SERVER = "server.nec"


@lru_cache(None)
def identity_of(name: str) -> Identity:
    """Return the identity of the server, or of a node of the crowd."""
    return Identity(name, blake2b(name.encode(), digest_size=32).digest())


def member(index: int) -> str:
    """Return the name of a node of the crowd."""
    return f"n{index}.nec"


def directory(count: int, port: int) -> StaticDirectory:
    """Return the directory of the server, which listens at `port`, and of `count` nodes that listen nowhere."""
    names: dict[str, tuple[Endpoint, ...]] = {member(index): () for index in range(count)}
    names[SERVER] = (Endpoint("127.0.0.1", port),)
    return StaticDirectory({name: _record(name, endpoints) for name, endpoints in names.items()})


def _record(name: str, endpoints: tuple[Endpoint, ...]) -> SignedRecord:
    identity = identity_of(name)
    return sign_record(NameRecord(name, identity.public_key, endpoints, (), 1, 0, NEVER), identity)


class Member:
    """A network, its driver, and what a node does for them."""

    def __init__(
        self,
        identity: Identity,
        known: StaticDirectory | RegistrarDirectory,
        nursery: trio.Nursery,
        told: Callable[[NetEvent], None],
        config: NetworkConfig | None = None,
    ) -> None:
        """`told` gets all events that are not the driver's."""
        self.network = Network(identity, known, config or NetworkConfig(), os.urandom, trio.current_time())
        self.driver = Driver(self.network, TcpTransport(), nursery, self.turn, trio.current_time)
        self._told = told
        self._changed = trio.Event()
        nursery.start_soon(self._keep_time)

    def turn(self) -> None:
        """Drain the network's events."""
        while (event := self.network.next_event()) is not None:
            if isinstance(event, Dial | Close | Writable):
                self.driver.handle(event)
            else:
                if isinstance(event, Received):
                    self.network.taken(event.receipt, trio.current_time())
                self._told(event)
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    def send(self, header: bytes) -> None:
        """Send a message to the server."""
        self.network.send(Outgoing(SERVER, b"s", header, None, header), trio.current_time())
        self.turn()

    async def _keep_time(self) -> None:
        while True:
            deadline = self.network.next_deadline()
            with trio.move_on_at(deadline if deadline is not None else float("inf")):
                await self._changed.wait()
            if (deadline := self.network.next_deadline()) is not None and deadline <= trio.current_time():
                self.network.on_timer(trio.current_time())
                self.turn()


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The outcome of a crowd's messages, one from each node."""

    seconds: float
    """Seconds until the last was acknowledged."""
    failed: int
    """Messages that failed."""
    members: Sequence[Member]
    """The nodes, which are connected now."""


async def arrive(known: StaticDirectory, count: int, nursery: trio.Nursery, *, first: int = 0) -> Arrivals:
    """Let `count` nodes dial the server at once, each with a message. `first`: the number of the first."""
    outcomes: list[NetEvent] = []
    done = trio.Event()

    def told(event: NetEvent) -> None:
        if isinstance(event, Delivered | Failed):
            outcomes.append(event)
            if len(outcomes) == count:
                done.set()

    members = [Member(identity_of(member(first + index)), known, nursery, told) for index in range(count)]
    begin = trio.current_time()
    for index, each in enumerate(members):
        each.send(b"%d" % index)
    await done.wait()
    return Arrivals(trio.current_time() - begin, sum(isinstance(event, Failed) for event in outcomes), members)


class Server:
    """The process that is dialed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self.port = int(process.stdout.readline())

    async def report(self) -> dict[str, float]:
        """Return its network's statistics, the `messages` that it has received, their `senders`, `kib` of resident
        memory, and the `seconds` of processor time that it has used but for reports."""
        return await trio.to_thread.run_sync(self._report)

    def _report(self) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("report\n")
        self._process.stdin.flush()
        found: dict[str, float] = json.loads(self._process.stdout.readline())
        return found


@contextmanager
def server(count: int) -> Iterator[Server]:
    """Yield a server that knows a crowd of so many."""
    command = [sys.executable, "-m", "bench.crowd", str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Server(process)
    finally:
        process.kill()
        process.wait()


async def _serve(count: int) -> None:
    messages: list[tuple[str, bytes]] = []

    def told(event: NetEvent) -> None:
        if isinstance(event, Received):
            messages.append((event.node, bytes(event.header)))

    listener = await TcpTransport().listen("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        network = Member(identity_of(SERVER), directory(count, listener.port), nursery, told)
        nursery.start_soon(network.driver.serve, listener)
        print(listener.port, flush=True)
        reporting = 0.0
        while await trio.to_thread.run_sync(sys.stdin.readline):
            begin = time.process_time()
            gc.collect()
            told_so_far = {"messages": len(messages), "senders": len({node for node, _ in messages})}
            used = {"kib": resident_kib(), "seconds": begin - reporting}
            print(json.dumps({**network.network.statistics(), **told_so_far, **used}), flush=True)
            reporting += time.process_time() - begin


if __name__ == "__main__":
    trio.run(_serve, int(sys.argv[1]))
