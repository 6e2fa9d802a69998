"""`neighbours`: what is left for others while browsers ask for one page of a package without a pause.

`python -m bench.neighbours PORT PATH` is these browsers, in a process of their own. At most 2,000 requests a second are
asked for; until its standard input ends, when it prints how many a second were answered. Others are two processes that
send each other messages, and browsers of another package's page.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import trio

from bench.http import ask_page
from bench.lab import SENDER, folder, ping, timed_request
from bench.measure import Reference, Result, absolute, in_turns, p99, ratio
from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from testnet.testing.packages import find_package

BUSY, QUIET = "/pages:pages:sys", "/unruly:unruly:sys/twice"
"""The page that all ask for, and that of another package, which its process answers."""
TARGET = "our@echo:echo:sys"
CONNECTIONS = 16
RATE = 2000
"""Requests a second."""
COUNT = 2000
"""Messages of which the rate is taken."""
LOOKS = 200
"""Messages, and requests for the other page, of which the 99th percentile is taken."""
PAUSE_SECONDS = 0.002
RATE_GOAL = 0.25
"""Times the messages a second: browsers, messages, and the disk and net beside them share one core."""
MORE_GOAL = 20.0
"""Milliseconds that a 99th percentile may be higher."""


def run() -> list[Result]:
    """Take the rate and the 99th percentiles with such browsers and without, for a cached page and for a process's."""
    with folder() as place, LocalTestnet(place / "net") as net:
        packages = tuple(find_package(name, ()) for name in ("echo", "pages", "unruly"))
        net.boot({SENDER: BootOptions(packages=packages, http=(LOOPBACK, 0))})
        port = int(str(net.status(SENDER)["http"]).rpartition(":")[2])
        return [*_beside(net, port, "cached", BUSY), *_beside(net, port, "answered", f"{BUSY}/open")]


def _beside(net: LocalTestnet, port: int, kind: str, path: str) -> list[Result]:
    served: list[float] = []

    def with_load(what: str) -> float:
        with _browsers(port, path, served):
            return _measure(net, port, what)

    figures = []
    for what in ("messages", "message", "page"):
        loaded, alone = in_turns(partial(with_load, what), partial(_measure, net, port, what), runs=3)
        if what == "messages":
            figures.append(ratio(f"beside_{kind}", loaded, alone, ("without browsers", "a second"), RATE_GOAL))
            continue
        more = [each - without for each, without in zip(loaded, alone, strict=True)]
        reference = Reference.of("without browsers", alone, "ms")
        figures.append(absolute(f"beside_{kind}_{what}", more, "ms more", MORE_GOAL, reference))
    figures[0].detail["pages a second meanwhile"] = round(min(served))
    return list(figures)


def _measure(net: LocalTestnet, port: int, what: str) -> float:
    """Return messages a second, or the 99th percentile of a message or of another package's page."""
    if what == "messages":
        return 1 / ping(net, TARGET, COUNT)
    if what == "page":
        return p99(trio.run(_load_page, port))
    with net.connect(SENDER) as client:
        return p99([timed_request(client, TARGET) for _ in range(LOOKS)])


async def _load_page(port: int) -> list[float]:
    times = []
    async with await trio.open_tcp_stream(LOOPBACK, port) as stream:
        for _ in range(LOOKS):
            await trio.sleep(PAUSE_SECONDS)
            begin = time.perf_counter()
            await ask_page(stream, QUIET)
            times.append(time.perf_counter() - begin)
    return times


@contextmanager
def _browsers(port: int, path: str, served: list[float]) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.neighbours", str(port), path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "asking\n"
        yield
        process.stdin.close()
        served.append(float(process.stdout.readline()))


async def _ask(port: int, path: str) -> float:
    """Return how many requests a second were answered until standard input has ended."""
    answered, begin = 0, time.perf_counter()

    async def browser(number: int) -> None:
        nonlocal answered
        async with await trio.open_tcp_stream(LOOPBACK, port) as stream:
            due = trio.current_time() + number / RATE
            while True:
                await trio.sleep_until(due)
                await ask_page(stream, path)
                answered += 1
                due = max(due + CONNECTIONS / RATE, trio.current_time())

    async with trio.open_nursery() as nursery:
        for number in range(CONNECTIONS):
            nursery.start_soon(browser, number)
        print("asking", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()
    return answered / (time.perf_counter() - begin)


if __name__ == "__main__":
    print(trio.run(_ask, int(sys.argv[1]), sys.argv[2]), flush=True)
