"""`hostile`: two honest nodes that ask each other, beside twenty hostile peers of one of them, and without.

The peers are of all kinds (`testnet.hostile.behaviours`), some more than once, at full strength, in a process of their
own. Elsewhere they would have machines of their own; here that process gives way to the nodes, so that what is measured
is what they do to a node, and not what they take of its cores. They attack the node that is asked, and what only a
registrar can be attacked with, the registrar. The honest load is that of `remote`: requests one at a time, whose 99th
percentile is taken, and 64 at a time, whose number in a second is. What a node holds because of the peers is seen in
its resident memory, while they are there and a minute after they have left.

`python -m bench.hostile FOLDER SECONDS SEED` is the twenty peers.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from threading import Event, Thread

from bench.lab import RECEIVER, SENDER, ping, running
from bench.measure import Figure, Reference, Result
from nectar_node.contract.config import REGISTRAR_NAME
from testnet.hostile.behaviours import BEHAVIOURS, AttackOrder
from testnet.hostile.sockets import attack_for
from testnet.real.local import LocalTestnet
from testnet.real.nodes.processes import resident_bytes

PEERS = 20
SEED = 7
LATENCY_GOAL = 5.0
"""Times the 99th percentile without them, at most."""
RATE_GOAL = 0.5
"""Times the requests a second without them, at least."""
PEAK_GOAL = 2048.0
"""MiB that the node may have in memory: its budget."""
AFTER_GOAL = 50.0
"""MiB that it may have more, a minute after they have left."""
AFTER_SECONDS = 60.0
QUICK_SECONDS, QUICK_GOAL = 10.0, 200.0
"""The goals of a quick run: seconds, and MiB."""
WARM_SECONDS = 5.0
"""Seconds in which the peers begin."""
ATTACK_SECONDS = 600.0
"""Seconds of the attack."""
ALONE, TOGETHER, OUTSTANDING, TURNS = 300, 3000, 64, 5
"""Requests one at a time, those 64 at a time, and how often."""
TARGET = f"{RECEIVER}@echo:echo:sys"
_LOOK_SECONDS = 0.1
_GIVES_WAY = 19
"""Added to the niceness of the peers' process: the largest."""
_REGISTRAR = ("looks_up", "registers_names")
_MORE_THAN_ONCE = ("never_acknowledges", "never_reads", "one_byte_missing", "trickles", "floods_tiny")


@dataclass(slots=True)
class _Load:
    """The results of honest nodes."""

    seconds: list[float] = field(default_factory=list)
    """Seconds of each request."""
    rates: list[float] = field(default_factory=list)
    """Requests a second."""

    @property
    def p99(self) -> float:
        """Milliseconds."""
        return 1e3 * statistics.quantiles(self.seconds, n=100)[98]


def run(after: float = AFTER_SECONDS) -> list[Result]:
    """Measure without the peers, with them, and again without them `after` so many seconds."""
    with running(SENDER, RECEIVER) as net:
        pid = net.pid(RECEIVER)
        assert pid is not None
        _ask(net, TURNS)  # the first requests find everything cold
        quiet = _ask(net, TURNS)
        before = resident_bytes(pid)
        with _watched(pid) as peak, _attacked(net.folder):
            time.sleep(WARM_SECONDS)
            attacked = _ask(net, TURNS)
        assert net.pid(RECEIVER) == pid, "the node has ended"
        time.sleep(after)
        left = resident_bytes(pid) - before
    return [_latency(attacked, quiet), _rate(attacked, quiet), *_memory(before, max(peak), left, after)]


def _ask(net: LocalTestnet, turns: int) -> _Load:
    """Send requests of a user of one node to a process of the other, and of a process to a process."""
    load = _Load()
    for _ in range(turns):
        with net.connect(SENDER) as client:
            for _ in range(ALONE):
                began = time.perf_counter()
                answer = client.request(
                    "message", patience=60.0, target=TARGET, body="x" * 100, timeout=50, blob=None, mime=None
                )
                assert answer["outcome"] == "response", answer
                load.seconds.append(time.perf_counter() - began)
        load.rates.append(1 / ping(net, TARGET, TOGETHER, outstanding=OUTSTANDING))
    return load


@contextmanager
def _watched(pid: int) -> Iterator[list[int]]:
    """Yield the resident bytes of a process, measured again and again within this."""
    seen, over = [resident_bytes(pid)], Event()

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            seen.append(resident_bytes(pid))

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


@contextmanager
def _attacked(folder: Path) -> Iterator[None]:
    """Run the peers within this, in a process of their own."""
    command = [sys.executable, "-m", "bench.hostile", str(folder), str(ATTACK_SECONDS), str(SEED)]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield
        assert process.poll() is None, "the hostile peers have ended"
    finally:
        process.kill()
        process.wait()


def _orders() -> list[AttackOrder]:
    """Return an order of each kind, and some of them again."""
    kinds = [*BEHAVIOURS, *islice(cycle(_MORE_THAN_ONCE), PEERS - len(BEHAVIOURS))]
    return [
        AttackOrder(kind, REGISTRAR_NAME if kind in _REGISTRAR else RECEIVER, registrar=kind in _REGISTRAR)
        for kind in kinds
    ]


def _latency(attacked: _Load, quiet: _Load) -> Figure:
    ratio = attacked.p99 / quiet.p99
    return Figure(
        "hostile latency",
        round(ratio, 3),
        round(ratio, 3),
        round(ratio, 3),
        "times the reference",
        Reference("p99 without hostile peers", round(quiet.p99, 3), "ms"),
        f"at most {LATENCY_GOAL:g}",
        ratio <= LATENCY_GOAL,
        {
            "p99, ms": round(attacked.p99, 3),
            "median, ms": round(1e3 * statistics.median(attacked.seconds), 3),
            "median without, ms": round(1e3 * statistics.median(quiet.seconds), 3),
        },
    )


def _rate(attacked: _Load, quiet: _Load) -> Figure:
    reference = statistics.median(quiet.rates)
    ratios = [rate / reference for rate in attacked.rates]
    median = statistics.median(ratios)
    return Figure(
        "hostile throughput",
        round(median, 3),
        round(min(ratios), 3),
        round(max(ratios), 3),
        "times the reference",
        Reference("requests a second without hostile peers", round(reference), "1/s"),
        f"at least {RATE_GOAL:g}",
        median >= RATE_GOAL,
        {"requests a second": round(statistics.median(attacked.rates))},
    )


def _memory(before: int, peak: int, left: int, after: float) -> Iterator[Figure]:
    yield _mib("hostile memory, peak", peak, PEAK_GOAL, before)
    goal = AFTER_GOAL if after >= AFTER_SECONDS else QUICK_GOAL
    yield _mib(f"hostile memory, {after:g} s after", left, goal, before)


def _mib(name: str, count: int, goal: float, before: int) -> Figure:
    mib = round(count / (1 << 20), 1)
    reference = Reference("before", round(before / (1 << 20), 1), "MiB")
    return Figure(name, mib, mib, mib, "MiB", reference, f"at most {goal:g} MiB", mib <= goal)


def _give_way() -> None:
    """Run only when no node wants to."""
    os.nice(_GIVES_WAY)
    with suppress(OSError):  # where sessions share the cores by turns, niceness counts within one only: sched(7)
        Path("/proc/self/autogroup").write_text(str(_GIVES_WAY))


def main() -> None:
    """Run the peers."""
    _give_way()
    folder, seconds, seed = sys.argv[1:]
    with suppress(KeyboardInterrupt):
        found = attack_for(Path(folder), _orders(), int(seed), float(seconds))
        print(json.dumps([each.value() for each in found]))


if __name__ == "__main__":
    main()
