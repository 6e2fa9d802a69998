"""`remote`: request and response between Wasm processes on two nodes.

Where the time goes, as profiled: of about 400 microseconds, 75 are trio, the sockets and waking the other process
(a bare echo written with `wait_readable` takes that); 170 are both nodes' cores (kernel, guest, header, session,
encryption) when they pass the bytes by hand in one process; the rest is the same code running cold, since by the
time an answer comes the caches hold the other process's data. Nothing waits: both processes' CPU time adds up to
the wall time. One system call sends a message and one receives it; acknowledgements ride along. Delaying those
would save a twentieth and make a lost connection report messages as Offline that had arrived: tried, and taken
back.
"""

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
