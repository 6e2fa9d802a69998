"""`fair`: a small request from node to node while a file of 1 GiB flows over the same session.

What a small message waits for: a pass of each node's event loop; records that are encrypted and not written
(`net.io.driver.SEND_BYTES`); and what the kernels of both sides hold. A receiver that fell behind had megabytes unread.
Now both sides see after the eighth request that small messages go beside the flow (`net.session.mixture`): they read
and write 256 KiB in a row (`net.io.driver.MIXED_TURN_BYTES`), and the receiver's kernel holds 512 KiB at most
(`net.io.tcp.UNREAD_BYTES`). So the first requests of each flow wait as before, and count. The rest is whether a core is
free: on a machine that is busy with something else, this figure says more about that, and only the version before,
measured in turns, tells what is gained. docs/performance.md has the figures.
"""

from __future__ import annotations

import threading
from pathlib import Path

from bench.lab import RECEIVER, SENDER, folder, make_file, running, send_file, timed_request
from bench.measure import Reference, Result, absolute, in_turns, p99
from testnet.real.local import LocalTestnet

SIZE = 1 << 30
GOAL = 10.0
"""Milliseconds that the 99th percentile may be higher."""
QUIET_REQUESTS = 500
TARGET = f"{RECEIVER}@echo:echo:sys"


def run() -> list[Result]:
    """Measure the 99th percentile of a request's round trip beside the flow, less the same without it."""
    with folder() as place, running(SENDER, RECEIVER) as net:
        file = place / "file.bin"
        make_file(file, SIZE)
        beside, alone = in_turns(lambda: _beside_flow(net, file), lambda: p99(_alone(net)))
    more = [with_it - without for with_it, without in zip(beside, alone, strict=True)]
    reference = Reference.of("the 99th percentile without the flow", alone, "ms")
    return [absolute("fair", more, "ms more", GOAL, reference)]


def _alone(net: LocalTestnet) -> list[float]:
    with net.connect(SENDER) as client:
        return [timed_request(client, TARGET) for _ in range(QUIET_REQUESTS)]


def _beside_flow(net: LocalTestnet, file: Path) -> float:
    flow = threading.Thread(target=send_file, args=(net, file, RECEIVER))
    flow.start()
    seconds = []
    with net.connect(SENDER) as client:
        while flow.is_alive():
            seconds.append(timed_request(client, TARGET))
    flow.join()
    return p99(seconds)
