"""`local`: request and response between two Wasm processes of one node.

Where the time of a round trip goes now is in docs/performance.md. Where it went when each part was looked at first, in
microseconds of CPU time, taken with the least of many repetitions, each part alone, and the whole without a node around
it; two trio tasks took 14.5 then.

| part | then | before |
|---|---|---|
| the kernel: two polls with one effect each, a request and a response on their way | 5.1 | 9.5 |
| `lower`: two messages into pieces, their sizes handed to the adapter, the pieces copied | 3.8 | 7.5 |
| `lift`: the parameters of send-request and send-response | 2.4 | 2.4 |
| crossings: two suspensions with their polls (1.07 each), two sends and two `place` (0.15 each) | 2.7 | 3.7 |
| all between: host functions, `Fiber.poll` and `resume`, `Machine.run`; the guests themselves | 8.5 | 10.5 |
| all | 22.5 | 33.6 |

What gained most: sends as plain instead of asynchronous host functions; placing the pieces of a plain message by
generated code, and encoded addresses from a cache; members of enumerations under names of their own (70 nanoseconds
each time); no mailbox, no `Delivery` and no `Polled` for a message whose receiver waits already; one record for each
guest in the machine instead of four dictionaries; no look for the end of a process unless one has ended; and no slice
ended by a tick that happens to fall into a short poll, which sent one guest in fifty to another thread and back.

Measured and left alone: garbage collection (nothing, even when it is off); ids from a counter (nothing); polling
without giving up the GIL (0.4, but the ticker could not tick); comparing the texts of an address in one piece (they lie
apart in most guests' memory, and trying costs more than it gains). What would gain one more: a log of what a guest
sends in a memory of the adapter's own, read once for each poll; but that is a second memory for every guest, two more
of the mappings and several more of the KiB that each of ten thousand can have.

Tried once and not pursued: compiling `kernel.router.kernel`, `machine`, `routing` and `mailbox` and what they use with
mypyc takes seconds, and on another machine brought 0.51 to 0.60 of their speed. It stumbles over named tuples whose
fields are of built-in types and over tests that reach into private state, and it needs a C compiler wherever a node is
installed.
"""

from __future__ import annotations

from bench.lab import SENDER, ping, program, running
from bench.measure import Result, in_turns, ratio

GOAL = 0.6
"""Times the speed of two bare trio tasks."""
COUNT = 20_000
LARGE_GOAL = 1.0
LARGE_BYTES, LARGE_COUNT = 1 << 20, 500


def run() -> list[Result]:
    """Compare with a ping-pong of two bare trio tasks over memory channels; with large bodies, of two that share
    nothing."""
    target = "our@echo:echo:sys"
    with running(SENDER) as net:
        seconds = in_turns(
            lambda: ping(net, target, COUNT),
            lambda: program("channels", str(COUNT)),
            lambda: ping(net, target, LARGE_COUNT, LARGE_BYTES),
            lambda: program("channels_copying", str(LARGE_COUNT), str(LARGE_BYTES)),
        )
    ours, theirs, large, copying = ([1 / each for each in values] for values in seconds)
    unit = "round trips a second"
    return [
        ratio("local", ours, theirs, ("two trio tasks", unit), GOAL),
        ratio("local_1mib", large, copying, ("two trio tasks that copy 1 MiB four times", unit), LARGE_GOAL),
    ]
