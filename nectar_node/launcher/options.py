"""The options that several commands share, and their defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base.errors import BadInput, NodeError
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher.local_network import DIRECTORY_VARIABLE, LocalNetwork, usual_folder

NODE_VARIABLE = "NECTAR_NODE"
"""The environment variable that names the node to ask."""


def complete_node(context: typer.Context, incomplete: str) -> list[str]:
    """Return the nodes whose names begin with `incomplete`, for the shell's completion."""
    try:
        return [name for name in LocalNetwork(_folder(context)).names() if name.startswith(incomplete)]
    except (OSError, NodeError):
        return []


def _choose_node(context: typer.Context, name: str) -> str:
    """Return the node that was named, or the only one beside the registrar; raises NodeError."""
    if name or context.resilient_parsing:
        return name
    nodes = [each for each in LocalNetwork.find(_folder(context)).names() if each != REGISTRAR_NAME]
    if len(nodes) != 1:
        there = ", ".join(nodes) if nodes else f"none but {REGISTRAR_NAME}"
        raise BadInput(f"Which node? There are {there}: say --node NAME, or set {NODE_VARIABLE}.")
    return nodes[0]


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
