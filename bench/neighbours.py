"""`neighbours`: what is left for others while browsers ask for one page of a package without a pause.

`python -m bench.neighbours PORT PATH` is these browsers, in a process of their own. At most 2,000 requests a second are
asked for, until its standard input ends; at each line there it prints how many have been answered. Others are two
processes that send each other messages, and browsers of another package's page.

Rates are those in a second of the node's processor time, which other work on the machine does not change: what both
have in common is the node's one event loop, and a rate that is a quarter has a quarter of that. The 99th percentiles
say something about a machine with cores to spare alone.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import trio

from bench.http import ask_page
from bench.lab import SENDER, folder, ping, timed_request
from bench.measure import Reference, Result, absolute, p99, processor_seconds, ratio
from nectar_node.contract.config import LOOPBACK
from nectar_node.launcher.boot_options import BootOptions
from testnet.model.packages import find_package
from testnet.real.local import LocalTestnet

BUSY, QUIET = "/pages:pages:sys", "/unruly:unruly:sys/twice"
"""The page that all ask for, and that of another package, which its process answers."""
TARGET = "our@echo:echo:sys"
CONNECTIONS = 16
RATE = 2000
"""Requests a second."""
COUNT = 1000
"""Messages of which the rate is taken, or requests for the page."""
LOOKS = 150
"""Messages, and requests for the other page, of which the 99th percentile is taken."""
PAUSE_SECONDS = 0.002
RUNS = 5
PATIENCE_SECONDS = 60.0
"""Seconds for one part of a run: whoever starves fails, and does not keep all others waiting."""
RATE_GOAL = 0.25
"""Times as many messages, or pages, in a second of the node's processor time: what others leave of it."""
MORE_GOAL = 20.0
"""Milliseconds that a 99th percentile may be higher."""


class _Taken(NamedTuple):
    """What has been measured, with the browsers or without."""

    messages: float
    """In a second of the node's processor time."""
    message: float
    """Milliseconds of a message, 99th percentile."""
    page: float
    """The same of another package's page."""
    pages: float = 0.0
    """Pages of the browsers in a second of the node's processor time, with messages."""
    pages_alone: float = 0.0
    """The same without messages."""


def run() -> list[Result]:
    """Take the rates and the 99th percentiles with such browsers and without, for a cached page and for a process's."""
    with folder() as place, LocalTestnet(place / "net") as net:
        packages = tuple(find_package(name, ()) for name in ("echo", "pages", "unruly"))
        net.boot({SENDER: BootOptions(packages=packages, http=(LOOPBACK, 0))})
        port = int(str(net.status(SENDER)["http"]).rpartition(":")[2])
        return [*_beside(net, port, "cached", BUSY), *_beside(net, port, "answered", f"{BUSY}/open")]


def _beside(net: LocalTestnet, port: int, kind: str, path: str) -> list[Result]:
    loaded, alone = [], []
    for _ in range(RUNS):
        with _browsers(port, path) as browsers:
            loaded.append(_with_browsers(net, port, browsers))
        alone.append(_measure(net, port))
    unit = "a second of processor time"
    figures: list[Result] = []
    rates = [each.messages for each in loaded], [each.messages for each in alone]
    figures.append(ratio(f"beside_{kind}", *rates, ("without browsers", unit), RATE_GOAL))
    pages = [each.pages for each in loaded], [each.pages_alone for each in loaded]
    figures.append(ratio(f"beside_{kind}_pages", *pages, ("without messages", unit), RATE_GOAL))
    for what in ("message", "page"):
        more = [getattr(each, what) - getattr(without, what) for each, without in zip(loaded, alone, strict=True)]
        reference = Reference.of("without browsers", [getattr(each, what) for each in alone], "ms")
        figures.append(absolute(f"beside_{kind}_{what}", more, "ms more", MORE_GOAL, reference))
    return figures


def _with_browsers(net: LocalTestnet, port: int, browsers: _Browsers) -> _Taken:
    before, begin = _used(net), browsers.served()
    while browsers.served() < begin + COUNT:
        time.sleep(PAUSE_SECONDS)
    between, middle = _used(net), browsers.served()
    messages = _message_rate(net)
    after, end = _used(net), browsers.served()
    alone, beside = (middle - begin) / (between - before), (end - middle) / (after - between)
    return _Taken(messages, *_waits(net, port), beside, alone)


def _measure(net: LocalTestnet, port: int) -> _Taken:
    return _Taken(_message_rate(net), *_waits(net, port))


def _used(net: LocalTestnet) -> float:
    """Return the processor time that the node has had."""
    pid = net.pid(SENDER)
    assert pid is not None
    return processor_seconds(pid)


def _message_rate(net: LocalTestnet) -> float:
    """Return how many messages two processes send each other in a second of their node's processor time."""
    before = _used(net)
    ping(net, TARGET, COUNT)
    return COUNT / (_used(net) - before)


def _waits(net: LocalTestnet, port: int) -> tuple[float, float]:
    """Return the 99th percentiles of a message and of another package's page."""
    with net.connect(SENDER) as client:
        message = p99([timed_request(client, TARGET) for _ in range(LOOKS)])
    return message, p99(trio.run(_load_page, port))


async def _load_page(port: int) -> list[float]:
    times = []
    with trio.fail_after(PATIENCE_SECONDS):
        async with await trio.open_tcp_stream(LOOPBACK, port) as stream:
            for _ in range(LOOKS):
                await trio.sleep(PAUSE_SECONDS)
                begin = time.perf_counter()
                await ask_page(stream, QUIET)
                times.append(time.perf_counter() - begin)
    return times


class _Browsers:
    """The process of the browsers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def served(self) -> int:
        """Return how many requests have been answered; raises ValueError if that process has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def _browsers(port: int, path: str) -> Iterator[_Browsers]:
    command = [sys.executable, "-m", "bench.neighbours", str(port), path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            browsers = _Browsers(process)
            while not browsers.served():
                time.sleep(PAUSE_SECONDS)
            yield browsers
        finally:
            process.kill()


async def _ask(port: int, path: str) -> None:
    """Ask until standard input has ended, and print how many requests have been answered at each of its lines."""
    answered = 0

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
        while await trio.to_thread.run_sync(sys.stdin.readline):
            print(answered, flush=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(_ask, int(sys.argv[1]), sys.argv[2])
