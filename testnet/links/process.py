"""(trio) The process that runs the links of a testnet on loopback, beside its nodes.

It outlives any of them, and ends with the testnet. What it is asked is the business of `control`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

import trio

from nectar_node import control_socket, log
from nectar_node.cli.network import Network
from nectar_node.errors import NodeError
from testnet.links.claim import claim, links_folder
from testnet.links.control import MAX_LINE_BYTES, LinksControl
from testnet.links.fabric import open_links
from testnet.links.places import Allocation
from testnet.processes import NodeProcesses


def run(folder: Path, ready: int | None) -> None:
    """Run the links of the testnet in `folder` until SIGTERM or Ctrl-C; raises NodeError."""
    place = links_folder(folder)
    place.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = place.acquire()
    try:
        log.rotate(place.log)
        with claim(folder) as allocation:
            trio.run(_serve, folder, allocation, ready)
    finally:
        place.control.unlink(missing_ok=True)
        os.close(lock)


async def _serve(folder: Path, allocation: Allocation, ready: int | None) -> None:
    async with open_links() as links, trio.open_nursery() as nursery:
        control = LinksControl(links, partial(NodeProcesses, Network(folder)), folder, allocation)
        for name in list(allocation.names):
            control.connect(name)
        listener = control_socket.bind(links_folder(folder).control)
        nursery.start_soon(control_socket.serve, control, listener, MAX_LINE_BYTES)
        nursery.start_soon(control.expire)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            _report(ready, {"endpoint": list(allocation.network.claim), "warning": None})
            async for _ in signals:
                break
        nursery.cancel_scope.cancel()


def _report(ready: int | None, value: dict[str, object]) -> None:
    if ready is not None:
        with open(ready, "w") as pipe:
            pipe.write(json.dumps(value) + "\n")


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m testnet.links", description="Run the links of a local testnet.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the testnet")
    parser.add_argument("--ready-descriptor", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        run(arguments.folder, arguments.ready_descriptor)
    except NodeError as error:
        print(error, file=sys.stderr)
        _report(arguments.ready_descriptor, {"error": str(error)})
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
