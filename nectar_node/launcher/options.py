"""The options that several commands share, and their defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from kernel.contract.address import OUR_NODE
from nectar_node.base.errors import BadInput, NodeError
from nectar_node.base.folder import REGISTRAR_NAME
from nectar_node.launcher.client import ControlClient
from nectar_node.launcher.local_network import DIRECTORY_VARIABLE, LocalNetwork, usual_folder

NODE_VARIABLE = "NECTAR_NODE"
"""The environment variable that names the node to ask."""
COMPLETION_SECONDS = 2.0
"""Seconds that a node may take while somebody waits for their shell to complete a word."""


def complete_node(context: typer.Context, incomplete: str) -> list[str]:
    """Return the nodes whose names begin with `incomplete`, for the shell's completion."""
    try:
        return [name for name in LocalNetwork(_folder(context)).names() if name.startswith(incomplete)]
    except (OSError, NodeError):
        return []


def _choose_node(context: typer.Context, name: str) -> str:
    """Return the node that was named, or the only one beside the registrar; raises NodeError."""
    return name if name or context.resilient_parsing else only_node(LocalNetwork.find(_folder(context)))


def only_node(network: LocalNetwork) -> str:
    """Return the only node beside the registrar; raises BadInput."""
    nodes = [each for each in network.names() if each != REGISTRAR_NAME]
    if len(nodes) != 1:
        there = ", ".join(nodes) if nodes else f"none but {REGISTRAR_NAME}"
        raise BadInput(f"Which node? There are {there}: say --node NAME, or set {NODE_VARIABLE}.")
    return nodes[0]


def complete_package(context: typer.Context, incomplete: str) -> list[str]:
    """Return the packages of the node that begin with `incomplete`, for the shell's completion."""
    return [each for each in _told(context, "installed", "packages", "package") if each.startswith(incomplete)]


def complete_process(context: typer.Context, incomplete: str) -> list[str]:
    """Return the addresses of the node's processes that begin with `incomplete`, for the shell's completion."""
    found = (f"{OUR_NODE}@{each.rpartition('@')[2]}" for each in _told(context, "ps", "processes", "address"))
    return [each for each in found if each.startswith(incomplete)]


def _told(context: typer.Context, command: str, rows: str, column: str) -> list[str]:
    """Return a column of what the node that is meant tells; nothing if there is no such node, or if it is silent."""
    try:
        with connect_completing(context) as client:
            return [str(row[column]) for row in client.ask(command, COMPLETION_SECONDS)[rows]]
    except (OSError, NodeError, KeyError, TypeError):
        return []


def connect_completing(context: typer.Context) -> ControlClient:
    """Connect to the node that is meant by what has been typed of a command; raises NodeError and OSError."""
    network = LocalNetwork(_folder(context))
    return network.connect(context.params.get("node") or os.environ.get(NODE_VARIABLE) or only_node(network))


def _folder(context: typer.Context) -> Path:
    """Return the folder of --dir, which the parser knows before any default."""
    return Path(context.params.get("directory") or usual_folder())


Directory = Annotated[
    Path,
    typer.Option("--dir", metavar="D", file_okay=False, envvar=DIRECTORY_VARIABLE, help="The testnet's folder."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Node = Annotated[
    str,
    typer.Option(
        "--node",
        metavar="NAME",
        help="The node to ask, such as send.nec.",
        default_factory=str,
        show_default="the only one",
        envvar=NODE_VARIABLE,
        callback=_choose_node,
        autocompletion=complete_node,
    ),
]
