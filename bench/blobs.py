"""`blobs`: what a blob costs that is loaded, and that one which is only handed on costs the same whatever its size."""

from __future__ import annotations

import time

from bench.guests import echo, loader, relay
from bench.measure import Result, in_turns, ratio
from bench.rig import Rig, number, rig
from kernel.contract.address import ProcessId

LOADED_GOAL = 2.0
"""Times copying as many bytes once."""
INHERITED_GOAL = 1.1
"""Times the same with a small blob."""
LOADED_BYTES = 1 << 20
SMALL_BYTES, LARGE_BYTES = 1 << 10, 16 << 20
HOPS = 3
"""Processes that hand a blob on by inheritance; the last one's target answers with it."""
COUNT = 1_000


def run() -> list[Result]:
    """Send one request after the other, on a machine without a node around it."""
    with rig() as bench:
        loads = bench.start("load", loader())
        for index in range(HOPS):
            bench.start(number(index), relay())
        bench.start(number(HOPS), echo())
        bench.settle()
        first = ProcessId(number(0), loads.package, loads.publisher)
        loaded_blob, small, large = (bytes(size) for size in (LOADED_BYTES, SMALL_BYTES, LARGE_BYTES))
        ours, copies, few, many = in_turns(
            lambda: _seconds(bench, loads, loaded_blob),
            lambda: _copy(loaded_blob),
            lambda: _seconds(bench, first, small),
            lambda: _seconds(bench, first, large),
        )
        assert bench.machine.blob_bytes_loaded() % LOADED_BYTES == 0, "a blob that was only handed on was loaded"
    loaded, copied, small_micro, large_micro = ([1e6 * each for each in values] for values in (ours, copies, few, many))
    unit = "microseconds"
    return [
        ratio("blob_loaded", loaded, copied, ("copying 1 MiB once", unit), LOADED_GOAL, at_most=True),
        ratio(
            "blob_inherited", large_micro, small_micro, ("1 KiB, 16 MiB being ours", unit), INHERITED_GOAL, at_most=True
        ),
    ]


def _seconds(bench: Rig, target: ProcessId, blob: bytes) -> float:
    """Return the seconds of one request with its answer."""
    begin = time.perf_counter()
    for _ in range(COUNT):
        bench.ask(target, b"", blob)
    return (time.perf_counter() - begin) / COUNT


def _copy(blob: bytes) -> float:
    place = bytearray(len(blob))
    begin = time.perf_counter()
    for _ in range(COUNT):
        place[:] = blob
    return (time.perf_counter() - begin) / COUNT
