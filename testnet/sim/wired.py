"""Ends of connections, and what owns them in a simulation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from net.contract.events import DialFailure
from net.io.port import Port
from testnet.model.rule import Late, Link
from testnet.sim.timeline import Timeline


class Wired(ABC):
    """The base of the owners of ends of connections: each passes on to its port what the links tell it."""

    port: Port
    """What decides about its connections."""
    window: int
    """The most bytes of one connection that may be in flight to it or unread by it."""
    _timeline: Timeline

    def __init__(self, timeline: Timeline, name: str, host: str) -> None:
        """`name` is what links call it; `host` stands in the journal, and is where others see it dial from."""
        self.name = name
        self.host = host
        self.ends: dict[int, LinkEnd] = {}
        """Its ends of connections, by number."""
        self.crashed = False
        """Whether it has ended."""
        self._timeline = timeline

    @property
    def time(self) -> float:
        """The seconds that its own clock shows."""
        return self._timeline.now

    @property
    def unsettled(self) -> bool:
        """Whether its core has anything to go on with; it may say so in vain."""
        return True

    @abstractmethod
    def go_on(self) -> None:
        """Let the core run until it waits, and carry out its actions."""

    def at(self, when: float, what: Callable[[], object]) -> None:
        """Schedule `what` for this owner at the virtual time `when`."""
        self._timeline.schedule(when, partial(self.happens, what))

    def happens(self, what: Callable[[], object]) -> None:
        """Let `what` happen to this owner now, unless it has ended."""
        if not self.crashed:
            what()

    def accepted(self, connection: int, host: str) -> None:
        """Take a connection that another node has dialed."""
        self.port.accepted(connection, host, self.time)
        self.go_on()

    def connected(self, connection: int) -> None:
        """Take the news that a dial has succeeded."""
        self.port.connected(connection, self.time)
        self.go_on()

    def dial_failed(self, connection: int, failure: DialFailure) -> None:
        """Take the news that a dial has failed."""
        self.port.dial_failed(connection, failure, self.time)
        self.go_on()

    def receive(self, connection: int, data: bytes) -> None:
        """Take bytes that have arrived on a connection."""
        self.port.receive(connection, data, self.time)
        self.go_on()

    def lost(self, connection: int) -> None:
        """Take the news that a connection is gone."""
        self.port.lost(connection, self.time)
        self.go_on()


@dataclass(slots=True, eq=False)
class Flight:
    """A piece that arrives late."""

    soonest: float
    """When it would arrive without faults."""
    delays: tuple[Late, ...]
    what: Callable[[], object]
    """What happens on its arrival."""
    arrives: float = 0.0


@dataclass(slots=True, eq=False)
class LinkEnd:
    """One node's end of a connection."""

    node: Wired
    connection: int
    link: Link
    """The direction that bytes from this end take."""
    number: int
    """The number of the connection in its network."""
    peer: LinkEnd | None = None
    open: bool = True
    leaving: deque[bytes | None] = field(default_factory=deque)
    """Pieces that the network holds back, in order; None stands for the end of the connection."""
    sent: float | None = None
    """When the first of these was sent and lost. Nothing leaves until it is sent again: a network that was gone for ten
    seconds costs a connection thirteen (tests/levels/test_times.py)."""
    offset: int = 0
    """Bytes that have left."""
    arrives: float = 0.0
    """When the last byte that has left arrives; later ones do not overtake it."""
    late: deque[Flight] = field(default_factory=deque)
    """Pieces that have left and that a fault delays, with those that cannot overtake them."""
    under_way: int = 0
    """Bytes taken from the node that the other side has not read."""
    choked: bool = False
    """Whether the node was refused to send more for now."""
    lost: bool = False
    """Whether nothing that leaves here arrives any more."""
    held: bool = False
    """The node reads nothing from it for now."""
    unread: deque[tuple[bytes, int] | None] = field(default_factory=deque)
    """Pieces that have arrived, each with its share of `under_way`; None stands for the end of the connection."""

    @property
    def full(self) -> bool:
        """Return whether the end takes nothing more from its node for now."""
        return self.peer is not None and self.under_way >= self.peer.node.window
