"""`nectar testnet watch`: the nodes and links of a testnet on one screen, until `q` or Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live

from nectar_node.base.errors import BadInput, NotRunning
from nectar_node.cli.top import keys, wants_to_quit
from nectar_node.console import output
from nectar_node.console.browser import open_privately
from nectar_node.http.sessions import LINK_SECONDS
from nectar_node.launcher import options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from testnet.cli.hosts.forwarding import kept_in
from testnet.watch.figures import Figures, History
from testnet.watch.pollers import PATIENCE, Pollers, Watched, WatchedHere
from testnet.watch.sample import sample
from testnet.watch.screen import screen

if TYPE_CHECKING:
    from testnet.hosts.kept import KeptHosts

HOSTS_PATIENCE = 5.0
"""Seconds for a first look at nodes on other machines."""
_NO_TERMINAL = 120
"""The number of columns without a terminal."""

Interval = Annotated[float, typer.Option(metavar="S", min=0.1, max=3600, help="Seconds between two snapshots.")]


def watch(
    once: Annotated[bool, typer.Option("--once", help="Print one snapshot, and end.")] = False,
    interval: Interval = 0.5,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print each snapshot as a line of JSON.")] = False,
    web: Annotated[
        bool, typer.Option("--web", help="As a page in the browser, to break and mend things there.")
    ] = False,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Of the page; 0: any free one.")] = 0,
    only_print: Annotated[bool, typer.Option("--print", help="Only print the page's link, open no browser.")] = False,
) -> int:
    """Show nodes, links, faults and errors as they come and go. End with q or Ctrl-C.

    Print one snapshot with --once, and where there is no terminal. With --web, the link of a page is printed, and
    opened where there is a terminal. It signs in whoever opens it, once, within a minute; Enter gives another one.
    """
    kept = kept_in(directory)
    if kept is not None:
        return _watch_hosts(kept, directory, interval, once=once, as_json=as_json, web=web or only_print or port > 0)
    network = LocalNetwork.find(directory)
    if web:
        _serve(network, interval, port, only_print, as_json)
        return 0
    if port or only_print:
        raise BadInput("--port and --print are for the page: add --web.")
    with seen(WatchedHere(network), interval) as pollers:
        _tell(network, pollers, interval, once=once, as_json=as_json)
    return 0


def _watch_hosts(kept: KeptHosts, directory: Path, interval: float, *, once: bool, as_json: bool, web: bool) -> int:
    from testnet.cli.hosts.watching import watched_hosts  # which loads asyncssh

    if web:
        raise BadInput("The page is for testnets on one machine: leave out --web for one on several.")
    network = LocalNetwork(directory)
    with watched_hosts(kept, directory) as watched, seen(watched, interval, HOSTS_PATIENCE) as pollers:
        for reason in watched.lost:
            output.complain(reason)
        _tell(network, pollers, interval, once=once, as_json=as_json)
    return 0


def _tell(network: LocalNetwork, pollers: Pollers, interval: float, *, once: bool, as_json: bool) -> None:
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        if as_json:
            _print_samples(pollers, interval, once)
        elif once or not (sys.stdout.isatty() and sys.stdin.isatty()):
            _print_frame(network, _look_twice(pollers, interval))
        else:
            _show(network, pollers, interval)


def _serve(network: LocalNetwork, interval: float, port: int, only_print: bool, as_json: bool) -> None:
    from testnet.web import driver  # this loads trio and hypercorn, which would cost the other commands some time

    at_terminal = sys.stdout.isatty()

    def give_links(link: Callable[[], str], is_good: Callable[[str], bool]) -> None:
        url = link()
        if as_json:
            print(json.dumps({"url": url}), flush=True)
        else:
            output.say(url)
        if at_terminal and not only_print:
            # Enter, which asks for another link, is not kept waiting.
            open_privately(url, network.folder, LINK_SECONDS, lambda: not is_good(url) or _has_line())
        # Not with `readline`, whose lock this thread would hold when the command ends.
        with contextlib.suppress(OSError):
            while sys.stdin.isatty() and os.read(sys.stdin.fileno(), 1024):
                output.say(link())

    with seen(WatchedHere(network), interval) as pollers:
        if driver.down(pollers.picture()):
            raise NotRunning(driver.sentence_of_down(network))
        before = signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # in the background there is nobody to press Enter
        try:
            driver.serve_page(network, pollers, driver.WebOptions(port, interval), give_links, output.complain)
        finally:
            signal.signal(signal.SIGTTIN, before)


def _has_line() -> bool:
    """Whether somebody has typed something."""
    return sys.stdin.isatty() and bool(select.select([sys.stdin.fileno()], [], [], 0)[0])


@contextmanager
def seen(watched: Watched, interval: float, patience: float = PATIENCE) -> Iterator[Pollers]:
    """Yield pollers that poll the testnet inside this context, and wait so many seconds for a first look at all."""
    pollers = Pollers(watched, interval)
    try:
        pollers.open(patience)
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
