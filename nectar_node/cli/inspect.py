"""`nectar ps` and `nectar peers`: look into one node."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.cli import options, output
from nectar_node.cli.client import Answer
from nectar_node.cli.network import DEFAULT_FOLDER, Network

_PROCESS_COLUMNS = {
    "process": 0,
    "state": 0,
    "messages": 0,
    "inbox": 60,
    "memory_bytes": 0,
    "cpu_seconds": 66,
    "restarts": 100,
    "capabilities": 100,
    "public": 100,
    "on_exit": 100,
}
"""Column, and the least width of a terminal that has room for it; `nectar ps ADDRESS` shows everything."""
_HEADINGS = {"memory_bytes": "MEMORY", "cpu_seconds": "CPU", "capabilities": "CAPS", "on_exit": "ON EXIT"}
_LABELS = {"memory_bytes": "memory", "cpu_seconds": "CPU", "running_seconds": "running for"}
_PEER_COLUMNS = ("name", "state", "host", "bytes_sent", "bytes_received", "queued_bytes")


def ps(
    node: options.Node,
    address: Annotated[
        str | None, typer.Argument(metavar="ADDRESS", help="One process, in full: process:package:publisher.")
    ] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """List the processes that run on a node, or show one of them in full."""
    if address is not None:
        return _show_one(node, address, directory, as_json)
    width = output.width()
    columns = [each for each, least in _PROCESS_COLUMNS.items() if width is None or width >= least]
    return _show(node, directory, ("ps", "processes"), columns, as_json)


def peers(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """List the nodes that a node knows, and what went to and fro."""
    return _show(node, directory, ("peers", "peers"), _PEER_COLUMNS, as_json)


def _show(node: str, directory: Path, query: tuple[str, str], columns: Sequence[str], as_json: bool) -> int:
    command, key = query
    with Network.find(directory).connect(node) as client:
        answer = client.request(command)
    if as_json:
        output.print_json(answer)
        return 0
    headings = [_HEADINGS.get(column, column.replace("_", " ").upper()) for column in columns]
    output.print_table(headings, _rows(answer, key, columns), headings[1:])
    return 0


def _show_one(node: str, address: str, directory: Path, as_json: bool) -> int:
    with Network.find(directory).connect(node) as client:
        answer = client.request("ps", address=address)
    process = answer.get("process")
    row: Answer = process if isinstance(process, dict) else {}
    if as_json:
        output.print_json(row)
        return 0
    labels = {key: _LABELS.get(key, key.replace("_", " ")) for key in row}
    width = max(map(len, labels.values()), default=0)
    for key, label in labels.items():
        value = row[key]
        if key == "capabilities":
            held = [str(each) for each in value] if isinstance(value, list) else []
            value = f"\n{' ' * (width + 2)}".join(held) or "none"
        elif key != "state":  # that is one word in tables only
            value = _cell(row, key)
        output.say(f"{label:{width}}  {value}")
    return 0


def _rows(answer: Answer, key: str, columns: Sequence[str]) -> list[list[str]]:
    rows = [row for row in answer.get(key, ()) if isinstance(row, dict)]
    return [[_cell(row, column) for column in columns] for row in rows]


def _cell(row: Answer, column: str) -> str:
    if column == "process":
        return str(row.get("address")).rpartition("@")[2]
    value = row.get(column)
    if column == "state" and "messages" in row:
        return output.short_state(value)
    if "bytes" in column and isinstance(value, int):
        return output.size(value)
    if "seconds" in column and isinstance(value, (int, float)):
        return f"{value:.2f} s" if value < 10 else output.duration(value)
    return str(len(value)) if isinstance(value, list) else output.cell(row, column)
