"""What a user orders of a running testnet: faults, and the life of its nodes; the same for the command line and for
the page in a browser."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nectar_node.base.errors import BadInput, NotRunning
from nectar_node.console import output
from nectar_node.launcher.launch import StartedNode
from nectar_node.launcher.local_network import LocalNetwork
from testnet.faults.catalogue import make
from testnet.real.links.client import LinksProcess, Row
from testnet.real.nodes.processes import NodeProcesses


def add_fault(network: LocalNetwork, kind: str, given: dict[str, Any], seconds: float | None) -> Row:
    """Let a fault hold, for so many seconds or until it is removed, and return its row (`testnet.real.links.control`).

    Raises BadInput, also for what is wrong with a parameter (`testnet.faults.catalogue.BadParameter`), and NodeError.
    """
    if seconds is not None and not math.isfinite(seconds):
        raise BadInput(
            f"A fault cannot hold for {seconds} seconds: give a number, or leave --for out to remove it later."
        )
    make(kind, given)
    return LinksProcess(network).ask("apply", kind=kind, parameters=given, seconds=seconds)


def remove_faults(network: LocalNetwork, number: int | None) -> list[Row]:
    """Remove a fault, or all of them, and return their rows; raises NodeError."""
    removed: list[Row] = LinksProcess(network).ask("remove", number=number)["removed"]
    return removed


def parse_parameters(words: list[str]) -> dict[str, Any]:
    """Return the values in KEY=VALUE …, each JSON or a text; raises BadInput."""
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            raise BadInput(f"{word!r} is not a parameter of a fault: expected KEY=VALUE, such as seconds=0.2.")
        try:
            found[key] = json.loads(value)
        except (ValueError, RecursionError):
            found[key] = value
    return found


def parse_where(between: str, source: str, target: str, node: str) -> dict[str, Any]:
    """Return the links that are meant, in a schedule's words; raises BadInput."""
    if [bool(between), bool(source or target), bool(node)].count(True) > 1:
        raise BadInput("Give one of --between A,B, --node A, and --from A with --to B.")
    found: dict[str, Any] = {"node": node} if node else {}
    found |= {key: name for key, name in (("source", source), ("target", target)) if name}
    if between:
        found["between"] = [name.strip() for name in between.split(",")]
    return found


def absolute(kind: str) -> str:
    """Return `kind`, with the whole path if it names a class in a file: the links run in another folder."""
    path, colon, name = kind.rpartition(":")
    return f"{Path(path).absolute()}:{name}" if colon else kind


@dataclass(frozen=True, slots=True)
class NodeOrder:
    """What has become of a node."""

    state: str
    sentence: str
    warnings: tuple[str, ...] = ()
    started: StartedNode | None = None


def kill(network: LocalNetwork, name: str) -> NodeOrder:
    """Kill a node, as a crash would. Raises NodeError, as all of these do."""
    _require(_nodes(network, name).crash(name), network, name)
    return NodeOrder("killed", f"{name} is dead. `{network.command('testnet restart', name)}` starts it again.")


def pause(network: LocalNetwork, name: str) -> NodeOrder:
    """Pause a node, as closing a laptop's lid would."""
    _require(_nodes(network, name).pause(name), network, name)
    return NodeOrder("paused", f"{name} is paused. `{network.command('testnet resume', name)}` resumes it.")


def resume(network: LocalNetwork, name: str) -> NodeOrder:
    """Resume a paused node."""
    _require(_nodes(network, name).resume(name), network, name)
    return NodeOrder("running", f"{name} goes on.")


def restart(network: LocalNetwork, name: str) -> NodeOrder:
    """Stop a node, if it runs, and start it with the same options."""
    nodes = _nodes(network, name)
    nodes.stop(name)
    node = nodes.start(name)
    if node is None:
        raise NotRunning(f"{name} has been started by another command meanwhile.")
    where = output.endpoint(list(node.endpoint))
    links = LinksProcess(network)
    warnings = (node.warning, links.why_not() if links.pid is None and name in links.left() else None)
    told = tuple(each for each in warnings if each is not None)
    return NodeOrder("running", f"{name} runs as process {node.pid} on {where}.", told, node)


NODE_ORDERS: dict[str, Callable[[LocalNetwork, str], NodeOrder]] = {
    each.__name__: each for each in (kill, pause, resume, restart)
}
"""By the name of the command."""


def _nodes(network: LocalNetwork, name: str) -> NodeProcesses:
    network.node(name)
    return NodeProcesses(network)


def _require(ran: bool, network: LocalNetwork, name: str) -> None:
    if not ran:
        raise NotRunning(f"{name} is not running: start it with `{network.command('testnet restart', name)}`.")
