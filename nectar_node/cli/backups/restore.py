"""`nectar restore`: a node from one of its copies, on a machine that has nothing but the recovery phrase."""

from __future__ import annotations

import getpass
import os
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.backup.format.errors import BackupError
from nectar_node.backup.format.heads import Head
from nectar_node.backup.format.keys import phrase_key
from nectar_node.backup.operations import Remote
from nectar_node.backup.stores.node_backups import restore_node
from nectar_node.backup.stores.node_messages import SCHEME
from nectar_node.backup.stores.node_remote import NodeRemote
from nectar_node.base.errors import BadInput, CannotJoin
from nectar_node.base.program import load_module
from nectar_node.cli.backups.visitor import keeper_and_owner, visiting
from nectar_node.console import output, progress
from nectar_node.contract.config import NODES_FOLDER, GenesisFile
from nectar_node.launcher import options
from nectar_node.launcher.arguments import parse_invitation
from nectar_node.launcher.boot_options import BootOptions
from nectar_node.launcher.local_network import LocalNetwork

PHRASE_VARIABLE = "NECTAR_PHRASE_FILE"
"""The environment variable that names a file with the recovery phrase."""
_MAX_PHRASE_BYTES = 4096

Url = Annotated[
    str,
    typer.Argument(metavar="URL", help="Where the copies are, as in `nectar backup add`, or node://KEEPER/OWNER."),
]
Into = Annotated[
    Path,
    typer.Option("--into", metavar="DIR", file_okay=False, help="The folder to make: the node is in DIR/nodes/NAME."),
]
At = Annotated[
    str,
    typer.Option(metavar="TIME", help="The newest copy that is not later than this, such as 2026-11-30T14:00."),
]
AtLeast = Annotated[
    int | None, typer.Option(metavar="N", min=0, help="Refuse a remote whose newest copy has a number less than N.")
]
Join = Annotated[
    Path | None,
    typer.Option(
        metavar="D",
        file_okay=False,
        help="A folder with the testnet.json of the network: its registrar knows the newest copy's number.",
    ),
]
PhraseFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help=f"A file with the recovery phrase; else {PHRASE_VARIABLE} names it, or a prompt asks."
    ),
]
Invitation = Annotated[
    str, typer.Option(metavar="TOKEN", help="With --join: an invitation, if that network wants one for a new name.")
]


def restore(
    url: Url,
    into: Into,
    at: At = "",
    at_least: AtLeast = None,
    join: Join = None,
    phrase_file: PhraseFile = None,
    invitation: Invitation = "",
    as_json: options.AsJson = False,
) -> int:
    """Restore a node from a copy.

    It comes back with its identity, packages, processes, grants and files, and must run in one place only: stop the old
    one first, if it still runs. From node://KEEPER/OWNER, a node with a new name reads it, and is gone afterwards.
    """
    when = _milliseconds(at) if at else None
    names = keeper_and_owner(url) if url.startswith(SCHEME) else None
    if names is not None and join is None:
        raise BadInput(f"To reach {names[0]}, name a folder with the testnet.json of its network: --join D.")
    if names is None and invitation:
        raise BadInput(f"--invitation is for node://KEEPER/OWNER, and {url!r} is none.")
    genesis = None if join is None or at_least is not None else GenesisFile.load(join)
    phrase = _phrase(phrase_file)
    key = phrase_key(phrase)
    with ExitStack() as stack:
        display = stack.enter_context(progress.display(output.console(sys.stderr), "restore"))
        shown = progress.TransferDisplay(display)
        remote: Remote | None = None
        if names is not None and join is not None:
            keeper, owner = names
            boot_options = BootOptions(invitation=parse_invitation(invitation) if invitation else None)
            node = stack.enter_context(visiting(join, boot_options))
            there = NodeRemote(keeper, owner, node, key)
            there.enter()
            url, remote = SCHEME + keeper, there
        restored = restore_node(
            url,
            phrase,
            into,
            NODES_FOLDER,
            at=when,
            least=at_least or 0,
            progress=lambda done, total: shown.show("", done, total),
            check=lambda newest: _check_newest(genesis, newest, url),
            remote=remote,
        )
    head = restored.head
    boot = LocalNetwork(into).boot(head.node)
    output.tell(
        {"node": head.node, "copy": head.number, "files": head.files, "bytes": head.bytes, "folder": str(into)},
        f"{head.node} is restored from copy {head.number}: {head.files} files, {output.size(head.bytes)}. "
        f"Start it with `{boot}`.",
        as_json=as_json,
    )
    return 0


def _check_newest(genesis: GenesisFile | None, newest: Head, url: str) -> None:
    """Refuse a remote whose newest copy is older than the one that the node's name record tells of, if that can be
    asked for. Raises BackupError.
    """
    if genesis is None:
        return
    try:
        record = load_module("nectar_node.driver.name_lookup").look_up(genesis, newest.node)
    except CannotJoin as error:
        output.complain(f"{error} Whether {url} shows the newest copy is not checked.")
        return
    if record is None:
        output.complain(f"The registrar has no record of {newest.node}: whether {url} is up to date is not checked.")
    elif record.copy > newest.number:
        raise BackupError(
            f"{url} has copy {newest.number} as its newest, and {newest.node} has told its network of copy "
            f"{record.copy}: it shows an older state, or has lost copies. Restore from another place, or accept this "
            f"one with `--at-least {newest.number}`."
        )


def _milliseconds(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError, OSError) as error:
        raise BadInput(f"{text!r} is not a time: expected one such as 2026-11-30T14:00.") from error


def _phrase(file: Path | None) -> str:
    named = os.environ.get(PHRASE_VARIABLE)
    path = file if file is not None else Path(named) if named else None
    if path is not None:
        try:
            with path.open("rb") as source:
                return source.read(_MAX_PHRASE_BYTES).decode(errors="replace")
        except OSError as error:
            raise BadInput(f"Cannot read the recovery phrase in {path}: {error.strerror}.") from error
    if not sys.stdin.isatty():
        raise BadInput(
            f"The recovery phrase is needed, and there is no terminal to ask for it: name a file in {PHRASE_VARIABLE}."
        )
    try:
        return getpass.getpass("Recovery phrase: ")
    except EOFError as error:
        raise BadInput("No recovery phrase was given: nothing was restored.") from error
