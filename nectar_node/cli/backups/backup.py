"""`nectar backup`: encrypted copies of a node, in any number of places."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from nectar_node.backup.prune import keep_recent
from nectar_node.backup.run import Report
from nectar_node.backup.schedule import RemotePlan
from nectar_node.backup.stores.node_backups import NodeBackups, Progress, Shown
from nectar_node.backup.stores.one_run import Results
from nectar_node.backup.stores.settings import RemoteState, check_remote_name
from nectar_node.base.errors import NodeError
from nectar_node.cli.backups import keep, plans
from nectar_node.cli.backups.own_node import OwnNode
from nectar_node.console import bars, output, progress
from nectar_node.console.durations import duration_text
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork

_NEVER = "never"
_HEADINGS = ("NAME", "URL", "PLAN", "LAST COPY", "COPY", "FILES", "SIZE")
_COPY_HEADINGS = ("COPY", "TIME", "FILES", "SIZE")

_SHOWN_SECONDS = 0.1
"""Between two pictures of a backup's progress."""

app = typer.Typer(help="Keep encrypted copies of a node elsewhere.", no_args_is_help=True)
for _command in (keep.accept, keep.keeps, keep.refuse):
    app.command()(_command)

RemoteName = Annotated[str, typer.Argument(metavar="NAME", help="The remote, as it was called in `add`.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it, such as disk.")],
    url: Annotated[
        str, typer.Argument(metavar="URL", help="A folder, s3://BUCKET/PREFIX[?endpoint=URL], or node://NAME.")
    ],
    node: options.Node,
    every: plans.Every = "",
    manual: plans.Manual = False,
    warn_after: plans.WarnAfter = "",
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Add a place for copies of the node.

    While the node runs, what changes gets there by itself. The first time, this shows the recovery phrase, and never
    again.
    """
    backups = _backups(directory, node)
    plan = plans.changed_plan(RemotePlan(), every, warn_after, continuous=False, manual=manual)
    phrase = backups.add(check_remote_name(name), url, plan)
    state = backups.settings.remotes().remotes[name]
    if as_json:
        output.print_json({"name": name, "url": state.url, "phrase": phrase, **plans.plan_row(plan)})
    runs = plans.spread(LocalNetwork.find(directory), node, name)
    if not as_json:
        first = "The first copy begins now" if runs and not manual else "`nectar backup run` makes the first copy"
        output.say(f"{name} is {state.url}. {first}.")
        _say_phrase(phrase)
    return 0


@app.command("set")
def set_(
    name: RemoteName,
    node: options.Node,
    every: plans.Every = "",
    continuous: plans.Continuous = False,
    manual: plans.Manual = False,
    warn_after: plans.WarnAfter = "",
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Change when a remote gets copies, and when to warn.

    A running node knows at once, and tries a remote again that has failed.
    """
    plan = _backups(directory, node).set_plan(
        name, lambda before: plans.changed_plan(before, every, warn_after, continuous=continuous, manual=manual)
    )
    plans.spread(LocalNetwork.find(directory), node, name)
    warns = "nobody is warned" if plan.warn_after is None else f"a warning after {duration_text(plan.warn_after)}"
    output.tell({"name": name, **plans.plan_row(plan)}, f"{name}: {plans.plan_text(plan)}; {warns}.", as_json=as_json)
    return 0


@app.command("list")
def list_(
    node: options.Node,
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="List the copies in this remote, instead of the remotes.")
    ] = "",
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """List the places for copies of the node, or the copies in one."""
    backups = _backups(directory, node)
    if name:
        copies = [
            {"copy": head.number, "time": _iso(head.time), "files": head.files, "bytes": head.bytes}
            for head in backups.copies(name)
        ]
        if as_json:
            output.print_json(copies)
            return 0
        rows = [
            (str(head["copy"]), _local(str(head["time"])), str(head["files"]), output.size(int(str(head["bytes"]))))
            for head in copies
        ]
        output.print_table(_COPY_HEADINGS, rows)
        return 0
    remotes = backups.settings.remotes().remotes
    if as_json:
        output.print_json([_told(each, state) for each, state in remotes.items()])
        return 0
    output.print_table(
        _HEADINGS, [_row(each, state) for each, state in remotes.items()], ("NAME",), ("FILES", "COPY", "PLAN")
    )
    return 0


@app.command()
def run(
    node: options.Node,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="The remotes to copy to; all if none is named.")
    ] = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Go on where another copy of this node has written.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="If another backup of the node is under way, wait for its end.")
    ] = False,
    for_node: Annotated[bool, typer.Option("--for-node", hidden=True)] = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Make a copy of the node in each remote, in all at the same time.

    The node may run meanwhile: the copy is what it had at one instant.
    """
    backups = _backups(directory, node)
    if for_node:
        plans.end_with_starter()
    silent = as_json or for_node or not sys.stderr.isatty()
    with _no_bars() if silent else _bars() as shown:
        copies = backups.run(names or [], takes_over=take_over, waits=wait or for_node, shown=shown)
        results = _run(copies, as_json=as_json, for_node=for_node)
    if for_node:
        return 0
    if any("copy" in each for each in results):
        plans.spread(LocalNetwork.find(directory), node)
    if as_json:
        output.print_json(results)
    elif not results:
        output.say("There is no remote yet: add one with `nectar backup add`.")
    return 1 if not results or any("failure" in each for each in results) else 0


def _run(copies: Results, *, as_json: bool, for_node: bool) -> list[dict[str, object]]:
    """Say what becomes of each remote, and return that for programs."""
    results: list[dict[str, object]] = []
    for name, result in copies:
        if isinstance(result, Report):
            results.append(
                {
                    "name": name,
                    "copy": result.link.number,
                    "files": result.files,
                    "bytes": result.bytes,
                    "new_bytes": result.new_bytes,
                    "stored_bytes": result.stored_bytes,
                    "unsettled": result.unsettled,
                    "damages": [str(damage) for damage in result.damages],
                }
            )
        else:
            results.append({"name": name, "failure": str(result)})
        if for_node:
            plans.tell_starter(results[-1])
        elif not as_json:
            _say_result(name, result)
    return results


@app.command()
def status(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Say how old the copies are, what waits, and what comes next."""
    backups = _backups(directory, node)
    remotes = backups.settings.remotes().remotes
    rows = plans.tell_node(LocalNetwork.find(directory), node) if remotes else None
    told = []
    for name, state in remotes.items():
        row = None if rows is None else rows.get(name)
        waits = row is None or row.get("waiting_seconds") is not None
        files, size = backups.waiting(name) if waits else (0, 0)
        told.append(
            {**_told(name, state), "node": "stopped" if rows is None else "running", **(row or plans.STOPPED)}
            | {"waiting_files": files, "waiting_bytes": size}
        )
        if not as_json:
            output.say(_status(name, state, files, size, row))
    if as_json:
        output.print_json(told)
    elif not told:
        output.say("There is no remote yet: add one with `nectar backup add`.")
    return 0


@app.command()
def verify(
    name: RemoteName,
    node: options.Node,
    quick: Annotated[
        bool, typer.Option("--quick", help="Check that everything is there, without reading the files' contents.")
    ] = False,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Check that every copy in a remote can be restored.

    Whatever is damaged is named.
    """
    silent = as_json or quick or not sys.stderr.isatty()
    with (_silent if silent else _shown)(name, 0) as checked:
        found = _backups(directory, node).verify(name, reads=not quick, progress=checked)
    if as_json:
        output.print_json(
            {
                "copies": found.copies,
                "packs": found.packs,
                "chunks": found.chunks,
                "bytes_read": found.bytes,
                "damages": [{"object": damage.name, "what": damage.what} for damage in found.damages],
            }
        )
        return 1 if found.damages else 0
    for damage in found.damages:
        output.complain(str(damage))
    if found.damages:
        output.say(
            f"{len(found.damages)} things are wrong in {name}: `nectar backup run {name}` writes again what it can."
        )
        return 1
    read = f"every byte of {output.size(found.bytes)} is right" if not quick else "everything is there"
    output.say(f"{found.copies} {'copy' if found.copies == 1 else 'copies'} in {name}: {read}.")
    return 0


@app.command()
def prune(
    name: RemoteName,
    node: options.Node,
    keep: Annotated[int, typer.Option(metavar="N", min=1, help="Keep the newest N copies.")] = 30,
    days: Annotated[
        int, typer.Option(metavar="D", min=0, help="Keep the newest copy of each of the last D days that have one.")
    ] = 90,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Remove old copies from a remote.

    What only they needed goes, too. This needs the right to delete there.
    """
    pruned = _backups(directory, node).prune(name, keep_recent(keep, days))
    output.tell(
        {"kept": pruned.kept, "removed": pruned.removed, "freed_bytes": pruned.freed},
        f"{name} keeps {pruned.kept} and has lost {pruned.removed}; {output.size(pruned.freed)} are free again.",
        as_json=as_json,
    )
    return 0


@app.command()
def rotate(node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Replace the recovery phrase and the keys.

    Nothing is uploaded again.

    The new phrase is shown once, and opens all remotes at once. The old one still opens what is there already, until
    `nectar backup prune` has removed its key ring.
    """
    phrase = _backups(directory, node).rotate()
    if as_json:
        output.print_json({"phrase": phrase})
        return 0
    _say_phrase(phrase)
    return 0


@app.command()
def remove(
    name: RemoteName, node: options.Node, directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False
) -> int:
    """Make no more copies in a remote.

    What it has stays there, and can be restored with the phrase.
    """
    state = _backups(directory, node).forget(name)
    plans.spread(LocalNetwork.find(directory), node)
    output.tell(
        {"name": name, "url": state.url}, f"{name} gets no more copies; what is in {state.url} stays.", as_json=as_json
    )
    return 0


def _backups(directory: Path, node: str) -> NodeBackups:
    network = LocalNetwork.find(directory)
    messenger = OwnNode(network, node)
    place = network.node(node)
    return NodeBackups(place, network.folder, connect=lambda: network.connect(node), messenger=messenger)


@contextmanager
def _silent(name: str, total: int) -> Iterator[Progress]:
    yield lambda done, new: None


@contextmanager
def _no_bars() -> Iterator[Shown]:
    yield _silent


@contextmanager
def _shown(name: str, total: int) -> Iterator[Progress]:
    """Show the progress of one remote; 0 as the total: how many bytes there are is said with each step."""
    with progress.display(output.console(sys.stderr), name) as display, _shown_on(display, total) as show:
        yield show


@contextmanager
def _bars() -> Iterator[Shown]:
    """Show the progress of several remotes at the same time."""
    with bars.Bars(output.console(sys.stderr)) as drawn:
        yield lambda name, total: _shown_on(drawn.add(name), total)


@contextmanager
def _shown_on(display: progress.Display, total: int) -> Iterator[Progress]:
    shown = progress.TransferDisplay(display)
    last, latest = 0.0, (0, total)

    def show(done: int, other: int) -> None:
        nonlocal last, latest
        latest = (done, max(done, total or other))
        if time.monotonic() - last >= _SHOWN_SECONDS:
            last = time.monotonic()
            shown.show("", *latest)

    yield show
    shown.show("", *latest)


def _say_phrase(phrase: str | None) -> None:
    if phrase is None:
        return
    words = phrase.split()
    output.say("")
    output.say("The recovery phrase, shown this once. Write it down, on paper: without it, no copy can be restored.")
    output.say("")
    for start in range(0, len(words), 4):
        output.say(
            "    " + "".join(f"{start + place + 1:2}. {word:<11}" for place, word in enumerate(words[start:][:4]))
        )
    output.say("")


def _say_result(name: str, result: Report | NodeError) -> None:
    if not isinstance(result, Report):
        output.complain(f"{name}: {result}")
        return
    for damage in result.damages:
        output.complain(str(damage))
    if result.unsettled:
        output.complain(
            f"{name}: {result.unsettled} files changed while they were read, by programs that write past the node's "
            "file system: in the copy, they may be half old and half new."
        )
    output.say(
        f"{name}: copy {result.link.number} is complete, {result.files} files, {output.size(result.bytes)}; "
        f"{output.size(result.stored_bytes)} were stored for it."
    )


def _status(name: str, state: RemoteState, files: int, size: int, row: Answer | None) -> str:
    if state.time is None:
        age = "no complete copy yet"
    else:
        age = f"complete copy {_copy(state)}, {duration_text(time.time() - state.time / 1000)} old"
    if files:
        waits = f"{files} changed {'file waits' if files == 1 else 'files wait'}, {output.size(size)}"
    else:
        waits = "nothing waits" if row is None or row.get("waiting_seconds") is None else "changes wait"
    failure = state.failure if row is None else row.get("failure")
    failed = "" if failure is None else f" The last attempt failed: {failure}"
    return f"{name}: {age}; {waits}. {plans.next_text(state.plan, row)}{failed}"


def _told(name: str, state: RemoteState) -> dict[str, object]:
    return {
        "name": name,
        "url": state.url,
        "copy": None if state.known is None else state.known.number,
        "time": None if state.time is None else _iso(state.time),
        "files": state.files,
        "bytes": state.bytes,
        "failure": state.failure,
        **plans.plan_row(state.plan),
    }


def _row(name: str, state: RemoteState) -> tuple[str, ...]:
    if state.time is None:
        return name, state.url, plans.plan_text(state.plan), _NEVER, "-", "-", "-"
    return (
        name,
        state.url,
        plans.plan_text(state.plan),
        _local(_iso(state.time)),
        _copy(state),
        str(state.files),
        output.size(state.bytes),
    )


def _copy(state: RemoteState) -> str:
    return "-" if state.known is None else str(state.known.number)


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def _local(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().isoformat(sep=" ", timespec="seconds")
