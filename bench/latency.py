"""`latency`: what guests that spin cost a message to one that does not (G23), and whether two of them use two cores."""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import trio

from bench.guests import echo, spinner
from bench.measure import Reference, Result, absolute, in_turns, p99, ratio
from bench.rig import rig

GOAL = 10.0
"""Milliseconds that the 99th percentile may be higher."""
SPINNING = 4
MESSAGES = 1_000
PAUSE_SECONDS = 0.001
"""Seconds between two messages, so that each meets a node that does nothing but spin."""
SETTLING_SECONDS = 0.2
"""Seconds until the node knows the spinning guests as such."""
CORES_GOAL = 0.9
"""Times the cores that two processes use which do nothing but spin."""
CORES_SECONDS = 1.0


def run() -> list[Result]:
    """Measure the 99th percentile of an echo's round trip while four guests spin, less the same without them."""
    spinning, quiet = in_turns(*(lambda n=n: p99(trio.run(round_trips, n)) for n in (SPINNING, 0)))
    more = [with_them - without for with_them, without in zip(spinning, quiet, strict=True)]
    reference = Reference.of("the 99th percentile without them", quiet, "ms")
    guests, processes = in_turns(_cores_of_guests, _cores_of_processes)
    return [
        absolute("latency", more, "ms more", GOAL, reference),
        ratio("latency_cores", guests, processes, ("two spinning processes", "cores in use"), CORES_GOAL),
    ]


def _cores_of_guests() -> float:
    """Return the seconds of CPU time in each second while two guests spin."""
    return trio.run(_spin)


async def _spin() -> float:
    with rig() as bench:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.runner.run)
            for index in range(2):
                bench.start(f"spin{index}", spinner())
            bench.runner.turn()
            await trio.sleep(SETTLING_SECONDS)
            begin, used = time.perf_counter(), time.process_time()
            await trio.sleep(CORES_SECONDS)
            cores = (time.process_time() - used) / (time.perf_counter() - begin)
            nursery.cancel_scope.cancel()
    return cores


def _cores_of_processes() -> float:
    """Return the same for two processes."""
    spin = f"import time; end = time.perf_counter() + {CORES_SECONDS}\nwhile time.perf_counter() < end: pass"
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    processes = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(2)]
    for process in processes:
        process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used / (time.perf_counter() - begin)


async def round_trips(spinning: int) -> list[float]:
    """Return the seconds of each of MESSAGES round trips while so many guests spin."""
    with rig() as bench:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.runner.run)
            target = bench.start("echo", echo())
            for index in range(spinning):
                bench.start(f"spin{index}", spinner())
            bench.runner.turn()
            await trio.sleep(SETTLING_SECONDS)
            seconds = []
            for _ in range(MESSAGES):
                begin = time.perf_counter()
                await bench.ask_runner(target, b"")
                seconds.append(time.perf_counter() - begin)
                await trio.sleep(PAUSE_SECONDS)
            nursery.cancel_scope.cancel()
    return seconds
