"""`nectar top`: the busiest processes of a node, once a second, until `q` or Ctrl-C."""

from __future__ import annotations

import contextlib
import enum
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console, Group, JustifyMethod
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.client import Answer, ControlClient
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork

_QUIT = (b"q", b"Q", b"\x1b", b"\x03", b"\x04")


class Sort(enum.StrEnum):
    """What the processes are sorted by."""

    CPU = "cpu"
    MESSAGES = "messages"
    INBOX = "inbox"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """What one process does."""

    process: str
    state: str
    messages: float | None
    """Messages handed to it in a second; None: it was not there before."""
    cpu: float | None
    """Processor time as a share: 1.0 is one whole core."""
    inbox: int
    memory: int | None
    """Bytes of its memory."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer of the node."""

    at: float
    """Seconds on this computer's clock."""
    rows: dict[str, Answer]
    """The processes' rows, by address."""
    memory: Answer
    """What waits in the node, and who holds it."""
    warnings: tuple[str, ...] = ()
    """What the node's user must know."""


_COLUMNS = (
    # heading, least width of the terminal
    ("PROCESS", 0),
    ("MSG/S", 0),
    ("CPU", 0),
    ("INBOX", 0),
    ("MEMORY", 56),
    ("STATE", 72),
)
_LARGEST = 3
"""Holders of memory that are named."""
_LEAST_NAME = 12
"""Characters of a process's name."""


def top(
    node: options.Node,
    sort: Annotated[Sort, typer.Option(help="What to sort by.")] = Sort.CPU,
    interval: Annotated[float, typer.Option(metavar="S", min=0.1, max=3600, help="Seconds between two samples.")] = 1.0,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print one sample as JSON.")] = False,
) -> int:
    """Show the processes of a node, the busiest first. Ends with q or Ctrl-C; without a terminal, after one look."""
    with LocalNetwork.find(directory).connect(node) as client:
        before = take(client)
        if as_json or not (sys.stdout.isatty() and sys.stdin.isatty()):
            time.sleep(interval)
            now = take(client)
            _print_once(loads(before, now, sort), now, as_json)
            return 0
        with contextlib.suppress(KeyboardInterrupt):
            _watch(client, before, sort, interval)
    return 0


def _watch(client: ControlClient, before: Sample, sort: Sort, interval: float) -> None:
    console, now = output.console(wrapped=True), before
    with keys() as descriptor, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(_page(console, client.name, loads(before, now, sort), now), refresh=True)
            if wants_to_quit(descriptor, interval):
                return
            before, now = now, take(client)


def take(client: ControlClient) -> Sample:
    """Return a sample of the node now."""
    answer = client.ask("ps")
    rows = [row for row in answer.get("processes", ()) if isinstance(row, dict)]
    memory = answer.get("memory")
    by_address = {str(row.get("address")): row for row in rows}
    warnings = tuple(map(str, answer.get("warnings", ())))
    return Sample(time.monotonic(), by_address, memory if isinstance(memory, dict) else {}, warnings)


def loads(before: Sample, now: Sample, sort: Sort) -> list[NodeLoad]:
    """Return what each process did between two samples, sorted by `sort`, the highest first."""
    found = [_load(address, before.rows.get(address), row, now.at - before.at) for address, row in now.rows.items()]

    def rank(load: NodeLoad) -> tuple[float, float, str]:
        values = {Sort.CPU: load.cpu, Sort.MESSAGES: load.messages, Sort.INBOX: load.inbox, Sort.MEMORY: load.memory}
        return -(values[sort] or 0), -(load.messages or 0), load.process

    return sorted(found, key=rank)


def _load(address: str, before: Answer | None, row: Answer, seconds: float) -> NodeLoad:
    inbox, memory = row.get("inbox"), row.get("memory_bytes")
    return NodeLoad(
        address.rpartition("@")[2],
        str(row.get("state")),
        _rate(before, row, "messages", seconds),
        _rate(before, row, "cpu_seconds", seconds),
        inbox if isinstance(inbox, int) else 0,
        memory if isinstance(memory, int) else None,
    )


def _rate(before: Answer | None, row: Answer, key: str, seconds: float) -> float | None:
    """Return how fast a count grows; None if it is not known, or began again because the process did."""
    first, last = (before or {}).get(key), row.get(key)
    if not isinstance(first, (int, float)) or not isinstance(last, (int, float)) or seconds <= 0 or last < first:
        return None
    return (last - first) / seconds


def _cells(load: NodeLoad) -> tuple[str, ...]:
    return (
        load.process,
        "-" if load.messages is None else f"{load.messages:.0f}",
        "-" if load.cpu is None else f"{100 * load.cpu:.0f}%",
        str(load.inbox),
        "-" if load.memory is None else output.size(load.memory),
        output.short_state(load.state),
    )


def _waiting(memory: Answer) -> str:
    """Return what waits in the node, and who holds most of it, in one line."""
    match memory:
        case {"used_bytes": int(used), "budget_bytes": int(budget), "holders": list(holders)}:
            line = f"waiting messages: {output.size(used)} of {output.size(budget)}"
            largest = [
                f"{name} {output.size(size)}"
                for each in holders[:_LARGEST]
                if isinstance(each, dict)
                for name, size in [(each.get("name"), each.get("bytes"))]
                if isinstance(size, int)
            ]
            return f"{line}, most by {', '.join(largest)}" if largest else line
    return ""


def _print_once(found: Sequence[NodeLoad], now: Sample, as_json: bool) -> None:
    if as_json:
        rows = [_json(load) for load in found]
        output.print_json({"processes": rows, "memory": now.memory, "warnings": list(now.warnings)})
    else:
        if line := _waiting(now.memory):
            output.say(line)
        for warning in now.warnings:
            output.complain(warning)
        output.print_table([heading for heading, _ in _COLUMNS], map(_cells, found))


def _json(load: NodeLoad) -> dict[str, object]:
    return {
        "process": load.process,
        "state": load.state,
        "messages_per_second": None if load.messages is None else round(load.messages, 1),
        "cpu": None if load.cpu is None else round(load.cpu, 3),
        "inbox": load.inbox,
        "memory_bytes": load.memory,
    }


def _page(console: Console, node: str, found: Sequence[NodeLoad], now: Sample) -> Group:
    """Return what fits on the screen; warnings may take half of it."""
    total = sum(load.messages or 0 for load in found)
    cpu = sum(load.cpu or 0 for load in found)
    title = f"{node}  {len(found)} processes, {total:.0f} messages/s, {100 * cpu:.0f}% CPU  (q quits)"
    warnings = [
        Text(line.plain, style="bold")
        for warning in now.warnings
        for line in Text(output.one_line(warning)).wrap(console, console.width)
    ][: console.height // 2]
    room = max(1, console.height - 4 - len(warnings))
    rest = f"and {len(found) - room} more" if len(found) > room else ""
    shown = [number for number, (_, least) in enumerate(_COLUMNS) if console.width >= least]
    rows = [[output.one_line(cells[number]) for number in shown] for cells in map(_cells, found[:room])]
    table = _table([_COLUMNS[number][0] for number in shown], rows, console.width)
    lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in (title, output.one_line(_waiting(now.memory)))]
    return Group(*lines, *warnings, table, Text(rest))


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Table:
    """Return a table in which the names of processes get the width that the figures leave."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    widths[0] = max(_LEAST_NAME, min(widths[0], width - sum(widths[1:]) - 2 * (len(widths) - 1)))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, least in zip(headings, widths, strict=True):
        justify: JustifyMethod = "left" if heading in ("PROCESS", "STATE") else "right"
        table.add_column(heading, justify=justify, no_wrap=True, overflow="ellipsis", width=least)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


@contextmanager
def keys() -> Iterator[int]:
    """Inside this context a key is available as soon as it is pressed, and not shown; the value is the terminal's
    descriptor.
    """
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def wants_to_quit(descriptor: int, seconds: float) -> bool:
    """Wait `seconds` for a key that ends the command; other keys are ignored."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([descriptor], [], [], left)[0]:
            key = os.read(descriptor, 16)
            if not key or key in _QUIT:
                return True
    return False
