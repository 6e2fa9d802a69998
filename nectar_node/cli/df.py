"""`nectar df` and `nectar state`: what the packages of a node have on its disk, what they may have, and what their
processes have saved.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.base.errors import NeedsConsent
from nectar_node.base.folder import NodeFolder
from nectar_node.console import output
from nectar_node.console.asking import agrees
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from nectar_node.storage.database import STORE_FILE, STORE_FILES

_HEADINGS = ("PACKAGE", "USED", "QUOTA", "FULL", "FILES", "MAX FILES", "DRIVES", "STATES")
app = typer.Typer(help="Show and remove the states that processes have saved.", no_args_is_help=True)
_STATES = ("PROCESS", "PACKAGE", "SIZE", "STATUS")
_KINDS = dict.fromkeys((*STORE_FILES, f"{STORE_FILE}-shm"), STORE_FILE) | {"log.1": "log", "trace.1": "trace"}
"""What a file or folder of the node counts as, if not as its name."""
_SHOWN = 4
"""Kinds of the node's own files that are told by name."""
_OPTIONAL = ("STATES", "DRIVES", "MAX FILES", "FILES")
"""The columns that a narrow terminal leaves out, in this order."""


def df(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Show the disk space that each package uses, and may use.

    USED is the size of its drives and of the saved states of its processes, each file as long as it appears. QUOTA is
    how much that may be, and FULL the part of it that is used. FILES counts files, folders and states, and MAX FILES is
    how many there may be. The package that uses most comes first. What the node itself keeps is told below.
    """
    place = LocalNetwork.find(directory)
    with place.connect(node) as client:
        answer = client.ask("df")
    own = _own_files(place.place(node))
    if as_json:
        output.print_json({**answer, "own": own})
        return 0
    found = [row for row in answer.get("packages", ()) if isinstance(row, dict)]
    rows = [_row(row) for row in sorted(found, key=lambda row: -_number(row, "bytes"))]
    output.print_table(_HEADINGS, rows, _HEADINGS[1:], _OPTIONAL)
    parts = ", ".join(f"{name} {output.size(size)}" for name, size in islice(own.items(), _SHOWN))
    output.complain(f"The node's own files: {output.size(sum(own.values()))} ({parts or 'nothing'}).")
    if keeps := _number(answer, "keeps_bytes"):
        output.complain(f"Backups of other nodes: {output.size(keeps)}. `nectar backup keeps` lists them.")
    free, total, floor = (answer.get(key) for key in ("free", "total", "floor"))
    if isinstance(free, int) and isinstance(total, int) and isinstance(floor, int):
        sizes = f"{output.size(free)} of {output.size(total)} are free"
        room = f"packages leave {output.size(floor)} of that to the node"
        output.complain(f"The disk: {sizes}; {room}." if free >= floor else f"The disk is full: {sizes}; {room}.")
    return 0


@app.command("list")
def list_states(
    node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False
) -> int:
    """List what processes have saved for their next lives.

    STATUS is gone for a process that has ended for good: nobody reads its state, unless a process of that name starts.
    """
    with LocalNetwork.find(directory).connect(node) as client:
        answer = client.ask("states")
    if as_json:
        output.print_json(answer)
        return 0
    rows = [
        (str(row.get("process")), str(row.get("package")), output.size(_number(row, "bytes")), str(row.get("status")))
        for row in answer.get("states", ())
        if isinstance(row, dict)
    ]
    output.print_table(_STATES, rows, ("SIZE",), ("PACKAGE",))
    if not rows:
        output.complain(f"No process of {node} has saved anything.")
    return 0


@app.command()
def remove(
    process: Annotated[str, typer.Argument(metavar="PROCESS", help="process:package:publisher, as the list shows it.")],
    node: options.Node,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it without asking.")] = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Remove what a process has saved for its next life, for good. It must not run."""
    with LocalNetwork.find(directory).connect(node) as client:
        if not yes:
            if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
                raise NeedsConsent(f"The state of {process} is not removed: it cannot be had back. --yes removes it.")
            if not agrees(f"Remove the state of {process} on {node} for good? [y/N] "):
                raise NeedsConsent(f"The state of {process} is not removed: you did not say yes.")
        answer = client.ask("remove_state", address=process)
    if as_json:
        output.print_json(answer)
        return 0
    output.say(f"The state of {answer.get('process')} is gone: {output.size(_number(answer, 'bytes'))}.")
    return 0


def _own_files(folder: NodeFolder) -> dict[str, int]:
    """Return the bytes of the node's own files, by what they are; the largest first.

    The drives of packages and the backups of other nodes are told elsewhere.
    """
    sizes: Counter[str] = Counter()
    others = (str(folder.drives), str(folder.kept))
    for place, folders, names in os.walk(folder.path):
        folders[:] = [each for each in folders if os.path.join(place, each) not in others]
        for name in names:
            first = Path(place, name).relative_to(folder.path).parts[0]
            with suppress(OSError):  # removed meanwhile
                sizes[_KINDS.get(first, first)] += os.lstat(os.path.join(place, name)).st_size
    return {name: size for name, size in sizes.most_common() if size}


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
