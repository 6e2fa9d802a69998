"""(trio) The process in which one hostile peer attacks a node of a testnet, until it is told to stop.

It is started and stopped as a node is (`testnet.real.nodes.attackers`), and holds the lock of its folder meanwhile.
"""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path

import trio

from kernel.contract.address import ProcessId
from nectar_node.base.folder import NodeFolder
from nectar_node.console import streams
from nectar_node.launcher import background
from testnet.hostile.behaviours import AttackOrder
from testnet.hostile.sockets import attack, is_registrar, take_descriptors


def run(arguments: argparse.Namespace) -> None:
    """Attack until SIGTERM, Ctrl-C or the end of the lifeline. Raises NodeError, and groups of them."""
    if background.is_orphan(arguments.lifeline):
        return
    take_descriptors()
    lock = NodeFolder(arguments.place).acquire()
    try:
        node: str = arguments.node
        order = AttackOrder(arguments.behaviour, node, ProcessId.parse(arguments.process), registrar=is_registrar(node))
        trio.run(_attack, arguments, order)
    finally:
        os.close(lock)


async def _attack(arguments: argparse.Namespace, order: AttackOrder) -> None:
    over = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_ends, arguments.lifeline, over)
        nursery.start_soon(_told, arguments.ready_descriptor, over)
        (counts,) = await attack(arguments.folder, [order], arguments.seed, over, arguments.source)
        print(counts.words(), flush=True)
        nursery.cancel_scope.cancel()


async def _told(ready: int | None, over: trio.Event) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        background.report(ready, background.READY)
        async for _ in signals:
            over.set()


async def _ends(line: int | None, over: trio.Event) -> None:
    if await background.ended(line):
        over.set()


def main() -> int:
    """Parse the arguments and run."""
    streams.make_usable()
    parser = argparse.ArgumentParser(prog="python -m testnet.hostile", description="Attack a node of a local testnet.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the testnet")
    parser.add_argument("place", type=Path, metavar="PLACE", help="folder of the attacker, with its lock and its log")
    parser.add_argument("node", metavar="NODE", help="the node that is attacked")
    parser.add_argument("behaviour", metavar="BEHAVIOUR", help="see `nectar testnet attack --help`")
    parser.add_argument("process", metavar="PROCESS", help="a public one there")
    parser.add_argument("seed", type=int, metavar="SEED")
    parser.add_argument("--source", metavar="HOST", help="the address that it dials from")
    background.add_options(parser)
    arguments = parser.parse_args()
    return background.run_reported(arguments.ready_descriptor, lambda: run(arguments))
