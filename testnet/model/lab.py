"""What a scenario sees of a network, the same at every level: simulated, on loopback, in network namespaces.

Everything here is synchronous. In a simulation to wait is to let virtual time pass; elsewhere it is to wait.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol, TypeAlias

from nectar_node.base.shipped import SHIPPED_FOLDER
from testnet.model.rule import Fault, Nodes

Json: TypeAlias = Any
"""A value that JSON can say."""

PACKAGES = SHIPPED_FOLDER
"""The packages that come with the node."""
READY_SECONDS = 60.0
"""In which a network's nodes have booted."""


class Level(Enum):
    """How real it is."""

    SIMULATION = "simulation"
    LOOPBACK = "loopback"
    NAMESPACES = "namespaces"


class OutOfTime(Exception):
    """Something has not come to pass within the seconds that it was given; the text says what, and what there was."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A node of a topology."""

    name: str
    packages: tuple[str | Path, ...] = ()
    """Names of those that come with the node, or folders."""
    routers: tuple[str, ...] = ()
    """If there are any, it is reached through these alone."""
    memory_bytes: int | None = None
    """Its budget for all that waits in it; None: what a node usually has."""

    def folders(self) -> tuple[Path, ...]:
        """Of its packages."""
        return tuple(PACKAGES / each for each in self.packages)


class Outcome(NamedTuple):
    """How a request ended."""

    kind: str
    """response, offline or timeout."""
    body: Json = None
    """Of a response."""
    reason: str = ""
    """Of an error (G16)."""


class Holding(NamedTuple):
    """What a node holds because of others."""

    memory: int
    """Bytes: in a simulation those of messages in net and kernel, of a real node all that are resident."""
    most: int
    """The bytes that it may hold: in a simulation its budget, of a real node that and what it has besides."""
    counts: dict[str, int]
    """By what is counted: in a simulation connections, bytes, processes and the like; of a real node fewer of these."""


class Asked(Protocol):
    """A request that has been sent in the name of a node's user."""

    @property
    def outcome(self) -> Outcome | None:
        """None: there is none yet."""


class Lab(Nodes, Protocol):
    """A network under test."""

    @property
    def level(self) -> Level:
        """How real it is."""

    @property
    def seed(self) -> int:
        """What everything random comes from, as far as the level lets it."""

    @property
    def now(self) -> float:
        """Seconds since the network began."""

    def chance(self, *purpose: str) -> Random:
        """A source of randomness of its own for each purpose, from the seed."""

    def boot(self, *nodes: NodePlan) -> None:
        """Start these nodes, and wait until they are `ready`; raises OutOfTime."""

    def running(self, name: str) -> bool:
        """Whether the node is there: not crashed, not left; a paused one is."""

    def ready(self, name: str) -> bool:
        """Whether it has booted: its packages run. The registrar has granted its name, or has taken too long."""

    def leave(self, name: str) -> None:
        """The node ends in order, as by SIGTERM; `start` boots it again."""

    def cut(self, name: str) -> None:
        """All its connections break, for both ends."""

    def apply(self, fault: Fault) -> AbstractContextManager[None]:
        """The fault holds within this."""

    def inject(self, fault: Fault) -> int:
        """The fault holds from now on; its number."""

    def withdraw(self, number: int) -> None:
        """It holds no longer."""

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something after so many seconds, in the midst of whatever the scenario waits for."""

    def begin(self, node: str, target: str, body: Json, timeout: int, blob: bytes | None = None) -> Asked:
        """Send a request in the name of the user of `node`."""

    def ask(self, node: str, target: str, body: Json, timeout: int, blob: bytes | None = None) -> Outcome:
        """The same, and wait for its outcome. If the node dies meanwhile, that is a timeout."""

    def wait(self, done: Callable[[], bool], limit: float, what: str = "what was waited for") -> None:
        """Let time pass until `done`; raises OutOfTime after `limit` seconds."""

    def rest(self, seconds: float) -> None:
        """Let so much time pass."""

    def share(self, node: str, data: bytes, name: str) -> str:
        """Put a file where the package file_transfer of `node` can read it; its path there."""

    def received(self, node: str, name: str) -> bytes | None:
        """The file that file_transfer of `node` has received under its final name; None: there is none."""

    def tamper(self, node: str, change: Callable[[bytes | None], bytes]) -> None:
        """Whoever owns the machine of a node that is down puts something else in the place of its store of capabilities
        (None: there was none), see `testnet.hostile.forgery`."""

    def log(self, node: str) -> list[str]:
        """What the node has logged, over all of its boots."""

    def holding(self, node: str) -> Holding:
        """What a node that runs holds just now."""

    def note(self, text: str) -> None:
        """Something for whoever reads the journal."""
