"""`nectar errors`: messages that failed or reached nobody, and why (G16); processes that have trapped, and where."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated

import typer
from rich.text import Text

from kernel.contract.message import marked
from nectar_node.console import output
from nectar_node.console.crashes import crash_lines
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer, ControlClient
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork

FOLLOW_INTERVAL = 0.25
"""Seconds between two requests for new ones."""


def errors(
    node: options.Node,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new ones until Ctrl-C.")] = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print each one as a line of JSON.")] = False,
) -> int:
    """List what went wrong on a node, the oldest first.

    That is messages that failed or reached nobody, and processes that crashed.
    """
    network = LocalNetwork.find(directory)
    with network.connect(node) as client:
        show = partial(_show_new, client, partial(network.command, "replay", "--node", node), as_json)
        after, count = show(0)
        if not count and not follow and not as_json:
            output.complain(f"No message on {node} has failed and no process has crashed: there are no dead letters.")
        while follow:
            time.sleep(FOLLOW_INTERVAL)
            after, _ = show(after)
    return 0


def _show_new(client: ControlClient, replay: Callable[..., str], as_json: bool, after: int) -> tuple[int, int]:
    """Print the dead letters after number `after`; return the number of the next one, and how many were printed."""
    answer = client.ask("errors", after=after)
    rows = [row for row in answer.get("errors", ()) if isinstance(row, dict)]
    if answer.get("lost") and not as_json:
        output.complain(f"{answer['lost']} older ones are no longer remembered.")
    recording = answer.get("recording")
    for row in rows:
        at = row.pop("replay_until", None)
        if isinstance(at, str) and isinstance(recording, dict):
            row["replay"] = replay("--boot", str(recording.get("boot")), "--break", at, str(recording.get("folder")))
        if as_json:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        else:
            _show(row)
    following = answer.get("next")
    return following if isinstance(following, int) else after, len(rows)


def _show(row: Answer) -> None:
    when, kind, reason = clock_time(row.get("time")), str(row.get("kind")), str(row.get("reason"))
    source, target, beginning = shown_source(row), str(row.get("target")), str(row.get("beginning"))
    more = [f"  {line}" for line in crash_lines(row)] if kind == "crash" else []
    if "replay" in row:
        more.append(f"  replay: {output.one_line(str(row['replay']))}")
    if not sys.stdout.isatty():
        first = "\t".join(map(output.one_line, (when, kind, source, target, reason, beginning)))
        print("\n".join((first, *more)), flush=True)
        return
    if kind == "crash":
        text = Text(f"{when} crash of {output.one_line(target)}\n  ")
        text.append(output.one_line(reason), "red")
    else:
        text = Text(f"{when} {kind} {output.one_line(source)} → {output.one_line(target)}\n  ")
        text.append(reason, "red").append(f"  {output.one_line(beginning)}", "dim")
    text.append("".join(f"\n{line}" for line in more), "dim")
    output.console(wrapped=True).print(text)


def shown_source(row: Answer) -> str:
    """Return the source of a message; that of another node's process is what that node says (G3)."""
    return marked(row.get("source"), claim=bool(row.get("claim")))


def clock_time(value: object) -> str:
    """Return the local time of day of a time in an answer; `-` if it is none."""
    try:
        return datetime.fromisoformat(str(value)).astimezone().strftime("%H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError, OSError):
        return "-"
