"""The parts of a simulation that nodes and hostile peers share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from kernel.router.trace import TraceRecord
from kernel.wasm.engine import Engine
from nectar_node.backup.schedule import KnownRemote
from nectar_node.packages.manifest import Package
from net.contract.events import Unforeseen
from net.names.directory import Genesis
from net.names.identity import Identity
from testnet.model.internet import Internet
from testnet.model.invariants import Watch
from testnet.sim.fabric import Fabric, LinkBehaviour
from testnet.sim.names import PORT, REGISTRAR, NodeFailure
from testnet.sim.programs import Programs
from testnet.sim.timeline import Timeline
from testnet.sim.wired import Wired


class Drift:
    """A clock that may run at another rate than the network's time."""

    def __init__(self) -> None:
        self._rate = 1.0
        self._since = self._ahead = 0.0

    def shown(self, now: float) -> float:
        """Return the seconds that it shows."""
        return now + self._ahead + (now - self._since) * (self._rate - 1.0)

    def when(self, shown: float) -> float:
        """Return the network's time at which it shows so many seconds."""
        found = self._since + (shown - self._ahead - self._since) / self._rate
        while self.shown(found) < shown:  # what is due then would be due again and again, at one moment
            found = math.nextafter(found, math.inf)
        return found

    def run_at(self, rate: float, now: float) -> None:
        """Go on at another rate."""
        self._ahead, self._since, self._rate = self.shown(now) - now, now, rate


class NodeContext(Timeline, ABC):
    """A timeline with links, clocks, and an eye on what nodes do."""

    def __init__(
        self,
        seed: int,
        engine: Engine | Programs,
        behaviour: LinkBehaviour,
        nodes: Mapping[str, Wired],
        watches: bool,
        journal: bool = True,
    ) -> None:
        """`engine` must be deterministic; `nodes` are those that run, by host."""
        super().__init__(seed, journal=journal)
        self.engine = engine
        """The compiler of all guests."""
        self.watches = watches
        """Whether the journal has every step of every message."""
        self.fabric = Fabric(self, nodes, behaviour)
        self.internet = Internet(self, lambda: self.fabric.rules)
        """The servers that processes ask by HTTP."""
        self.boots: Counter[str] = Counter()
        """How often the node on each host has booted before."""
        self.clocks: defaultdict[str, float] = defaultdict(float)
        """Seconds that each host's wall clock is ahead of the network's time."""
        self.drifts: defaultdict[str, Drift] = defaultdict(Drift)
        """How far the clocks of each host are from the network's time, those that cannot be set among them."""
        self.poll_seconds: defaultdict[str, float] = defaultdict(float)
        """Seconds that each poll of a guest takes, by host."""
        self.without_memory: set[str] = set()
        """Hosts whose guests get no more memory than they have."""
        self.without_spawns: set[str] = set()
        """Hosts whose processes can start no others."""
        self.contained: list[Unforeseen] | None = None
        """Failures of the nodes' own code; None: the first one ends the simulation, so that it is found."""
        key = Identity(REGISTRAR, self.chance("key", REGISTRAR).randbytes(32))
        self.genesis = Genesis(REGISTRAR, key.public_key, REGISTRAR, PORT)
        self._watch: Watch | None = None
        self._origins: dict[Path, Path] = {}
        """Where packages come from, by the folders in which they lie on this machine."""
        self._files: dict[str, Sequence[tuple[Path, bytes]]] = {}
        """The files of packages, by their digests."""

    def origin_of(self, folder: Path) -> Path:
        """Return where a package comes from, as nodes know it: the same wherever `folder` lies on this machine.

        Nodes keep it. With the folder's own path in their stores and backups, another clone would write another
        journal for the same seed.
        """
        known = self._origins.get(folder)
        if known is None:
            alike = sum(each.name == folder.name for each in self._origins)
            known = self._origins[folder] = Path("/packages", str(alike), folder.name)
        return known

    def files_of(self, package: Package) -> Sequence[tuple[Path, bytes]]:
        """Return the files of a package, by their paths in its folder. The disks of all nodes share these bytes: of an
        interpreter there are twenty megabytes.
        """
        known = self._files.get(package.digest)
        if known is None:
            found = sorted(each for each in package.folder.rglob("*") if each.is_file())
            known = tuple((file.relative_to(package.folder), file.read_bytes()) for file in found)
            self._files[package.digest] = known
        return known

    def watch(self, watch: Watch) -> None:
        """Check the invariants from now on; whatever lets time pass then raises Violation."""
        self._watch = watch

    def wall_clock(self, host: str) -> float:
        """Return what the clock of a host shows, in seconds since 1970."""
        return self.drifts[host].shown(self.now) + self.clocks[host]

    def observe(self, host: str, life: str, record: TraceRecord) -> None:
        """Take a step of a message on a node, in one of its lives."""
        self.recording.add_step(self.now, host, record)
        if self._watch is not None:
            self._watch.see(life, record)
        if self.points.active:
            self.points.step(host, record.step.value, self.now)

    def fail(self, host: str, failure: Unforeseen) -> None:
        """Take a failure of a node's own code, which the node outlives; raises NodeFailure unless failures are kept."""
        self.record(host, f"fails: {failure.what}")
        if self.contained is None:
            raise NodeFailure("\n".join((f"{host} failed at {failure.what}:", *failure.traceback)))
        self.contained.append(failure)

    @abstractmethod
    def start_backup(self, host: str, remotes: tuple[str, ...]) -> None:
        """Begin a run that a node has asked for."""

    @abstractmethod
    def stop_backup(self, host: str, remotes: tuple[str, ...]) -> None:
        """End what of that is not complete."""

    @abstractmethod
    def backup_remotes(self, host: str) -> tuple[KnownRemote, ...]:
        """Return the remotes for backups, as the node's settings have them."""

    @abstractmethod
    def crash(self, host: str) -> object:
        """End a node at once, without a word."""

    @abstractmethod
    def leave(self, host: str) -> object:
        """End a node that shuts down."""
