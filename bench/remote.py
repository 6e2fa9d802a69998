"""`remote`: request and response between Wasm processes on two nodes, one at a time and 64 at a time.

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

GOAL = 2.0
"""Times the latency of a bare trio TCP echo."""
WINDOW_GOAL = 0.3
"""Times the messages per second of bare trio TCP."""
COUNT = 3_000
OUTSTANDING = 64
WINDOW_COUNT = 10_000


def run() -> list[Result]:
    """Against bare trio TCP between two OS processes: an echo, and as many frames of the same size under way."""
    target = f"{RECEIVER}@echo:echo:sys"
    with running(SENDER, RECEIVER) as net:
        ours, theirs, our_window, their_window = in_turns(
            lambda: ping(net, target, COUNT),
            lambda: program("tcp_echo", str(COUNT)),
            lambda: ping(net, target, WINDOW_COUNT, outstanding=OUTSTANDING),
            lambda: program("tcp_window", str(WINDOW_COUNT), str(OUTSTANDING)),
        )
    micro = [1e6 * seconds for seconds in ours], [1e6 * seconds for seconds in theirs]
    rates = [2 / seconds for seconds in our_window], [2 / seconds for seconds in their_window]
    name = f"trio TCP, {OUTSTANDING} frames under way"
    return [
        ratio("remote", *micro, ("trio TCP echo", "microseconds a round trip"), GOAL, at_most=True),
        ratio("remote_window", *rates, (name, "messages a second"), WINDOW_GOAL),
    ]
