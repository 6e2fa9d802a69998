"""`nectar testnet kill|pause|resume|restart`: actions on one node."""

from __future__ import annotations

from typing import Annotated

import typer

from nectar_node.base.errors import NotRunning
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from testnet.real.links.client import LinksProcess
from testnet.real.nodes.processes import NodeProcesses

Name = Annotated[
    str, typer.Argument(metavar="NODE", help="The node's name, such as send.nec.", autocompletion=options.complete_node)
]


def kill(name: Name, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Kill a node, as a crash would."""
    nodes = _nodes(directory, name)
    _require(nodes.crash(name), nodes, name)
    again = nodes.network.command("testnet restart", name)
    return _done(as_json, name, "killed", f"{name} is dead. `{again}` starts it again.")


def pause(name: Name, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Pause a node, as closing a laptop's lid would."""
    nodes = _nodes(directory, name)
    _require(nodes.pause(name), nodes, name)
    on = nodes.network.command("testnet resume", name)
    return _done(as_json, name, "paused", f"{name} is paused. `{on}` resumes it.")


def resume(name: Name, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Resume a paused node."""
    nodes = _nodes(directory, name)
    _require(nodes.resume(name), nodes, name)
    return _done(as_json, name, "running", f"{name} goes on.")


def restart(name: Name, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Stop a node, if it runs, and start it with the same options."""
    nodes = _nodes(directory, name)
    nodes.stop(name)
    node = nodes.start(name)
    if node is None:
        raise NotRunning(f"{name} has been started by another command meanwhile.")
    where = output.endpoint(list(node.endpoint))
    links = LinksProcess(nodes.network)
    for warning in (node.warning, links.why_not() if links.pid is None and name in links.left() else None):
        if warning is not None:
            output.complain(warning)
    if as_json:
        output.print_json({"name": name, "state": "running", "pid": node.pid, "endpoint": list(node.endpoint)})
    else:
        output.say(f"{name} runs as process {node.pid} on {where}.")
    return 0


def _nodes(directory: options.Directory, name: str) -> NodeProcesses:
    network = LocalNetwork.find(directory)
    network.node(name)
    return NodeProcesses(network)


def _require(ran: bool, nodes: NodeProcesses, name: str) -> None:
    if not ran:
        again = nodes.network.command("testnet restart", name)
        raise NotRunning(f"{name} is not running: start it with `{again}`.")


def _done(as_json: bool, name: str, state: str, sentence: str) -> int:
    if as_json:
        output.print_json({"name": name, "state": state})
    else:
        output.say(sentence)
    return 0
