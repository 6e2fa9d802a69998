"""`local`: request and response between two Wasm processes of one node."""

from __future__ import annotations

from bench.lab import SENDER, ping, program, running
from bench.measure import Result, in_turns, ratio

GOAL = 0.3
"""Times the speed of two bare trio tasks."""
COUNT = 20_000


def run() -> list[Result]:
    """Against a ping-pong of two bare trio tasks over memory channels."""
    with running(SENDER) as net:
        ours, theirs = in_turns(lambda: ping(net, "our@echo:echo:sys", COUNT), lambda: program("channels", str(COUNT)))
    speeds = [1 / seconds for seconds in ours], [1 / seconds for seconds in theirs]
    return [ratio("local", *speeds, ("two trio tasks", "round trips a second"), GOAL)]
