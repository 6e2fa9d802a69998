"""`nectar run`: runs a script on a node, and shows what it prints and answers."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from nectar_node.base.errors import EXIT_OFFLINE, EXIT_TIMEOUT
from nectar_node.cli.message import exit_code
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork

FAILED = 1
_FAILURES = {"offline": EXIT_OFFLINE, "timeout": EXIT_TIMEOUT}
SHOWN_VERBOSITY = 1
"""The highest verbosity of a script's output that is shown; higher ones are detail for the node's own log."""

_SLACK = 15.0
"""Seconds beyond the script's own time that the node may take to report its end."""


def run(
    script: Annotated[
        str, typer.Argument(metavar="SCRIPT", help="Its name: hi, m, cat, echo, top, alias or name:package:publisher.")
    ],
    node: options.Node,
    arguments: Annotated[list[str] | None, typer.Argument(metavar="ARGS", help="The script's arguments.")] = None,
    timeout: Annotated[
        int,
        typer.Option(metavar="S", min=0, help="Seconds that it may take; 0: only for an answer that is there at once."),
    ] = 30,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Run a script on a node until it answers; Ctrl-C ends it.

    Exit code: 0 the script succeeded, 1 it failed and says why, 3 Offline and 4 Timeout, of the script or of its
    request.
    """
    line = " ".join([script, *(word or '""' for word in arguments or ())])
    printed: list[Answer] = []
    with LocalNetwork.find(directory).connect(node) as client:
        client.send("run", line=line, timeout=timeout)
        take = partial(_take, printed=printed, show=not as_json)
        answer = client.follow_to_answer("the script", timeout + _SLACK, take)
    code = exit_code(answer)
    failed = bool(answer.get("failed"))
    if as_json:
        output.print_json({**answer, "printed": printed})
    elif answer["outcome"] == "response":
        if answer.get("body"):
            (output.complain if failed else output.say)(str(answer["body"]))
    else:
        reason = answer.get("reason") or "no reason given"
        output.complain(f"{str(answer['outcome']).capitalize()}: {script} has not answered ({reason}).")
    return _FAILURES.get(str(answer.get("failure")), FAILED) if failed else code


def _take(event: Answer, printed: list[Answer], *, show: bool) -> None:
    """Show what the script prints, or append it to `printed`."""
    match event:
        case {"printed": {"verbosity": int(verbosity), "text": str(text)}}:
            printed.append({"verbosity": verbosity, "text": text})
            if show and verbosity <= SHOWN_VERBOSITY:
                output.say(text)
        case {"lost": int(count)}:
            output.complain(f"{count} lines of what it printed came faster than they could be shown, and are lost.")
