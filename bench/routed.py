"""`routed`: a file of 512 MiB to a node behind a router, against the same to a node that is dialed directly.

The router splices: it passes the bytes that two nodes encrypted for each other, and does no encryption of its own.
"""

from __future__ import annotations

from bench.lab import RECEIVER, SENDER, folder, make_file, running, send_file
from bench.measure import Result, in_turns, ratio
from nectar_node.launcher.boot_options import BootOptions

SIZE = 512 << 20
GOAL = 0.5
ROUTER, HIDDEN = "router.nec", "hidden.nec"


def run() -> list[Result]:
    """Measure two transfers from the same node, in turns."""
    with folder() as place, running(SENDER, RECEIVER, ROUTER) as net:
        net.add(HIDDEN, BootOptions(routers=(ROUTER,)))
        file = make_file(place / "file.bin", SIZE)
        seconds = in_turns(lambda: send_file(net, file, HIDDEN), lambda: send_file(net, file, RECEIVER))
    routed, direct = ([SIZE / 1e6 / each for each in values] for values in seconds)
    return [ratio("routed", routed, direct, ("the same without a router", "MB/s"), GOAL)]
