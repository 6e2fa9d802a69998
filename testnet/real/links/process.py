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
from nectar_node.base.errors import BadFolder, CannotListen
from nectar_node.console import streams
from nectar_node.control import server
from nectar_node.launcher import background
from nectar_node.launcher.local_network import LocalNetwork
from testnet.real.links import sockets
from testnet.real.links.claim import claim, links_folder
from testnet.real.links.control import MAX_LINE_BYTES, LinksControl
from testnet.real.links.elsewhere import LabMachine, read_machine
from testnet.real.links.fabric import open_links
from testnet.real.links.gateway import Far, Gateway
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
            trio.run(_serve, folder, allocation, given, read_machine(folder))
    finally:
        own_files.remove(place.control)
        os.close(lock)


async def _serve(folder: Path, allocation: Allocation, given: Descriptors, machine: LabMachine | None) -> None:
    nodes = partial(NodeProcesses, LocalNetwork(folder), lifeline=given.line)
    async with open_links(0 if machine is None else machine.seed) as links, trio.open_nursery() as nursery:
        far = None if machine is None else Far(machine.secret)
        control = LinksControl(links, nodes, folder, allocation, machine, far)
        for name in list(allocation.names):
            control.connect(name)
        if machine is not None:
            gateway = _gateway(machine, allocation)
            control.gateway_port = gateway.port
            nursery.start_soon(gateway.serve, machine.here.__contains__)
        listener = server.bind(links_folder(folder).control)
        nursery.start_soon(server.serve, control, listener, MAX_LINE_BYTES)
        nursery.start_soon(control.expire)
        nursery.start_soon(_end_with_starter, given.line, nursery.cancel_scope)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            background.report(given.ready, {"endpoint": list(allocation.network.claim), "warning": None})
            async for _ in signals:
                break
        nursery.cancel_scope.cancel()


def _gateway(machine: LabMachine, allocation: Allocation) -> Gateway:
    try:
        listener = sockets.listen(("0.0.0.0", machine.port))
    except OSError as error:
        raise CannotListen(
            f"The links cannot listen at port {machine.port} for those of other machines: {error.strerror}."
        ) from error
    return Gateway(listener, machine.secret, lambda name: allocation.place(name) if name in allocation.names else None)


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
