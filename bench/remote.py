"""`remote`: request and response between Wasm processes on two nodes."""

from __future__ import annotations

from bench.lab import RECEIVER, SENDER, ping, program, running
from bench.measure import Result, in_turns, ratio

GOAL = 3.0
"""Times the latency of a bare trio TCP echo."""
COUNT = 3_000


def run() -> list[Result]:
    """Against a bare trio TCP echo between two OS processes."""
    target = f"{RECEIVER}@echo:echo:sys"
    with running(SENDER, RECEIVER) as net:
        ours, theirs = in_turns(lambda: ping(net, target, COUNT), lambda: program("tcp_echo", str(COUNT)))
    micro = [1e6 * seconds for seconds in ours], [1e6 * seconds for seconds in theirs]
    return [ratio("remote", *micro, ("trio TCP echo", "microseconds a round trip"), GOAL, at_most=True)]
