"""`nectar testnet kill|pause|resume|restart`: actions on one node."""

from __future__ import annotations

from typing import Annotated

import typer

from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from testnet.real import orders

Name = Annotated[
    str, typer.Argument(metavar="NODE", help="The node's name, such as send.nec.", autocompletion=options.complete_node)
]


def kill(name: Name, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Kill a node, as a crash would."""
    return _tell(name, orders.kill(LocalNetwork.find(directory), name), as_json)


def pause(name: Name, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Pause a node, as closing a laptop's lid would."""
    return _tell(name, orders.pause(LocalNetwork.find(directory), name), as_json)


def resume(name: Name, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Resume a paused node."""
    return _tell(name, orders.resume(LocalNetwork.find(directory), name), as_json)


def restart(name: Name, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Stop a node, if it runs, and start it with the same options."""
    return _tell(name, orders.restart(LocalNetwork.find(directory), name), as_json)


def _tell(name: str, done: orders.NodeOrder, as_json: bool) -> int:
    for warning in done.warnings:
        output.complain(warning)
    node = done.started
    more = {} if node is None else {"pid": node.pid, "endpoint": list(node.endpoint)}
    output.tell({"name": name, "state": done.state, **more}, done.sentence, as_json=as_json)
    return 0
