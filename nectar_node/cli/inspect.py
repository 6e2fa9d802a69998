"""`nectar ps` and `nectar peers`: look into one node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.cli import options, output
from nectar_node.cli.client import Answer
from nectar_node.cli.network import DEFAULT_FOLDER, Network

_PROCESS_COLUMNS = {
    "process": "PROCESS",
    "state": "STATE",
    "messages": "MSGS",
    "inbox": "INBOX",
    "memory_bytes": "MEMORY",
    "cpu_seconds": "CPU",
    "restarts": "RST",
    "capabilities": "CAPS",
    "public": "PUBLIC",
    "on_exit": "ON EXIT",
}
_PROCESS_OPTIONAL = ("ON EXIT", "PUBLIC", "INBOX", "CAPS", "RST", "CPU")
"""What a narrow terminal has no room for, in this order; `nectar ps ADDRESS` shows everything."""
_LABELS = {"memory_bytes": "memory", "cpu_seconds": "CPU", "running_seconds": "running for"}
_PEER_COLUMNS = {
    "name": "NAME",
    "state": "STATE",
    "host": "HOST",
    "bytes_sent": "SENT",
    "bytes_received": "RECEIVED",
    "queued_bytes": "QUEUED",
}
_PEER_OPTIONAL = ("QUEUED", "HOST", "RECEIVED", "SENT")


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
    return _show(node, directory, ("ps", "processes"), (_PROCESS_COLUMNS, _PROCESS_OPTIONAL), as_json)


def peers(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """List the nodes that a node knows, and what went to and fro."""
    return _show(node, directory, ("peers", "peers"), (_PEER_COLUMNS, _PEER_OPTIONAL), as_json)


def _show(
    node: str,
    directory: Path,
    query: tuple[str, str],
    columns: tuple[Mapping[str, str], Sequence[str]],
    as_json: bool,
) -> int:
    """`columns`: keys of the answer's rows with their headings, and the headings that may be left out."""
    command, key = query
    headings, optional = columns
    with Network.find(directory).connect(node) as client:
        answer = client.request(command)
    if as_json:
        output.print_json(answer)
        return 0
    name, *others = headings.values()
    output.print_table((name, *others), _rows(answer, key, headings), others, optional)
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


def _rows(answer: Answer, key: str, columns: Iterable[str]) -> list[list[str]]:
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
