"""`nectar testnet`: up, status and down; the other commands have files of their own."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from nectar_node.base.consent import Consent
from nectar_node.base.errors import AlreadyRunning, BadInput, NodeError
from nectar_node.base.folder import is_paused
from nectar_node.cli.logs import FOLLOW_INTERVAL
from nectar_node.cli.starting import consent
from nectar_node.cli.starting.reached import tell_web
from nectar_node.console import output
from nectar_node.contract.config import LOOPBACK, REGISTRAR_NAME
from nectar_node.launcher import launch, options
from nectar_node.launcher.arguments import check_package
from nectar_node.launcher.boot_options import BootOptions, kept_options
from nectar_node.launcher.client import Answer
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork, check_name
from nectar_node.launcher.log_reader import Follower
from testnet.cli.hosts import forwarding
from testnet.cli.hosts.forwarding import kept_in
from testnet.cli.lazy_group import LazyGroup
from testnet.cli.signals import handled
from testnet.real.booting import with_http, with_packages
from testnet.real.lifeline import hold_lifeline
from testnet.real.links.client import LinksProcess
from testnet.real.nodes import attackers, impostors

DEFAULT_NODES = ("send.nec", "recv.nec")
STATUS_TIMEOUT = 10.0
"""Seconds that each node may take to say how it is."""


class _Commands(LazyGroup):
    modules: ClassVar = {
        "invite": "testnet.cli.invite",
        "watch": "testnet.cli.watch",
        "chaos": "testnet.cli.chaos",
        "attack": "testnet.cli.attack",
        "play": "testnet.cli.play",
        "kill": "testnet.cli.nodes",
        "pause": "testnet.cli.nodes",
        "resume": "testnet.cli.nodes",
        "restart": "testnet.cli.nodes",
        "fault": "testnet.cli.fault",
        "on": "testnet.cli.hosts.on",
        "collect": "testnet.cli.hosts.on",
    }
    # What follows the node is another command, and its options are its own.
    settings: ClassVar = {"on": {"ignore_unknown_options": True, "allow_interspersed_args": False}}


app = typer.Typer(cls=_Commands, help="Start, show, break and stop a local testnet of nodes.", no_args_is_help=True)


@app.command()
def up(
    names: Annotated[
        str,
        typer.Option(
            "--nodes", metavar="A,B,…", help="The nodes to start; default: those that exist, or send.nec,recv.nec."
        ),
    ] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Return when all nodes are ready.")] = False,
    direct: Annotated[
        bool, typer.Option("--direct", help="Put nothing between the nodes; then there are no faults of links.")
    ] = False,
    invite_only: Annotated[
        bool | None,
        typer.Option(
            "--invite-only/--open",
            help="Whether who joins needs an invitation (`nectar testnet invite`); else as the last time.",
        ),
    ] = None,
    http: Annotated[
        bool, typer.Option("--http", help="Let browsers reach each node, on a free port of this machine.")
    ] = False,
    package: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER", help="A package that the nodes run beside those that come with them; repeatable."
        ),
    ] = None,
    hosts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Start the nodes on the machines in this file, by ssh; later also without it."
        ),
    ] = None,
    grant: consent.Grant = None,
    directory: options.Directory = DEFAULT_FOLDER,
    as_json: options.AsJson = False,
) -> int:
    """Start a registrar and nodes. Without --detach, show their logs until Ctrl-C and stop them then."""
    from testnet.cli.invite import invited  # `status` and `down` do without

    network = LocalNetwork(directory)
    if hosts is not None or kept_in(directory) is not None:
        from testnet.cli.hosts.up import up_hosts
        from testnet.hosts.network import NodeExtras

        if direct:
            raise BadInput("Nodes on several machines reach each other through links alone: leave --direct out.")
        if grant and not package:
            raise BadInput("--grant is for the packages that --package names.")
        return up_hosts(
            network,
            hosts,
            names,
            detach=detach,
            invite_only=invite_only,
            as_json=as_json,
            packages=tuple(map(check_package, package or ())),
            extras=NodeExtras(grant=tuple(grant or ()), http=http),
        )
    network.secure()
    folders = tuple(map(check_package, package or ()))
    said = Consent(tuple(grant or ()))
    links = LinksProcess(network)
    mended = links.pid is None and bool(links.left()) and links.start()
    if mended and not as_json:
        output.say("The links between the nodes run again; no faults hold.")
    down = nodes_to_start(network, names, mended)
    news = {name: follow_from_now(network, name) for name in down}
    with terminated_like_interrupt(), held(network, down, detach) as lifeline, ended_with_the_nodes(links):
        began = time.monotonic()
        booting = {name: replace(linked(network, name, direct), lifeline=lifeline) for name in down}
        if http:
            booting = {name: with_http(name, each) for name, each in booting.items()}
        if folders:
            booting = {name: with_packages(network, name, each, folders, said) for name, each in booting.items()}
        started = launch.start(network, list(invited(network, booting, invite_only).items()))
        seconds = time.monotonic() - began
        if as_json:
            output.print_json({"nodes": [node.value() for node in started], "seconds": round(seconds, 3)})
        else:
            _tell(network, started, seconds, detach)
        if not detach and started:
            _watch(network, started, news)
    return 0


def linked(network: LocalNetwork, name: str, direct: bool = False) -> BootOptions:
    """Return the options of a node that others reach through links, which start if they do not run, or directly."""
    kept = kept_options(network.place(name))
    if direct:
        return kept if not kept.prefix else replace(kept, host=LOOPBACK, port=0, advertise=None, prefix=())
    links = LinksProcess(network)
    links.start()
    return links.connect(name).options(kept)


@contextmanager
def held(network: LocalNetwork, down: Sequence[str], detach: bool) -> Iterator[int | None]:
    """Yield the lifeline of the nodes that are `down`, with which they end however this process ends; None: they are to
    outlive it."""
    if detach or not down:
        yield None
    else:
        with hold_lifeline(network.folder, nodes=down) as lifeline:
            yield lifeline


@contextmanager
def ended_with_the_nodes(links: LinksProcess) -> Iterator[None]:
    """End the links afterwards, in any case, unless a node is reached through them."""
    try:
        yield
    finally:
        if not links.left():
            links.stop()
            impostors.dismiss_all(links.network)
            attackers.call_off_all(links.network)


def _tell(network: LocalNetwork, started: list[launch.StartedNode], seconds: float, detach: bool) -> None:
    for node in started:
        output.say(f"{node.name} runs as process {node.pid} on {output.endpoint(list(node.endpoint))}.")
        tell_web(network, node.name)
        if node.warning is not None:
            output.complain(node.warning)
    if started:
        stop = f"Stop with `{network.command('testnet down')}`." if detach else "Ctrl-C stops."
        output.say(f"Ready after {output.duration(seconds)}. {stop}")


def nodes_to_start(network: LocalNetwork, names: str, may_be_none: bool = False) -> list[str]:
    """Return the nodes among `names` (empty: the usual ones), and the registrar, that do not run yet.

    Raises AlreadyRunning if there are none, unless that is allowed, and BadInput for a name that is not a node's.
    """
    existing = [name for name in network.names() if name != REGISTRAR_NAME]
    wanted = launch.parse_names(names) if names else existing or list(DEFAULT_NODES)
    for name in wanted:
        check_name(name)
    wanted = list(dict.fromkeys([REGISTRAR_NAME, *wanted]))
    down = [name for name in wanted if network.place(name).owner() is None]
    if not down and not may_be_none:
        raise AlreadyRunning(
            f"The testnet in {network.folder} runs already ({', '.join(wanted)}): "
            f"see `{network.command('testnet status')}`, or stop it with `{network.command('testnet down')}`."
        )
    return down


@contextmanager
def terminated_like_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does within this, so that it leaves nothing behind."""
    with handled((signal.SIGTERM, signal.SIGHUP), signal.default_int_handler):
        yield


def follow_from_now(network: LocalNetwork, name: str) -> Follower:
    """Return a follower of what the node `name` logs from now on."""
    log = network.place(name).log
    return Follower(log, log.stat().st_size if log.exists() else 0)


def _watch(network: LocalNetwork, started: list[launch.StartedNode], logs: dict[str, Follower]) -> None:
    """Print what the nodes log until Ctrl-C or the last one ends, then stop them."""
    running = {node.name: node for node in started}
    width = max(map(len, running))
    try:
        while running:
            _show_news(logs, width)
            for name, node in list(running.items()):
                if node.process.poll() is not None:
                    del running[name]
                    output.complain(f"{name} has ended with exit code {node.process.returncode}.")
            time.sleep(FOLLOW_INTERVAL)
    except KeyboardInterrupt:
        output.say("Stopping.")
    finally:
        launch.stop(network.place(node.name) for node in started)
        _show_news(logs, width)


def _show_news(logs: dict[str, Follower], width: int) -> None:
    for name, follower in logs.items():
        for line in follower.lines():
            output.say(f"{name:{width}} | {line}")


@app.command()
def status(directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Show the nodes: name, process, endpoint, peers, Wasm processes.

    FILES is how many file descriptors each uses, of how many it may have.
    """
    if (kept := kept_in(directory)) is not None:
        return forwarding.status(kept, directory, as_json=as_json)
    network = LocalNetwork.find(directory)
    nodes = [node_status(network, name) for name in network.names()]
    links = LinksProcess(network)
    if as_json:
        output.print_json({"folder": str(directory), "nodes": nodes, "links": links_status(links)})
        return 0
    rows = [
        (
            output.cell(node, "name"),
            output.cell(node, "state"),
            output.cell(node, "pid"),
            output.endpoint(node.get("endpoint")),
            output.cell(node, "http"),
            _peers(node),
            output.cell(node, "processes"),
            _files(node),
        )
        for node in nodes
    ]
    columns = ("NODE", "STATE", "PID", "ENDPOINT", "HTTP", "PEERS", "PROCESSES", "FILES")
    unbroken = ("STATE", "PID", "ENDPOINT", "HTTP", "PROCESSES", "FILES")
    output.print_table(columns, rows, unbroken, ("FILES", "PID", "HTTP", "ENDPOINT", "PROCESSES"))
    for node in nodes:
        for warning in node.get("warnings", ()):
            output.complain(f"{node.get('name')}: {warning}")
    _tell_of_links(links, network.command("testnet fault list"))
    return 0


def links_status(links: LinksProcess) -> Answer:
    """Return the state of the links: `running` with their faults, `none` where nodes do without, `silent` with a
    reason."""
    if links.pid is None and not links.left():
        return {"state": "none"}
    try:
        return {"state": "running", "pid": links.pid, "faults": links.ask("faults")["faults"]}
    except NodeError as error:
        return {"state": "silent", "pid": links.pid, "reason": str(error)}


def _tell_of_links(links: LinksProcess, listing: str) -> None:
    state = links_status(links)
    if state["state"] == "silent":
        output.complain(state["reason"])
    elif faults := state.get("faults"):
        held = "1 fault holds" if len(faults) == 1 else f"{len(faults)} faults hold"
        output.complain(f"{held} on the links and nodes: see `{listing}`.")


def node_status(network: LocalNetwork, name: str) -> Answer:
    """Return the state of the node `name`: its own answer with state `running`, or `down`, `paused`, or `silent` with a
    reason."""
    folder = network.place(name)
    owner = folder.owner()
    if owner is None:
        return {"name": name, "state": "down"}
    if is_paused(owner):
        return {"name": name, "state": "paused", "pid": owner}
    try:
        with network.connect(name) as client:
            return {"state": "running", **client.request("status", patience=STATUS_TIMEOUT)}
    except NodeError as error:
        return {"name": name, "state": "silent", "pid": owner, "reason": str(error)}


def _peers(node: Answer) -> str:
    peers = node.get("peers")
    if not isinstance(peers, list):
        return "-"
    connected = [str(peer["name"]) for peer in peers if isinstance(peer, dict) and peer.get("state") == "up"]
    return ", ".join(connected) or "none"


def _files(node: Answer) -> str:
    match node:
        case {"descriptors": {"used": int(used), "limit": int(limit)}}:
            return f"{used} of {limit}"
    return "-"


@app.command()
def down(directory: options.Directory = DEFAULT_FOLDER, as_json: options.AsJson = False) -> int:
    """Stop all nodes. Keys, files and logs stay, so that `up` continues where this left off."""
    if (kept := kept_in(directory)) is not None:
        return forwarding.down(kept, directory, as_json=as_json)
    network = LocalNetwork.find(directory)
    ends = launch.stop(network.place(name) for name in network.names())
    links = LinksProcess(network).stop()
    impostors.dismiss_all(network)
    attackers.call_off_all(network)
    if as_json:
        output.print_json({"folder": str(directory), "ended": ends, "links": links})
        return 0
    for name, end in ends.items():
        output.say(f"{name} {end}.")
    if not ends:
        output.say(f"No node of the testnet in {directory} was running.")
    return 0
