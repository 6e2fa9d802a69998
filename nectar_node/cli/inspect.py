"""`nectar ps` and `nectar peers`: the processes of one node, and the nodes that it knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork

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
"""The columns that a narrow terminal leaves out, in this order; `nectar ps ADDRESS` shows everything."""
_LABELS = {"memory_bytes": "memory", "cpu_seconds": "CPU", "running_seconds": "running for"}
_PEER_COLUMNS = {
    "name": "NAME",
    "state": "STATE",
    "route": "ROUTE",
    "round_trip_seconds": "RTT",
    "host": "HOST",
    "cipher": "CIPHER",
    "bytes_sent": "SENT",
    "bytes_received": "RECEIVED",
    "queue": "QUEUE",
    "memory_bytes": "MEMORY",
    "since": "SINCE",
    "last_error": "LAST ERROR",
}
_PLACES = {
    "held": "keeps a place",
    "refused": "no place",
    "awaited": "asked for a place",
    "unreachable": "no place",
}
"""What a router of the node has said: others reach the node through those that keep a place."""
_PEER_OPTIONAL = ("CIPHER", "MEMORY", "HOST", "RECEIVED", "SENT", "QUEUE", "SINCE", "RTT", "ROUTE", "LAST ERROR")


def ps(
    node: options.Node,
    address: Annotated[
        str | None, typer.Argument(metavar="ADDRESS", help="One process, in full: process:package:publisher.")
    ] = None,
    tree: Annotated[bool, typer.Option("--tree", help="List children below the process that made them.")] = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """List the processes of a node, or show one of them in full."""
    if address is not None:
        return _show_one(node, address, directory, as_json)
    columns = _Columns(_PROCESS_COLUMNS, _PROCESS_OPTIONAL, "PROCESS", (), _cell, _as_tree if tree else list)
    answer = _show(node, directory, ("ps", "processes"), columns, as_json)
    for row in answer.get("not_running", ()) if not as_json else ():
        output.complain(f"{row['process']} does not run again: {row['why']}.")
    if answer.get("unsigned") and not as_json:
        output.warn(f"Unsigned, so nothing proves who has published them: {', '.join(answer['unsigned'])}.")
    return 0


def peers(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """List the nodes that a node knows, and how each is reached. Also since when, and what went wrong last.

    For the node's own routers STATE says whether they keep a place: others reach the node through these. RTT is the
    time of the last ping and its answer. QUEUE is what the other node has not confirmed yet, MEMORY what waits here
    from it and for it.
    """
    columns = _Columns(_PEER_COLUMNS, _PEER_OPTIONAL, "LAST ERROR", ("LAST ERROR",), _peer_cell)
    answer = _show(node, directory, ("peers", "peers"), columns, as_json)
    failures = answer.get("failures")
    if failures and not as_json:
        rows = [row for row in answer["peers"] if row.get("failures")]
        whom = "".join(f", with {row['name']} {row['failures']}" for row in rows)
        output.complain(
            f"The code of {node} itself has failed {failures} times at connections{whom}: its log says why."
        )
    return 0


class _Columns(NamedTuple):
    """How rows become a table."""

    headings: Mapping[str, str]
    """Headings, by the keys of the rows, or of what a cell makes of them."""
    optional: Sequence[str]
    """Columns that may be left out, the first one first."""
    broken: str
    """The column whose cells may be broken."""
    roomy: Sequence[str]
    """Columns that are kept wide enough for a few words (`output.print_table`)."""
    cell: Callable[[Answer, str], str]
    order: Callable[[list[Answer]], list[Answer]] = list
    """The order of the rows."""


def _show(
    node: str,
    directory: Path,
    query: tuple[str, str],
    columns: _Columns,
    as_json: bool,
) -> Answer:
    """Print a node's answer as a table, and return the answer.

    `query` is the command, and the key of its answer's rows.
    """
    command, key = query
    with LocalNetwork.find(directory).connect(node) as client:
        answer = client.ask(command)
    if as_json:
        output.print_json(answer)
        return answer
    headings = tuple(columns.headings.values())
    unbroken = [heading for heading in headings if heading != columns.broken]
    output.print_table(headings, _rows(answer, key, columns), unbroken, columns.optional, columns.roomy)
    return answer


def _show_one(node: str, address: str, directory: Path, as_json: bool) -> int:
    with LocalNetwork.find(directory).connect(node) as client:
        answer = client.ask("ps", address=address)
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


def _rows(answer: Answer, key: str, columns: _Columns) -> list[list[str]]:
    rows = columns.order([row for row in answer.get(key, ()) if isinstance(row, dict)])
    return [[columns.cell(row, column) for column in columns.headings] for row in rows]


def _as_tree(rows: list[Answer]) -> list[Answer]:
    """Return each process before its children, with the number of its ancestors as its `depth`.

    A process whose parent has ended has none.
    """
    there = {_process(row) for row in rows}
    children: dict[object, list[Answer]] = {}
    for row in rows:
        children.setdefault(row.get("parent") if row.get("parent") in there else None, []).append(row)
    ordered: list[Answer] = []
    left = [(row, 0) for row in reversed(children.pop(None, []))]
    while left:
        row, depth = left.pop()
        ordered.append({**row, "depth": depth})
        left += [(child, depth + 1) for child in reversed(children.pop(_process(row), []))]
    # A process that has the name of an ended parent of one of its ancestors is in no tree.
    return ordered + [row for rest in children.values() for row in rest]


def _process(row: Answer) -> str:
    return str(row.get("address")).rpartition("@")[2]


def _peer_cell(row: Answer, column: str) -> str:
    match column, row:
        case "state", {"state": str(state), "place": str(place)}:
            return f"{state}, {_PLACES.get(place, place)}"
        case "route", {"state": "up", "router": str(router)}:
            return f"via {router}"
        case "route", {"state": "up"}:
            return "direct"
        case "queue", {"queued_messages": int(messages), "queued_bytes": int(size)}:
            return f"{messages}, {output.size(size)}" if messages else "0"
        case "round_trip_seconds", {"round_trip_seconds": int() | float() as seconds}:
            return output.short_time(seconds)
        case "since", {"since": str(since)}:
            return output.moment(since)
        case "last_error", {"last_error": str(error), "last_error_time": str(at)}:
            return f"{output.moment(at)} {error}"
    return _cell(row, column)


def _cell(row: Answer, column: str) -> str:
    if column == "process":
        return "  " * int(row.get("depth", 0)) + _process(row)
    value = row.get(column)
    if column == "state" and "messages" in row:
        return output.short_state(value)
    if "bytes" in column and isinstance(value, int):
        return output.size(value)
    if "seconds" in column and isinstance(value, (int, float)):
        return f"{value:.2f} s" if value < 10 else output.duration(value)
    return str(len(value)) if isinstance(value, list) else output.cell(row, column)
