"""Asks a user at their terminal what a package may do; if nobody can be asked, says exactly what to type."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from nectar_node.base.consent import Consent
from nectar_node.base.errors import NeedsConsent
from nectar_node.base.folder import NodeFolder
from nectar_node.console import output
from nectar_node.console.asking import agrees

Grant = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WHAT",
        help="Grant this without asking: a power, a capability that the package asks for, or all; repeatable.",
    ),
]
Deny = Annotated[
    list[str] | None,
    typer.Option(metavar="WHAT", help="A capability to withhold, as the table shows it, or a power; repeatable."),
]
Replace = Annotated[bool, typer.Option("--replace", help="Take the place of a package that came from elsewhere.")]
AllowSys = Annotated[
    bool,
    typer.Option("--allow-sys", help="For developers of the node: run a package of publisher sys that is not its own."),
]


def settle(row: Mapping[str, Any], said: Consent, *, as_json: bool = False) -> Consent:
    """Return what the user says after being asked about a row of `nectar_node.packages.review.question_row`.

    Raises NeedsConsent.
    """
    asks: Sequence[Mapping[str, Any]] = row.get("asks", ())
    replaces = row.get("replaces")
    if not asks and replaces is None:
        return said
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NeedsConsent(output.one_line(str(row.get("demand"))))
    package = row.get("package")
    if asks:
        output.say(f"{package} asks for what it gets only if you say so:")
        width = max(len(str(each["power"])) for each in asks)
        for each in asks:
            what = f"  {each['power']!s:{width}}  to {each['allows']} ({each['capability']})"
            output.say(_hanging(output.one_line(what), width + 4))
    if replaces is not None:
        output.say(
            output.one_line(f"It takes the place of the {package} from {replaces}, with its files and its state.")
        )
    if not agrees(f"Start {package}{' with that' if asks else ''}? [y/N] "):
        raise NeedsConsent(f"{package} is not started: you did not say yes. --deny WHAT starts it without some of it.")
    given = tuple(str(each["capability"]) for each in asks)
    return replace(said, grant=(*said.grant, *given), replaces=said.replaces or replaces is not None)


def _hanging(text: str, indent: int) -> str:
    """Return `text` broken between words at the width of the terminal; all lines but the first are indented."""
    columns = max(indent + 20, shutil.get_terminal_size().columns)
    lines = textwrap.wrap(text, columns, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def for_boot(folder: NodeFolder, packages: Sequence[Path], said: Consent) -> Consent:
    """Return what the user says about packages that a node is to boot with: its own process may have no terminal.

    Raises NodeError if one of them cannot be started at all.
    """
    if not packages or folder.owner() is not None:
        return said  # one that runs already is not started: its user need not be asked
    # Imported only here: they take as long to load as the whole command line.
    from nectar_node.packages.kept_decisions import read_decisions
    from nectar_node.packages.review import question_row, review
    from nectar_node.packages.startable import read_startable

    our = folder.path.name
    decisions = read_decisions(folder, our)
    for path in packages:
        if not path.exists():
            continue  # the node may have a copy
        package = read_startable(path, our)
        reviewed = review(package, decisions.of(package.id), said, our)
        said = settle(question_row(package, reviewed.question, our), said)
    return said
