"""The owner of ends of connections in a simulation: it passes on to its core what the links tell it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from net.contract.events import DialFailure
from testnet.sim.timeline import Timeline


class Core(Protocol):
    """A core with connections: a node's or a hostile peer's. The methods are those of `net.peering.network.Network`."""

    def accepted(self, connection: int, host: str, now: float) -> None:
        """Take a connection that another node has dialed."""

    def connected(self, connection: int, now: float) -> None:
        """Take the news that a dial has succeeded."""

    def dial_failed(self, connection: int, reason: str, now: float) -> None:
        """Take the news that a dial has failed."""

    def receive(self, connection: int, data: bytes, now: float) -> None:
        """Take bytes that have arrived on a connection."""

    def lost(self, connection: int, now: float) -> None:
        """Take the news that a connection is gone."""


AnyCore = TypeVar("AnyCore", bound=Core)


class LinkEnd(ABC, Generic[AnyCore]):
    """The base of the owners of ends of connections."""

    core: AnyCore
    """The core that decides."""
    _simulation: Timeline

    @abstractmethod
    def go_on(self) -> None:
        """Let the core run until it waits, and carry out its actions."""

    def accepted(self, connection: int, host: str) -> None:
        """Take a connection that another node has dialed."""
        self.core.accepted(connection, host, self._simulation.now)
        self.go_on()

    def connected(self, connection: int) -> None:
        """Take the news that a dial has succeeded."""
        self.core.connected(connection, self._simulation.now)
        self.go_on()

    def dial_failed(self, connection: int, failure: DialFailure) -> None:
        """Take the news that a dial has failed."""
        self.core.dial_failed(connection, failure, self._simulation.now)
        self.go_on()

    def receive(self, connection: int, data: bytes) -> None:
        """Take bytes that have arrived on a connection."""
        self.core.receive(connection, data, self._simulation.now)
        self.go_on()

    def lost(self, connection: int) -> None:
        """Take the news that a connection is gone."""
        self.core.lost(connection, self._simulation.now)
        self.go_on()
