"""`nectar testnet kill|pause|resume|restart`: actions on one node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from testnet.cli.hosts.forwarding import forward, kept_in
from testnet.real import orders

Name = Annotated[
    str, typer.Argument(metavar="NODE", help="The node's name, such as send.nec.", autocompletion=options.complete_node)
]


def kill(name: Name, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Kill a node, as a crash would."""
    return _order("kill", name, directory, as_json)


def pause(name: Name, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Pause a node, as closing a laptop's lid would."""
    return _order("pause", name, directory, as_json)


def resume(name: Name, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Resume a paused node."""
    return _order("resume", name, directory, as_json)


def restart(name: Name, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Stop a node, if it runs, and start it with the same options."""
    return _order("restart", name, directory, as_json)


def _order(order: str, name: str, directory: Path, as_json: bool) -> int:
    if (kept := kept_in(directory)) is not None:
        return forward(kept, directory, name, ["testnet", order, name], as_json=as_json)
    return _tell(name, orders.NODE_ORDERS[order](LocalNetwork.find(directory), name), as_json)


def _tell(name: str, done: orders.NodeOrder, as_json: bool) -> int:
    for warning in done.warnings:
        output.complain(warning)
    node = done.started
    more = {} if node is None else {"pid": node.pid, "endpoint": list(node.endpoint)}
    output.tell({"name": name, "state": done.state, **more}, done.sentence, as_json=as_json)
    return 0
