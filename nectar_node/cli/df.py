"""`nectar df`: what the packages of a node have on its disk, and what they may have."""

from __future__ import annotations

from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork

_HEADINGS = ("PACKAGE", "USED", "QUOTA", "FULL", "FILES", "MAX FILES", "DRIVES", "STATES")
_OPTIONAL = ("STATES", "DRIVES", "MAX FILES", "FILES")
"""The columns that a narrow terminal leaves out, in this order."""


def df(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Show the disk space that each package uses, and may use.

    USED is the size of its drives and of the saved states of its processes, each file as long as it appears. QUOTA is
    how much that may be, and FULL the part of it that is used. FILES counts files, folders and states, and MAX FILES is
    how many there may be.
    """
    with LocalNetwork.find(directory).connect(node) as client:
        answer = client.ask("df")
    if as_json:
        output.print_json(answer)
        return 0
    rows = [_row(row) for row in answer.get("packages", ()) if isinstance(row, dict)]
    output.print_table(_HEADINGS, rows, _HEADINGS[1:], _OPTIONAL)
    free, total, floor = (answer.get(key) for key in ("free", "total", "floor"))
    if isinstance(free, int) and isinstance(total, int) and isinstance(floor, int):
        sizes = f"{output.size(free)} of {output.size(total)} are free"
        room = f"packages leave {output.size(floor)} of that to the node"
        output.complain(f"The disk: {sizes}; {room}." if free >= floor else f"The disk is full: {sizes}; {room}.")
    return 0


def _row(row: Answer) -> tuple[str, ...]:
    used, quota = _number(row, "bytes"), row.get("quota_bytes")
    return (
        str(row.get("package")),
        output.size(used),
        output.size(quota) if isinstance(quota, int) else "-",
        f"{100 * used // max(1, quota)} %" if isinstance(quota, int) else "-",
        str(_number(row, "files")),
        output.cell(row, "quota_files"),
        output.size(_number(row, "drive_bytes")),
        output.size(_number(row, "state_bytes")),
    )


def _number(row: Answer, key: str) -> int:
    value = row.get(key)
    return value if isinstance(value, int) else 0
