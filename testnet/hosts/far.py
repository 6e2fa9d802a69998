"""The nodes of other machines as those of a folder here: their control sockets are forwarded, and agents look at them.

What needs no more than `LocalNetwork` and `testnet.chaos.ground.ChaosGround` goes there with it.
"""

from __future__ import annotations

import contextlib
import shlex
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nectar_node.base.errors import BadInput, NodeError, NotRunning
from nectar_node.base.folder import REGISTRAR_NAME, NodeFolder
from nectar_node.launcher import client
from nectar_node.launcher.client import ControlClient, ControlError
from nectar_node.launcher.local_network import LocalNetwork
from testnet.hosts.install import quoted
from testnet.hosts.network import Hosts, Row
from testnet.real.links.client import LINKS_ENDED

LOOK_SECONDS = 30.0
"""Seconds in which a host says what runs there."""
LENT_FOLDER = "lent"
"""In the folder of a testnet on a host: files of ours that its nodes send."""
_GLANCE_SECONDS = 0.05


class Look(NamedTuple):
    """What a host says of a node."""

    pid: int | None = None
    """The process; None: it does not run, or its host is lost."""
    paused: bool = False
    listens: bool = False
    """Whether somebody can connect to its control socket."""
    lost: str = ""
    """Why its host says nothing; empty: it does."""


DOWN = Look()


@dataclass(frozen=True, slots=True)
class FarFolder(NodeFolder):
    """The folder of a node on a host, of which its control socket alone is here."""

    nodes: FarNodes
    host: str

    def owner(self) -> int | None:
        """See `NodeFolder`."""
        return self.nodes.look(self.path.name).pid


@dataclass(frozen=True, slots=True)
class FarNetwork(LocalNetwork):
    """The testnet of a folder here, whose nodes are on other machines."""

    nodes: FarNodes

    def names(self) -> list[str]:
        """See `LocalNetwork`."""
        return self.nodes.names

    def place(self, name: str) -> NodeFolder:
        """See `LocalNetwork`."""
        return FarFolder(self.nodes.doors / name, self.nodes, self.nodes.host_of(name))

    def node(self, name: str) -> NodeFolder:
        """See `LocalNetwork`."""
        return self.place(name)

    def connect(self, name: str) -> ControlClient:
        """Connect to a node, waiting for one that boots; raises NotRunning and ControlError."""
        deadline = time.monotonic() + client.CONNECT_TIMEOUT
        while True:
            look = self.nodes.look(name)
            if look.pid is None:
                raise NotRunning(f"{name} is not running: `{self.command('testnet restart', name)}` starts it.")
            if look.listens:
                try:
                    # Not a FarFolder: whoever finds a lock there reads /proc here.
                    return ControlClient.connect(name, NodeFolder(self.nodes.doors / name), self.command)
                except OSError as error:
                    raise ControlError(f"The connection to {name} cannot be forwarded: {error.strerror}.") from error
            if time.monotonic() >= deadline:
                raise ControlError(f"{name} runs as process {look.pid}, and does not answer on its control socket.")
            time.sleep(_GLANCE_SECONDS)


class FarNodes:
    """The nodes of all hosts, as their agents see them."""

    def __init__(self, hosts: Hosts, doors: Path) -> None:
        """`doors`: the folder here with a folder for each node, where its control socket is forwarded."""
        self._hosts = hosts
        self.doors = doors
        self.names = hosts.kept.file.names()

    def host_of(self, name: str) -> str:
        """Return the name of a node's host; raises BadInput."""
        return self._hosts.kept.host_of(name).name

    def look(self, name: str) -> Look:
        """Return what a node's host says of it; of a host that is lost, that it is down."""
        try:
            answer = self._hosts.ask(self.host_of(name), "look", LOOK_SECONDS, node=name)
        except NodeError as error:
            return Look(lost=_lost(self.host_of(name), error))
        match answer:
            case {"pid": int(pid), "paused": bool(paused), "listens": bool(listens)}:
                return Look(pid, paused, listens)
        return DOWN

    def why_no_links(self) -> str | None:
        """Return why not all hosts have links that run; None: they have."""
        answers, errors = self._hosts.try_each({name: {} for name in self._hosts.names}, "look", LOOK_SECONDS)
        for host, error in errors.items():
            return _lost(host, error)
        return None if all(isinstance(answer.get("links"), int) for answer in answers.values()) else LINKS_ENDED


class FarGround:
    """What `testnet.chaos` does to a testnet over several machines beside asking its nodes."""

    def __init__(self, nodes: FarNodes, looking: Hosts, breaking: Hosts) -> None:
        """`breaking` has agents of its own: a fault may have a node to boot, and looks go on meanwhile."""
        self._nodes = nodes
        self._looking = looking
        self._breaking = breaking

    def why_no_links(self) -> str | None:
        """See `ChaosGround`."""
        return self._nodes.why_no_links()

    def apply(self, kind: str, parameters: dict[str, Any], seconds: float) -> int:
        """See `ChaosGround`."""
        return int(self._breaking.add_fault(kind, parameters, seconds)["number"])

    def remove(self, number: int) -> None:
        """See `ChaosGround`."""
        self._breaking.remove_faults(number)

    def faults(self) -> list[Row]:
        """See `ChaosGround`."""
        return self._breaking.faults()

    def is_paused(self, name: str) -> bool:
        """See `ChaosGround`."""
        return self._nodes.look(name).paused

    def start(self, name: str) -> None:
        """See `ChaosGround`."""
        self._breaking.ask(self._nodes.host_of(name), "start", start=[name])

    def resume(self, name: str) -> None:
        """See `ChaosGround`."""
        code, _, err = self._breaking.run(self._nodes.host_of(name), ["testnet", "resume", name])
        if code:
            raise NodeError(err.strip() or f"{name} cannot be resumed.")

    def lend(self, name: str, file: Path) -> str:
        """See `ChaosGround`."""
        host = self._nodes.host_of(name)
        folder = f"{self._looking.kept.host(host).folder}/{LENT_FOLDER}"
        place = quoted(folder)
        command = f"umask 077 && mkdir -p {place} && cd {place} && cat > {shlex.quote(file.name)} && pwd"
        done = self._looking.shell(host, command, file.read_bytes())
        if done.code:
            raise NodeError(f"A file cannot be copied to {host}: {done.err.strip()}")
        return f"{done.out.decode(errors='replace').strip()}/{file.name}"

    def take_back(self, name: str, path: str) -> None:
        """See `ChaosGround`."""
        with contextlib.suppress(NodeError):
            self._looking.shell(self._nodes.host_of(name), f"rm -f {shlex.quote(path)}")

    def received(self, name: str, file: str) -> tuple[int, str] | None:
        """See `ChaosGround`."""
        answer = self._looking.ask(self._nodes.host_of(name), "received", node=name, file=file)
        match answer:
            case {"size": int(size), "digest": str(digest)}:
                return size, digest
        return None

    def drop_received(self, name: str, file: str) -> None:
        """See `ChaosGround`."""
        with contextlib.suppress(NodeError):
            self._looking.ask(self._nodes.host_of(name), "drop", node=name, file=file)

    def partial(self, names: Sequence[str]) -> set[tuple[str, str]]:
        """See `ChaosGround`."""
        found = set()
        for name in names:
            with contextlib.suppress(NodeError):
                answer = self._looking.ask(self._nodes.host_of(name), "partial", node=name)
                found |= {(name, str(file)) for file in answer.get("files", ())}
        return found

    def drop_partial(self, files: set[tuple[str, str]]) -> None:
        """See `ChaosGround`."""
        for name, file in files:
            with contextlib.suppress(NodeError):
                self._looking.ask(self._nodes.host_of(name), "drop", node=name, file=f".partial/{file}")


@contextmanager
def far_network(hosts: Hosts, folder: Path) -> Iterator[FarNetwork]:
    """Yield the network of the hosts, whose agents run, with the control sockets of all nodes forwarded into a
    temporary folder, but for nodes of hosts that are not connected. Raises NodeError."""
    with tempfile.TemporaryDirectory(prefix="nectar-doors-") as name:
        doors = Path(name)
        nodes = FarNodes(hosts, doors)
        there = {host: str(answer.get("folder")) for host, answer in hosts.ask_all("doors").items()}
        for node in nodes.names:
            door = NodeFolder(doors / node)
            door.path.mkdir(mode=0o700)
            host = nodes.host_of(node)
            if host in there:
                hosts.forward(host, door.control, f"{there[host]}/{node}/{door.control.name}")
        yield FarNetwork(folder, nodes)


@contextmanager
def far_ground(hosts: Hosts, network: FarNetwork) -> Iterator[FarGround]:
    """Yield the ground of chaos on that network."""
    breaking = hosts.twin()
    breaking.begin(detach=True)
    try:
        yield FarGround(network.nodes, hosts, breaking)
    finally:
        breaking.end()


def _lost(host: str, error: NodeError) -> str:
    return f"the host {host} is lost: {error}"


def check_quiet(network: FarNetwork, ground: FarGround) -> tuple[str, ...]:
    """Return the nodes that can take part in chaos; raises NodeError, which says why there are none."""
    looks = {name: network.nodes.look(name) for name in network.names()}
    for look in looks.values():
        if look.lost:
            raise NodeError(f"{look.lost[0].upper()}{look.lost[1:]}")
    down = [name for name, look in looks.items() if look.pid is None]
    if down or ground.why_no_links() is not None:
        what = f"{down[0]} is down" if down else "The links of a host do not run"
        raise NotRunning(f"{what}: `{network.command('testnet up')}` starts what is missing.")
    for name, look in looks.items():
        if look.paused:
            raise BadInput(f"{name} is paused: `{network.command('testnet resume', name)}` resumes it.")
    return tuple(name for name in network.names() if name != REGISTRAR_NAME)
