"""The plans of remotes, as people type and read them; what a running node says of its remotes, and what it is told."""

from __future__ import annotations

import json
import os
import threading
from typing import Annotated

import typer

from nectar_node.backup.schedule import CONTINUOUS, NEVER, RemotePlan
from nectar_node.backup.stores.settings import MOST_SECONDS
from nectar_node.base.errors import BadInput, NodeError
from nectar_node.console import output
from nectar_node.console.durations import duration_text, parse_duration
from nectar_node.launcher.client import Answer
from nectar_node.launcher.local_network import LocalNetwork

Every = Annotated[
    str, typer.Option("--every", metavar="T", help="Make a copy so often, such as 6h, if anything has changed.")
]
Continuous = Annotated[bool, typer.Option("--continuous", help="Make a copy within a minute of each change.")]
Manual = Annotated[bool, typer.Option("--manual", help="Make copies only by `nectar backup run`.")]
WarnAfter = Annotated[
    str,
    typer.Option(
        "--warn-after",
        metavar="T",
        help="Warn when changes have waited so long, such as 1d; or never.",
        show_default="1h, or twice the interval",
    ),
]
STOPPED: Answer = dict.fromkeys(("running_seconds", "waiting_seconds", "next_seconds", "warning"))
"""What there is to say of a remote beyond the settings while the node does not run."""
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def changed_plan(before: RemotePlan, every: str, warn_after: str, *, continuous: bool, manual: bool) -> RemotePlan:
    """Return a plan with what was said about it; raises BadInput."""
    if (every != "") + continuous + manual > 1:
        raise BadInput("Copies are --continuous, --every so often, or --manual: say one of these.")
    interval, warn = before
    if every:
        interval = _seconds(every)
    elif continuous or manual:
        interval = CONTINUOUS if continuous else None
    if warn_after:
        warn = NEVER if warn_after == "never" else _seconds(warn_after)
    return RemotePlan(interval, warn)


def _seconds(text: str) -> int:
    seconds = parse_duration(text)
    if not 1 <= seconds <= MOST_SECONDS:
        raise BadInput(f"{text!r} is too {'long' if seconds else 'short'}: expected at least 1s and at most 3650d.")
    return seconds


def plan_text(plan: RemotePlan) -> str:
    """Return a plan for people."""
    if plan.every is None:
        return "by hand"
    if plan.every == CONTINUOUS:
        return "continuous"
    unit, size = next(each for each in _UNITS if plan.every % each[1] == 0)
    return f"every {plan.every // size} {unit}"


def plan_row(plan: RemotePlan) -> dict[str, object]:
    """Return a plan for programs."""
    return {
        "plan": "manual" if plan.every is None else "scheduled" if plan.every else "continuous",
        "every_seconds": plan.every or None,
        "warn_after_seconds": plan.warn_after,
    }


# --- the running node -----------------------------------------------------------------------------------------------


def tell_node(network: LocalNetwork, node: str, remote: str = "") -> dict[str, Answer] | None:
    """Have a running node read its settings, and return what it says of its remotes, by their names; None: it does not
    run. The remote that is named is tried again at once if it has failed. Raises NodeError.
    """
    if network.place(node).owner() is None:
        return None
    with network.connect(node) as client:
        rows = client.ask("backups", name=remote).get("remotes", ())
    return {str(row.get("name")): row for row in rows if isinstance(row, dict)}


def spread(network: LocalNetwork, node: str, remote: str = "") -> bool:
    """Tell a running node, as `tell_node` does, and return whether it runs; complain if it does not answer."""
    try:
        return tell_node(network, node, remote) is not None
    except NodeError as error:
        output.complain(f"{node} learns of it at its next boot: {error}")
        return False


def next_text(plan: RemotePlan, row: Answer | None) -> str:
    """Return what a remote's plan is, and when its next copy begins, as a sentence; `row` is what the running node says
    of it.
    """
    text = plan_text(plan)
    text = text[:1].upper() + text[1:]
    if plan.every is None:
        return f"{text}."
    if row is None:
        return f"{text}, while the node runs."
    if (running := row.get("running_seconds")) is not None:
        return f"{text}; a copy has been under way for {duration_text(running)}."
    due = row.get("next_seconds")
    when = "" if due is None else "now" if due < 1 else f"in {duration_text(due)}"
    if row.get("waiting_seconds") is None:
        when = f"after the next change{when and f', or {when}'}"
    return f"{text}; the next copy begins {when or 'when it can'}."


# --- runs for the node ----------------------------------------------------------------------------------------------


def end_with_starter() -> None:
    """End this process when its standard input ends, as it does when the node that has started it has ended."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="starter", daemon=True).start()


def tell_starter(result: dict[str, object]) -> None:
    """Print what has become of one remote, in a line."""
    print(json.dumps(result), flush=True)
