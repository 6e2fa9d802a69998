"""A network as a scenario sees it, the same at every level: simulated, on loopback, in network namespaces.

Everything here is synchronous. In a simulation, waiting lets virtual time pass; elsewhere it waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol, TypeAlias

from nectar_node.base.shipped import SHIPPED_FOLDER
from nectar_node.storage.database import Contents
from nectar_node.storage.operations import Row
from testnet.check.history import Histories, OperationHistory
from testnet.check.verdict import Guarantee
from testnet.model.backups import LabBackups
from testnet.model.browsers import Browsers
from testnet.model.folder_tree import FolderTree
from testnet.model.releases import LabReleases
from testnet.model.rule import Fault, Nodes

Json: TypeAlias = Any
"""A JSON value."""

PACKAGES = SHIPPED_FOLDER
"""The packages that come with the node."""
ASK_SECONDS = 10
"""Seconds that a request waits for its response, unless it says otherwise."""
WAIT_SECONDS = 60.0
"""Seconds that a lab waits for something, unless it is told otherwise."""
READY_SECONDS = 60.0
"""Seconds in which the nodes of a network must have booted."""


class Level(Enum):
    """How real a lab is."""

    SIMULATION = "simulation"
    LOOPBACK = "loopback"
    NAMESPACES = "namespaces"


class OutOfTime(Exception):
    """Something has not happened within the seconds that it was given; the text says what, and what there was."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A node of a plan."""

    name: str
    packages: tuple[str | Path, ...] = ()
    """Names of packages that come with the node, or folders."""
    routers: tuple[str, ...] = ()
    """The routers through which alone it is reached, if there are any."""
    memory_bytes: int | None = None
    """The budget for all that waits in the node; None: the usual one."""
    cipher: str = ""
    """The cipher that its record lists, by its name in Noise; empty: that is drawn, or found out on the machine."""
    http: bool = False
    """Whether a real node listens for browsers. A simulated one answers those of `Simulation.get` in any case."""

    def folders(self) -> tuple[Path, ...]:
        """Return the folders of its packages."""
        return tuple(PACKAGES / each for each in self.packages)


class Outcome(NamedTuple):
    """How a request ended."""

    kind: str
    """response, offline or timeout."""
    body: Json = None
    """The body of a response."""
    reason: str = ""
    """The reason of an error (G16)."""


class NodeHolding(NamedTuple):
    """What a node holds because of others."""

    memory: int
    """Bytes: in a simulation those of messages in net and kernel, on a real node all resident memory."""
    most: int
    """The most bytes that it may hold: in a simulation its budget, on a real node that and what it has besides."""
    counts: dict[str, int]
    """Other figures by name: connections, bytes, processes; a real node has fewer of them."""


class SentRequest(Protocol):
    """A request that has been sent in the name of a node's user."""

    @property
    def begun(self) -> float | None:
        """When it was sent, as `Lab.now` counts; None: just now."""

    @property
    def outcome(self) -> Outcome | None:
        """The outcome, or None if there is none yet."""

    @property
    def ended(self) -> float | None:
        """When the outcome came, as `Lab.now` counts; None if there is none yet."""


class Lab(Nodes, Protocol):
    """A network under test."""

    level: Level
    """How real the lab is."""
    seed: int
    """The number that everything random follows from, as far as the level allows."""
    histories: Histories
    """The operations that are recorded, and what is promised of them."""

    @property
    def now(self) -> float:
        """Seconds since the network began."""

    def chance(self, *purpose: str) -> Random:
        """Return a source of randomness of its own for each purpose, from the seed."""

    def boot(self, *nodes: NodePlan) -> None:
        """Start these nodes, and wait until they are `ready`; raises OutOfTime."""

    def running(self, name: str) -> bool:
        """Return whether the node is there: neither crashed nor left; a paused node is there."""

    def ready(self, name: str) -> bool:
        """Return whether the node has booted: its packages run, and the registrar has granted its name or has taken too
        long."""

    def leave(self, name: str) -> object:
        """End the node in order, as SIGTERM does; `start` boots it again."""

    def cut(self, name: str) -> None:
        """Break all connections of the node, for both ends."""

    def apply(self, fault: Fault) -> AbstractContextManager[None]:
        """Hold the fault within a `with` block."""

    def inject(self, fault: Fault) -> int:
        """Begin the fault and return its number."""

    def withdraw(self, number: int) -> None:
        """End the fault of that number."""

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something after so many seconds, while the scenario waits."""

    def begin(
        self, node: str, target: str, body: Json, timeout: int = ASK_SECONDS, blob: bytes | None = None
    ) -> SentRequest:
        """Send a request in the name of the user of `node`."""

    def ask(self, node: str, target: str, body: Json, timeout: int = ASK_SECONDS, blob: bytes | None = None) -> Outcome:
        """Send a request and wait for its outcome. If the node dies meanwhile, that is a timeout."""

    def wait(self, done: Callable[[], bool], limit: float = WAIT_SECONDS, what: str = "what was waited for") -> None:
        """Let time pass until `done`; raises OutOfTime after `limit` seconds."""

    def rest(self, seconds: float) -> None:
        """Let `seconds` pass."""

    def share(self, node: str, data: bytes, name: str) -> str:
        """Put a file where the package file_transfer of `node` can read it, and return its path there."""

    def received(self, node: str, name: str) -> bytes | None:
        """Return the file that file_transfer of `node` has received under that name, or None."""

    def share_folder(self, node: str, tree: FolderTree, name: str) -> str:
        """Put a folder where the package file_transfer of `node` can read it, and return its path there."""

    def received_folder(self, node: str, name: str) -> FolderTree | None:
        """Return the folder that file_transfer of `node` has received under that name, or None."""

    def tamper(self, node: str, change: Callable[[Contents], Iterable[Row]]) -> None:
        """Write rows into the store of a node that is down, as the owner of its machine can; `change` is given what it
        holds (`testnet.hostile.forgery`)."""

    def backups(self, node: str) -> LabBackups:
        """Return the backups of a node. Raises NotAtThisLevel."""

    def releases(self, node: str) -> LabReleases:
        """Return the releases of a node that runs. Raises NotAtThisLevel."""

    def rotate_key(self, node: str) -> None:
        """Give a node another key, from its next boot on; the former one signs the change. Raises NotAtThisLevel."""

    def set_cipher(self, node: str, cipher: str) -> None:
        """Let a node list that cipher (`NodePlan.cipher`), from its next boot on."""

    def ciphers(self, node: str) -> dict[str, str]:
        """Return what a running node's sessions are encrypted with, for people, by the peers that are connected."""

    def browsers(self, node: str) -> Browsers:
        """Return browsers on the machine of a node that runs. Raises NotAtThisLevel."""

    def log(self, node: str) -> list[str]:
        """Return what the node has logged, over all of its boots."""

    def holding(self, node: str) -> NodeHolding:
        """Return what a running node holds just now."""

    def note(self, text: str) -> None:
        """Write a remark into the journal."""

    def history(self, *promises: Guarantee, name: str = "") -> OperationHistory:
        """Return a new history, in which operations are recorded; its promises are checked at the end of the run."""
        return self.histories.open(promises, name)
