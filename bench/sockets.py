"""`sockets`: ten thousand idle WebSockets of one process on one node, what an echo takes beside them, and what is left.

The browsers are in the process of the bench, since both ends together need more descriptors than one process often may
have. They answer the node's pings, of which ten thousand WebSockets get 333 a second; so idle is not without work.
"""

from __future__ import annotations

import gc
import json
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from bench.http import BASE, NODE, next_message, open_socket, timed_echo
from bench.lab import folder
from bench.measure import Reference, Result, Skipped, absolute, p99, resident_kib
from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from testnet.model.packages import find_package
from testnet.real.local import LocalTestnet

SOCKETS = 10_000
DESCRIPTORS = 20_000
"""Descriptors with which a node has room for so many of one package."""
AT_ONCE = 16
"""WebSockets that are being opened at a time: fewer than the connections that a node accepts beside WebSockets."""
ECHOES = 1000
PAUSE_SECONDS = 0.005
"""Seconds between two of them: they meet all phases of the pings."""
ROUNDS = 2
"""The second finds the memory of the first; what it needs besides, that has left."""
KIB_GOAL, LEFT_GOAL = 40.0, 1.0
MORE_GOAL = 5.0
"""Milliseconds that the 99th percentile may be higher beside them."""
CLOSE_GOAL = 10.0
"""Seconds until a node is rid of all."""
LIMIT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class _Round:
    """What one round has shown."""

    opened: float
    """Seconds until all were open."""
    kib: float
    """KiB that each takes of the node's memory."""
    alone: float
    """The 99th percentile of an echo before them, in milliseconds."""
    beside: float
    """The same beside them."""
    closed: float
    """Seconds until the node was rid of all."""
    most: int
    """KiB of the node with all of them open."""


def run() -> list[Result]:
    """Open and close all, twice."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < DESCRIPTORS:
        return [Skipped("sockets", f"needs `ulimit -n {DESCRIPTORS}`, and may have {hard} descriptors")]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    try:
        with folder() as place, LocalTestnet(place / "net") as net:
            net.boot({NODE: BootOptions(packages=(find_package("pages", ()),), http=(LOOPBACK, 0))})
            lab = _Lab(net)
            rounds = [trio.run(lab.round) for _ in range(ROUNDS)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _results(rounds)


def _results(rounds: list[_Round]) -> list[Result]:
    alone = Reference.of("the same without them", [each.alone for each in rounds], "ms")
    left = (rounds[-1].most - rounds[0].most) / SOCKETS
    results = [
        absolute("sockets_memory", [rounds[0].kib], "KiB each", KIB_GOAL),
        absolute("sockets_echo", [each.beside - each.alone for each in rounds], "ms more", MORE_GOAL, alone),
        absolute("sockets_close", [each.closed for each in rounds], "s", CLOSE_GOAL),
        absolute("sockets_left", [left], "KiB each", LEFT_GOAL),
    ]
    results[0].detail["s, to open all"] = round(max(each.opened for each in rounds), 1)
    return list(results)


class _Lab:
    """One node, with a process that echoes."""

    def __init__(self, net: LocalTestnet) -> None:
        self._net = net
        self._port = int(str(net.status(NODE)["http"]).rpartition(":")[2])
        pid = net.pid(NODE)
        assert pid is not None
        self._pid = pid

    async def round(self) -> _Round:
        """Open all, have one more echo beside them, and close all."""
        echoing = await open_socket(self._port, f"{BASE}/live")
        alone, held, before = await _echoes(echoing), self._held(), resident_kib(self._pid)
        begin = time.perf_counter()
        async with self._idle() as streams:
            opened = time.perf_counter() - begin
            await self._until(SOCKETS + 1)
            most = resident_kib(self._pid)
            gc.collect()
            gc.freeze()  # else this process, too, stands still now and then to look for garbage
            beside = await _echoes(echoing)
            await self._until(SOCKETS + 1)
            begin = time.perf_counter()
            for stream in streams:
                stream.socket.close()
        await self._until(1, held)
        closed = time.perf_counter() - begin
        await echoing.aclose()
        gc.unfreeze()
        return _Round(opened, (most - before) / SOCKETS, alone, beside, closed, most)

    async def _until(self, count: int, held: int | None = None) -> None:
        """Wait until the process knows of so many, and the node has so many descriptors."""

        def wait() -> None:
            limit = time.monotonic() + LIMIT_SECONDS
            while self._open() != count or (held is not None and self._held() != held):
                if time.monotonic() > limit:
                    raise AssertionError(f"{self._open()} WebSockets are open, not {count}; {self._held()} descriptors")
                time.sleep(0.05)

        await trio.to_thread.run_sync(wait)

    @asynccontextmanager
    async def _idle(self) -> AsyncIterator[list[trio.SocketStream]]:
        """Yield the connections of WebSockets that do nothing but answer pings."""
        streams: list[trio.SocketStream] = []

        async def open_some(nursery: trio.Nursery) -> None:
            while len(streams) + opening.borrowed_tokens <= SOCKETS:
                async with opening:
                    if len(streams) + opening.borrowed_tokens > SOCKETS:
                        return
                    stream = await open_socket(self._port, f"{BASE}/live")
                    streams.append(stream)
                nursery.start_soon(_idle, stream)

        opening = trio.CapacityLimiter(AT_ONCE)
        async with trio.open_nursery() as reading:
            async with trio.open_nursery() as nursery:
                for _ in range(AT_ONCE):
                    nursery.start_soon(open_some, reading)
            assert len(streams) == SOCKETS
            yield streams

    def _open(self) -> int:
        """Return how many WebSockets the process knows of."""
        answer = self._net.message(NODE, "our@pages:pages:sys", '{"Open":null}')
        return int(json.loads(str(answer["body"]))["Open"])

    def _held(self) -> int:
        """Return the descriptors of the node's process."""
        descriptors = self._net.status(NODE)["descriptors"]
        assert isinstance(descriptors, dict)
        return int(descriptors["used"])


async def _idle(stream: trio.SocketStream) -> None:
    try:
        while True:
            came = await next_message(stream)
            raise AssertionError(f"a WebSocket has got {came!r}")
    except (trio.ClosedResourceError, trio.BrokenResourceError):
        pass  # it has been closed here


async def _echoes(stream: trio.SocketStream) -> float:
    times = []
    for _ in range(ECHOES):
        await trio.sleep(PAUSE_SECONDS)
        times.append(await timed_echo(stream))
    return p99(times)
