"""(trio) The process in which one hostile peer attacks a node of a testnet, until it is told to stop.

It is started and stopped as a node is (`testnet.real.nodes.attackers`), and holds the lock of its folder meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

import trio

from kernel.contract.address import ProcessId
from nectar_node.base import lifeline
from nectar_node.base.errors import NodeError, first
from nectar_node.base.folder import NodeFolder
from nectar_node.console import streams
from testnet.hostile.behaviours import Order
from testnet.hostile.sockets import attack, is_registrar, take_descriptors


def run(arguments: argparse.Namespace) -> None:
    """Attack until SIGTERM, Ctrl-C or the end of the lifeline. Raises NodeError, and groups of them."""
    line: int | None = arguments.lifeline
    if line is not None:
        lifeline.hold(line)
        if lifeline.has_ended(line):
            return
    take_descriptors()
    lock = NodeFolder(arguments.place).acquire()
    try:
        node: str = arguments.node
        order = Order(arguments.behaviour, node, ProcessId.parse(arguments.process), registrar=is_registrar(node))
        trio.run(_attack, arguments, order)
    finally:
        os.close(lock)


async def _attack(arguments: argparse.Namespace, order: Order) -> None:
    over = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_ends, arguments.lifeline, over)
        nursery.start_soon(_told, arguments.ready_descriptor, over)
        (counts,) = await attack(arguments.folder, [order], arguments.seed, over, arguments.source)
        print(counts.words(), flush=True)
        nursery.cancel_scope.cancel()


async def _told(ready: int | None, over: trio.Event) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        _report(ready, {"endpoint": ["none", 0], "warning": None})
        async for _ in signals:
            over.set()


async def _ends(line: int | None, over: trio.Event) -> None:
    if line is not None:
        await lifeline.ended(line)
        over.set()


def _report(ready: int | None, value: dict[str, object]) -> None:
    if ready is not None:
        with open(ready, "w") as pipe:
            pipe.write(json.dumps(value) + "\n")


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
    parser.add_argument("--ready-descriptor", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--lifeline", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    error: NodeError | None = None
    interrupted = False
    try:
        run(arguments)
    except* NodeError as group:
        error = first(group)
    except* KeyboardInterrupt:
        interrupted = True
    if error is not None:
        print(error, file=sys.stderr)
        _report(arguments.ready_descriptor, {"error": str(error)})
        return 1
    return 130 if interrupted else 0
