"""`fair`: a small request from node to node while a file of 1 GiB flows over the same session.

What a small message waits for: a pass of each node's event loop, of which none takes more than 2 ms of CPU time beside
such a flow and the 99th percentile is 1.1 to 1.4; records that are encrypted and not written
(`net.io.driver.SEND_BYTES`); and what the kernels of both sides hold, which was 4 MiB when the receiver lagged and is
2.2 (`net.io.tcp.UNSENT_BYTES`). With both networks in one process, where nothing else runs in between, it takes 0.7 ms
at the median and 1.3 at the 99th percentile behind 2 MiB blobs, eight in flight; receiving 128 or 256 KiB at a time
instead of 512 made that 3.8 to 4.7. The rest is whether a core is free: on a machine that is busy with something else,
this figure says more about that.
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
