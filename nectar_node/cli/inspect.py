"""`nectar ps`, `nectar peers` and `nectar install`: look into one node, and give it a package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.cli import options, output
from nectar_node.cli.boot import check_package
from nectar_node.cli.client import Answer
from nectar_node.cli.network import DEFAULT_FOLDER, Network

_PROCESS_COLUMNS = ("address", "state", "inbox", "messages", "memory_bytes", "public", "on_exit")
_PEER_COLUMNS = ("name", "state", "host", "bytes_sent", "bytes_received", "queued_bytes")


def ps(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """List the processes that run on a node."""
    return _show(node, directory, ("ps", "processes"), _PROCESS_COLUMNS, as_json)


def peers(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """List the nodes that a node knows, and what went to and fro."""
    return _show(node, directory, ("peers", "peers"), _PEER_COLUMNS, as_json)


def install(
    package: Annotated[Path, typer.Argument(metavar="FOLDER", help="The package: a folder with a manifest.json.")],
    node: options.Node,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Run the processes of a package on a node."""
    folder = check_package(package)
    with Network.find(directory).connect(node) as client:
        answer = client.request("install", package=str(folder))
    if as_json:
        output.print_json(answer)
    else:
        output.say(f"{node} runs the package in {folder}.")
    return 0


def _show(node: str, directory: Path, query: tuple[str, str], columns: Sequence[str], as_json: bool) -> int:
    command, key = query
    with Network.find(directory).connect(node) as client:
        answer = client.request(command)
    if as_json:
        output.print_json(answer)
        return 0
    output.print_table([column.replace("_", " ").upper() for column in columns], _rows(answer, key, columns))
    return 0


def _rows(answer: Answer, key: str, columns: Sequence[str]) -> list[list[str]]:
    rows = [row for row in answer.get(key, ()) if isinstance(row, dict)]
    return [[_cell(row, column) for column in columns] for row in rows]


def _cell(row: Answer, column: str) -> str:
    value = row.get(column)
    if column == "endpoint":
        return output.endpoint(value)
    if "bytes" in column and isinstance(value, int):
        return output.size(value)
    return output.cell(row, column)
