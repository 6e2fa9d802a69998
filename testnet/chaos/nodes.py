"""The testnet of a chaos run: one that runs, one that is down, or a temporary one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nectar_node.base.errors import BadInput, NotRunning
from nectar_node.base.folder import is_paused
from nectar_node.contract.config import REGISTRAR_NAME
from nectar_node.launcher import launch
from nectar_node.launcher.boot_options import keep_options, kept_options
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from nectar_node.launcher.transfer_answers import PROCESS
from testnet.chaos.fault_player import ECHO
from testnet.chaos.ground import ChaosGround
from testnet.real.lifeline import hold_lifeline
from testnet.real.links.client import LinksProcess
from testnet.real.traces import TRACES_FOLDER, TracePipes

_PATIENCE = 30.0
"""Seconds in which a node that nothing is wrong with says what it runs."""
_PREFIX = "nectar-chaos-"
"""The prefix of temporary folders."""
OWN_NODES = ("one.nec", "two.nec", "three.nec")


@dataclass(slots=True)
class RunningTestnet:
    """A testnet that runs, with links that take faults, and none there yet."""

    network: LocalNetwork
    nodes: tuple[str, ...]
    lifeline: int | None = None
    """The lifeline of nodes that were started here (`testnet.real.lifeline`)."""
    scratch: Path | None = None
    """The folder for files to send; None: the usual temporary one. It is removed even if this process is killed."""
    traces: TracePipes | None = None
    """The traces of its nodes, from their boot on; None: they ran before."""
    keep: bool = False
    """Whether to keep its traces, and its folder if it is temporary."""
    far: ChaosGround | None = None
    """The machines of its nodes; None: they are on this one."""


@contextmanager
def running_testnet(folder: Path, tell: Callable[[str], None]) -> Iterator[RunningTestnet]:
    """Yield the testnet in `folder`; nodes that are started here are stopped at the end. `tell` is given a sentence on
    which testnet it is, before anything starts. Raises NodeError.

    If there is none, one is made: in `folder`, or in a temporary one in place of the usual folder.
    """
    network = LocalNetwork(folder)
    network.secure()
    network.check_here()
    if not network.exists():
        with own_testnet(tell) if folder == DEFAULT_FOLDER else _made(network, tell) as place:
            yield place
        return
    running = [name for name in network.names() if network.place(name).owner() is not None]
    if running:
        nodes = check(network, running)
        tell(f"Using the running testnet in {folder}, which stays up.")
        with _scratch() as scratch, hold_lifeline(folder, (scratch,), nodes=()):
            yield RunningTestnet(network, nodes, scratch=scratch)
        return
    names = [name for name in network.names() if name != REGISTRAR_NAME]
    check_count(names, network)
    tell(f"Starting the testnet in {folder}, which is down; it stops at the end.")
    with _scratch() as scratch, _traced(network, names, scratch) as place:
        yield place


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        yield Path(folder)


@contextmanager
def own_testnet(tell: Callable[[str], None], names: Sequence[str] = OWN_NODES) -> Iterator[RunningTestnet]:
    """Yield a testnet of these nodes in a temporary folder, which is kept if `keep` is set."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    words = f"starting a temporary one with {len(names)} nodes in {folder}; it stops at the end"
    tell(f"No testnet runs here: {words}.")
    place = None
    try:
        with _traced(LocalNetwork(folder), names, folder) as place:
            yield place
    finally:
        if place is None or not place.keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _made(network: LocalNetwork, tell: Callable[[str], None]) -> Iterator[RunningTestnet]:
    tell(f"Starting a new testnet with {len(OWN_NODES)} nodes in {network.folder}; it stops at the end.")
    with _scratch() as scratch, _traced(network, OWN_NODES, scratch) as place:
        yield place


@contextmanager
def _traced(network: LocalNetwork, names: Sequence[str], scratch: Path) -> Iterator[RunningTestnet]:
    """Run the nodes as in `started`, and let them write their traces, this time only."""
    before = {name: kept_options(network.place(name)).trace for name in (REGISTRAR_NAME, *names)}
    pipes = [network.place(name).trace for name in before]
    with closing(TracePipes(network.folder / TRACES_FOLDER)) as traces:
        place = RunningTestnet(network, tuple(names), scratch=scratch, traces=traces)
        try:
            with started(network, names, traces, (scratch, traces.folder, *pipes)) as place.lifeline:
                yield place
        finally:
            for name, trace in before.items():
                folder = network.place(name)
                if folder.boot.exists():
                    keep_options(folder, replace(kept_options(folder), trace=trace))
            if not place.keep:
                shutil.rmtree(traces.folder, ignore_errors=True)


@contextmanager
def started(
    network: LocalNetwork, names: Sequence[str], traces: TracePipes | None = None, temporary: Collection[Path] = ()
) -> Iterator[int]:
    """Run the registrar and these nodes, with links between them, and write `traces`; yield their lifeline.

    If this process is killed, they end, and the pipes and folders `temporary` are removed.
    """
    links = LinksProcess(network)
    with hold_lifeline(network.folder, temporary) as lifeline:
        try:
            links.start(lifeline)
            nodes = []
            for name in (REGISTRAR_NAME, *names):
                booted = links.connect(name).options(kept_options(network.place(name)))
                options = replace(booted, lifeline=lifeline)
                if traces is not None:
                    traces.expect(name, network.place(name))
                    options = replace(options, trace=True)
                nodes.append((name, options))
            launch.start(network, nodes)
            yield lifeline
        finally:
            launch.stop(network.place(name) for name in network.names())
            links.stop()


def check(network: LocalNetwork, running: Sequence[str]) -> tuple[str, ...]:
    """Return the running nodes that can take part in chaos; raises NodeError, which says why they cannot."""
    links = LinksProcess(network)
    left = links.left()
    if links.pid is None or not left:
        raise NotRunning(links.why_not())
    paused = [name for name in running if is_paused(network.place(name).owner() or 0)]
    if paused:
        raise BadInput(f"{paused[0]} is paused: `{network.command('testnet resume', paused[0])}` resumes it.")
    held = [str(row["words"]) for row in links.ask("faults")["faults"]]
    if held:
        mend = network.command("testnet fault remove", "all")
        raise BadInput(f"There are faults already ({'; '.join(held)}): `{mend}` ends them.")
    nodes = [name for name in running if name != REGISTRAR_NAME and name in left]
    check_count(nodes, network)
    check_packages(network, nodes)
    return tuple(nodes)


def check_count(nodes: Sequence[str], network: LocalNetwork) -> None:
    """Raise BadInput if there are fewer than two."""
    if len(nodes) < 2:
        more = network.command("testnet up", "--nodes", "one.nec,two.nec", "--detach")
        raise BadInput(f"Chaos needs two nodes or more that run behind links: start more, as with `{more}`.")


def check_packages(network: LocalNetwork, names: Sequence[str]) -> None:
    """Raise BadInput if one of the nodes does not run what chaos needs."""
    for name in names:
        _check_packages(network, name)


def _check_packages(network: LocalNetwork, name: str) -> None:
    with network.connect(name) as client:
        rows = client.request("ps", patience=_PATIENCE).get("processes", ())
    there = {str(row["address"]).rpartition("@")[2] for row in rows}
    for process in (PROCESS.rpartition("@")[2], ECHO):
        if process not in there:
            package = process.split(":")[1]
            raise BadInput(f"{name} does not run the package {package}, which chaos needs: start it on all nodes.")
