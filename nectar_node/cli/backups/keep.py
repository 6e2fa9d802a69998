"""`nectar backup accept`, `keeps` and `refuse`: which other nodes' backups a node keeps."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nectar_node.console import output
from nectar_node.console.asking import agrees
from nectar_node.console.sizes import parse_size
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork, check_name

_HEADINGS = ("OWNER", "USED", "QUOTA", "OBJECTS", "MAY")
_REMOVE_SECONDS = 24 * 3600.0
"""How long removing a backup may take."""

Owner = Annotated[str, typer.Argument(metavar="OWNER", help="The node whose backup it is, such as send.nec.")]


def accept(
    owner: Owner,
    node: options.Node,
    quota: Annotated[str, typer.Option(metavar="SIZE", help="How much it may have here, such as 10GiB.")],
    append_only: Annotated[
        bool,
        typer.Option(
            "--append-only", help="It may add, and remove nothing: who steals its keys cannot remove its copies."
        ),
    ] = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Agree to keep the encrypted backup of another node.

    This node cannot read it. Once more for the same OWNER changes what it may have.
    """
    check_name(owner)
    size = parse_size(quota)
    with LocalNetwork.find(directory).connect(node) as client:
        answer = client.ask("accept", name=owner, quota=size, append_only=append_only)
    output.tell(
        answer,
        f"{node} keeps up to {output.size(size)} for {owner}, which now can say "
        f"`nectar backup add NAME node://{node} --node {owner}`.",
        as_json=as_json,
    )
    return 0


def keeps(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """List the nodes whose backups this node keeps.

    MAY says what each may do: all, add (and remove nothing), or nothing, where only what it has left is still there.
    """
    with LocalNetwork.find(directory).connect(node) as client:
        answer = client.ask("keeps")
    if as_json:
        output.print_json(answer)
        return 0
    rows = [_row(row) for row in answer.get("keeps", ()) if isinstance(row, dict)]
    output.print_table(_HEADINGS, rows, ("USED", "QUOTA", "OBJECTS"))
    return 0


def refuse(
    owner: Owner,
    node: options.Node,
    delete: Annotated[
        bool | None, typer.Option("--delete/--leave", help="Remove what it has here, or leave it, without asking.")
    ] = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Keep nothing more for another node.

    What it has here stays unless you say that it is to be removed; a later `accept` gives it back to the node.
    """
    with LocalNetwork.find(directory).connect(node) as client:
        answer = client.ask("refuse", name=owner)
        count = _number(answer, "objects")
        there = f"{count} {'object' if count == 1 else 'objects'}, {output.size(_number(answer, 'bytes'))}"
        if not _number(answer, "objects"):
            delete = True  # nothing that anybody could miss
        elif delete is None and not as_json and sys.stdin.isatty() and sys.stdout.isatty():
            delete = agrees(f"{owner} has {there} on {node}. Remove that for good? [y/N] ")
        if delete and _number(answer, "objects"):
            answer = client.ask("refuse", patience=_REMOVE_SECONDS, name=owner, removes=True)
    lies = f"{there}, is removed" if delete else f"{there}, is still in {node}'s folder `kept`: --delete removes it"
    if not _number(answer, "objects"):
        lies = "nothing, is there"
    output.tell(answer, f"{node} keeps nothing more for {owner}. What it had here, {lies}.", as_json=as_json)
    return 0


def _row(row: Answer) -> tuple[str, ...]:
    quota = row.get("quota")
    may = "nothing" if quota is None else "add" if row.get("append_only") else "all"
    shown = "-" if not isinstance(quota, int) else output.size(quota)
    return (
        str(row.get("owner")),
        output.size(_number(row, "bytes")),
        shown,
        str(_number(row, "objects")),
        may,
    )


def _number(row: Answer, key: str) -> int:
    value = row.get(key)
    return value if isinstance(value, int) else 0
