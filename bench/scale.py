"""`scale`: ten thousand idle processes on one node, and a message through all of them.

Each process is a guest with one page of memory. What it costs: 64 KiB of address space are touched only where the
guest touches them, the stack of its fiber two pages, the rest is Wasmtime's instance and store and our own record.
"""

from __future__ import annotations

import json
import sys
import time

import trio
import trio.testing

from bench import guests
from bench.lab import printed
from bench.measure import Reference, Result, absolute, ratio, resident_kib
from bench.rig import Rig, number, rig

MEMORY_GOAL = 40.0
"""KiB of resident memory for each."""
SPAWN_GOAL = 0.5
"""Milliseconds for each."""
HOP_GOAL = 3.0
"""Times a hop between two trio tasks. With ten thousand guests a hop takes about twice as long as with ten: whatever it
touches has left the processor's caches since the last one. Names are still remembered (`kernel.wasm.canonical`)."""
COUNT = 10_000
LAPS = 5
RUNS = 5


def run() -> list[Result]:
    """Run each time in a process of its own, so that its memory is that of these processes; so does the ring of trio
    tasks."""
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(_measure("guests"))
        theirs.append(_measure("tasks"))
    columns = {key: ([each[key] for each in ours], [each[key] for each in theirs]) for key in ours[0]}
    results: list[Result] = []
    for name, key, unit, goal in (
        ("scale_memory", "kib", "KiB", MEMORY_GOAL),
        ("scale_spawn", "spawn", "ms", SPAWN_GOAL),
    ):
        values, others = columns[key]
        reference = Reference.of("a trio task that waits at a memory channel", others, unit)
        results.append(absolute(name, values, f"{unit} a process", goal, reference))
    hops = columns["hop"]
    results.append(ratio("scale_ring", *hops, ("a ring of trio tasks", "microseconds a hop"), HOP_GOAL, at_most=True))
    return results


def _measure(kind: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(printed("bench.scale", kind))
    return found


def _guests() -> dict[str, float]:
    with rig() as bench:
        code = guests.relay()
        bench.engine.load(code)
        before, begin = resident_kib(), time.perf_counter()
        names = [number(index) for index in range(COUNT - 1)]
        for name in names:
            bench.start(name, code)
        last = bench.start(number(COUNT - 1), guests.echo())
        bench.settle()
        spawned, after = time.perf_counter(), resident_kib()
        first = bench.machine.kernel.processes
        assert len(first) == COUNT
        return {
            "kib": (after - before) / COUNT,
            "spawn": 1e3 * (spawned - begin) / COUNT,
            "hop": 1e6 * _laps(bench) / LAPS / COUNT,
            "answered": float(last in first),
        }


def _laps(bench: Rig) -> float:
    """Return the seconds of CPU time of LAPS requests, each passed on by every guest and answered by the last."""
    first = next(iter(bench.machine.kernel.processes))
    bench.ask(first, b"")
    begin = time.process_time()
    for _ in range(LAPS):
        bench.ask(first, b"")
    return time.process_time() - begin


async def _tasks() -> dict[str, float]:
    before, begin = resident_kib(), time.perf_counter()
    seconds = 0.0
    async with trio.open_nursery() as nursery:
        send, receive = trio.open_memory_channel[bytes](1)
        entry = send
        for _ in range(COUNT - 1):
            following, next_receive = trio.open_memory_channel[bytes](1)
            nursery.start_soon(_pass_on, receive, following)
            receive = next_receive
        await trio.testing.wait_all_tasks_blocked()
        spawned, after = time.perf_counter(), resident_kib()
        for lap in range(LAPS + 1):
            lap_begin = time.process_time()
            await entry.send(b"")
            await receive.receive()
            seconds += (time.process_time() - lap_begin) if lap else 0.0
        nursery.cancel_scope.cancel()
    return {
        "kib": (after - before) / COUNT,
        "spawn": 1e3 * (spawned - begin) / COUNT,
        "hop": 1e6 * seconds / LAPS / COUNT,
        "answered": 1.0,
    }


async def _pass_on(receive: trio.MemoryReceiveChannel[bytes], send: trio.MemorySendChannel[bytes]) -> None:
    async for message in receive:
        await send.send(message)


if __name__ == "__main__":
    print(json.dumps(_guests() if sys.argv[1] == "guests" else trio.run(_tasks)))
