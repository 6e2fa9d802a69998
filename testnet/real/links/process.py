"""(trio) The process that runs the links of a testnet on loopback, beside its nodes.

It outlives any node, and ends with the testnet. `control` has its commands.
"""

from __future__ import annotations

import argparse
import os
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from nectar_node.base import log, own_files
from nectar_node.base.errors import BadFolder
from nectar_node.console import streams
from nectar_node.control import server
from nectar_node.launcher import background
from nectar_node.launcher.local_network import LocalNetwork
from testnet.real.links.claim import claim, links_folder
from testnet.real.links.control import MAX_LINE_BYTES, LinksControl
from testnet.real.links.fabric import open_links
from testnet.real.nodes.addresses import Allocation
from testnet.real.nodes.processes import NodeProcesses


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Descriptors that the starter has passed to the process."""

    ready: int | None
    """The pipe for the message of readiness (`launch.spawn`)."""
    line: int | None
    """A lifeline (`nectar_node.base.lifeline`), for the nodes that are started here too."""


def run(folder: Path, given: Descriptors) -> None:
    """Run the links of the testnet in `folder` until SIGTERM, Ctrl-C or the end of the lifeline.

    Raises NodeError, and groups of them.
    """
    if background.is_orphan(given.line):
        return  # before making anything that nobody would remove
    place = links_folder(folder)
    try:
        own_files.make_folder(place.path)
        lock = place.acquire()
    except OSError as error:
        raise BadFolder(f"{error.filename or place.path} cannot be used: {error.strerror}.") from error
    try:
        log.rotate(place.log)
        with claim(folder) as allocation:
            trio.run(_serve, folder, allocation, given)
    finally:
        own_files.remove(place.control)
        os.close(lock)


async def _serve(folder: Path, allocation: Allocation, given: Descriptors) -> None:
    nodes = partial(NodeProcesses, LocalNetwork(folder), lifeline=given.line)
    async with open_links() as links, trio.open_nursery() as nursery:
        control = LinksControl(links, nodes, folder, allocation)
        for name in list(allocation.names):
            control.connect(name)
        listener = server.bind(links_folder(folder).control)
        nursery.start_soon(server.serve, control, listener, MAX_LINE_BYTES)
        nursery.start_soon(control.expire)
        nursery.start_soon(_end_with_starter, given.line, nursery.cancel_scope)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            background.report(given.ready, {"endpoint": list(allocation.network.claim), "warning": None})
            async for _ in signals:
                break
        nursery.cancel_scope.cancel()


async def _end_with_starter(line: int | None, scope: trio.CancelScope) -> None:
    if await background.ended(line):
        scope.cancel()


def main() -> int:
    """Parse the arguments and run."""
    streams.make_usable()
    parser = argparse.ArgumentParser(
        prog="python -m testnet.real.links", description="Run the links of a local testnet."
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the testnet")
    background.add_options(parser)
    arguments = parser.parse_args()
    given = Descriptors(arguments.ready_descriptor, arguments.lifeline)
    return background.run_reported(given.ready, lambda: run(arguments.folder, given))
