"""`nectar testnet watch`: the nodes and links of a testnet on one screen, until `q` or Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.live import Live

from nectar_node.cli.top import keys, wants_to_quit
from nectar_node.console import output
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from testnet.watch.figures import Figures, History
from testnet.watch.pollers import Pollers
from testnet.watch.sample import sample
from testnet.watch.screen import screen

_NO_TERMINAL = 120
"""The number of columns without a terminal."""

Interval = Annotated[float, typer.Option(metavar="S", min=0.1, max=3600, help="Seconds between two snapshots.")]


def watch(
    once: Annotated[bool, typer.Option("--once", help="Print one snapshot, and end.")] = False,
    interval: Interval = 0.5,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print each snapshot as a line of JSON.")] = False,
) -> int:
    """Show nodes, links, faults and errors as they come and go. End with q or Ctrl-C.

    Print one snapshot with --once, and where there is no terminal.
    """
    network = LocalNetwork.find(directory)
    with seen(network, interval) as pollers, contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        if as_json:
            _print_samples(pollers, interval, once)
        elif once or not (sys.stdout.isatty() and sys.stdin.isatty()):
            _print_frame(network, _look_twice(pollers, interval))
        else:
            _show(network, pollers, interval)
    return 0


@contextmanager
def seen(network: LocalNetwork, interval: float) -> Iterator[Pollers]:
    """Yield pollers that poll the testnet inside this context."""
    pollers = Pollers(network, interval)
    try:
        pollers.open()
        yield pollers
    finally:
        pollers.close()


def _show(network: LocalNetwork, pollers: Pollers, interval: float) -> None:
    console, history = output.console(wrapped=True), History()
    with keys() as descriptor, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            figures = history.add(pollers.picture())
            live.update(screen(figures, str(network.folder), console.width, console.height), refresh=True)
            if wants_to_quit(descriptor, interval):
                return


def _look_twice(pollers: Pollers, interval: float) -> Figures:
    """Return the figures of two snapshots, which rates need."""
    history = History()
    history.add(pollers.picture())
    time.sleep(max(1.0, 2 * interval))
    return history.add(pollers.picture())


def _print_frame(network: LocalNetwork, figures: Figures) -> None:
    console = output.console()
    if not console.is_terminal:
        console.width = _NO_TERMINAL
    console.print(screen(figures, str(network.folder), console.width, None))


def _print_samples(pollers: Pollers, interval: float, once: bool) -> None:
    if once:
        print(json.dumps(sample(_look_twice(pollers, interval), datetime.now(UTC)), ensure_ascii=False), flush=True)
        return
    history = History()
    while True:
        print(json.dumps(sample(history.add(pollers.picture()), datetime.now(UTC)), ensure_ascii=False), flush=True)
        time.sleep(interval)
