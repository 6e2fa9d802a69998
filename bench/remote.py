"""`remote`: request and response between Wasm processes on two nodes, one at a time and 64 at a time.

Where the time goes, on two cores: 220 to 240 microseconds a round trip, and 51 for the echo.

- 102 are both nodes' cores (kernel, guest, header, session, encryption) when they pass the bytes by hand in one
  process, in a tight loop: 284 calls of Python functions, 10,200 bytecodes. It was 119, 386 and 11,100. The guests, and
  the kernel between them, are 20 of it, which is a local round trip; the rest is spread evenly: no function has more
  than three in a hundred of the bytecodes.
- 20 to 30 more when these are two processes with a blocking TCP socket and nothing else between them.
- trio's share can be seen in the echo: of its 51, sockets and the switch of processes take 13.
- Much of the rest is cold code. The scheduler puts two processes that wake each other on one core, so each finds the
  other's branch predictions there. Without address randomisation, so that the code of both lay at the same addresses,
  300 became 236, and the echo's 52 became 45. Earlier profiles could not explain that part.

So a step that is left out counts about twice what it takes in a loop. Nothing waits: the CPU time of both nodes adds up
to the wall time.

With 64 under way each node has a core of its own, and a round trip takes 53 microseconds of both at once, nearly all of
it the cores' Python; the reference takes 10, since it receives many frames with one system call. Twenty messages come
and go with one wake-up and in one record, and twenty acknowledgements in one frame, so what is left is per message: 45
microseconds and 7,800 bytecodes by hand for both cores, less than half of the time of one at a time for three quarters
of the bytecodes, since each stage is warm from the message before.

One message needs one step of a trio task, one wake and one wait for the system on either side, counted with an
instrument; with 64 under way, a sixtieth of a step. On a busy machine the rest was once that guests were taken for
ones that spin (docs/performance.md).

Done: sending inline at the end of a turn, plain non-blocking reads, deadlines looked at every two milliseconds and by
the turns themselves, binary acknowledgements in the record of the answer, headers from cached pieces, one look for what
is to be written, system processes asked only after they were told something, sizes and shares that are not worked out
again, values built without a named tuple's constructor, one event for all that an acknowledgement frame names, streams
and shares of credit kept for the next message, short headers without CBOR (version 2 of the frames, docs/wire.md), one
look a turn for what is to be written to the disk, members of enumerations looked up once, and calls that only delegate
left out where the names of things did not suffer.

Tried and taken back. Polling the socket for 50, 100 or 200 microseconds before waiting for it: 254 to 316 became 440,
since the polling one keeps the other from the core that they share. Delayed acknowledgements: together with two of the
above they gave a twentieth, and would make a lost connection report messages as Offline that had arrived.
"""

from __future__ import annotations

from bench.lab import RECEIVER, SENDER, ping, program, running
from bench.measure import Result, in_turns, ratio

GOAL = 2.5
"""Times the latency of a bare trio TCP echo."""
WINDOW_GOAL = 0.4
"""Times the messages per second of bare trio TCP."""
COUNT = 3_000
OUTSTANDING = 64
WINDOW_COUNT = 10_000


def run() -> list[Result]:
    """Compare with bare trio TCP between two OS processes: an echo, and as many frames of the same size under way."""
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
