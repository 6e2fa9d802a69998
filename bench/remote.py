"""`remote`: request and response between Wasm processes on two nodes.

Where the time goes. Measured: of about 390 microseconds, 75 are what an echo takes that is written with trio's
`wait_readable` alone; 170 to 190 are both nodes' cores (kernel, guest, header, session, encryption) when they pass
the bytes by hand in one process. The CPU time of both processes adds up to the wall time, so nothing waits; one
system call sends a message and one receives it. Not explained by a measurement: the remaining 130. The same code
probably runs slower between two wake-ups than in a tight loop; pinning the processes to cores and silencing the
epoch ticker changed nothing.

Done: sending inline at the end of a turn, plain non-blocking reads, deadlines looked at every two milliseconds,
system processes asked only after they were told something. Tried and taken back: delayed acknowledgements, which
together with two of those gave a twentieth, and would make a lost connection report messages as Offline that had
arrived.
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
