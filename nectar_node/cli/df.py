"""`nectar df` and `nectar state`: what the packages of a node have on its disk, what they may have, and what their
processes have saved.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nectar_node.base.errors import NeedsConsent
from nectar_node.console import output
from nectar_node.console.asking import agrees
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork

_HEADINGS = ("PACKAGE", "USED", "QUOTA", "FULL", "FILES", "MAX FILES", "DRIVES", "STATES")
app = typer.Typer(help="Show and remove the states that processes have saved.", no_args_is_help=True)
_STATES = ("PROCESS", "PACKAGE", "SIZE", "STATUS")
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
