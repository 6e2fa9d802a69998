"""`start`: from the order to start a process to its first message handled, with its code compiled already."""

from __future__ import annotations

import time

from bench.guests import PACKAGE, PUBLISHER, echo
from bench.measure import Reference, Result, absolute, in_turns
from bench.rig import OUR, Rig, rig
from kernel.contract.address import Address, ProcessId
from kernel.contract.events import Kill
from kernel.contract.guest import GuestConfig, Poll, Program

GOAL = 1.0
"""Milliseconds beyond instantiation."""
COUNT = 500
_MEMORY_BYTES = 1 << 20


def run() -> list[Result]:
    """Measure both as the mean of COUNT starts, one after the other."""
    with rig() as bench:
        program = bench.engine.load(echo())
        whole, bare = in_turns(lambda: _whole(bench), lambda: _bare(program))
    more = [ours - theirs for ours, theirs in zip(whole, bare, strict=True)]
    reference = Reference.of("instantiated and run to its receive", bare, "ms")
    return [absolute("start", more, "ms more", GOAL, reference)]


def _whole(bench: Rig) -> float:
    """Return the milliseconds from the start of a process to its answer."""
    begin = time.perf_counter()
    for index in range(COUNT):
        process = bench.start(f"start{index}", echo())
        bench.ask(process, b"first")
        bench.machine.handle(Kill(process), 0.0)
    return 1e3 * (time.perf_counter() - begin) / COUNT


def _bare(program: Program) -> float:
    """Return the milliseconds from the start of a guest until it waits for a message."""
    config = GuestConfig(Address(OUR, ProcessId("bare", PACKAGE, PUBLISHER)), _MEMORY_BYTES)
    begin = time.perf_counter()
    for _ in range(COUNT):
        guest = program.start(config)
        while guest.poll() is not Poll.RECEIVE:
            pass
        guest.close()
    return 1e3 * (time.perf_counter() - begin) / COUNT
