"""The owner of ends of connections in a simulation: it passes on to its port what the links tell it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from net.contract.events import Buffer, DialFailure
from testnet.sim.timeline import Timeline


class Port(Protocol):
    """What has connections: a node's `net.peering.network.Network`, or a hostile peer with the same methods."""

    def new_connection(self) -> int:
        """Return a number for a new connection."""

    def accepted(self, connection: int, host: str, now: float) -> None:
        """Take a connection that another node has dialed."""

    def connected(self, connection: int, now: float) -> None:
        """Take the news that a dial has succeeded."""

    def dial_failed(self, connection: int, reason: str, now: float) -> None:
        """Take the news that a dial has failed."""

    def receive(self, connection: int, data: Buffer, now: float) -> None:
        """Take bytes that have arrived on a connection."""

    def lost(self, connection: int, now: float) -> None:
        """Take the news that a connection is gone."""

    def pending(self, connection: int, limit: int) -> list[Buffer]:
        """Return up to `limit` bytes that are to be sent on a connection."""


class LinkEnd(ABC):
    """The base of the owners of ends of connections."""

    port: Port
    """What decides about its connections."""
    _simulation: Timeline

    @abstractmethod
    def go_on(self) -> None:
        """Let the core run until it waits, and carry out its actions."""

    def accepted(self, connection: int, host: str) -> None:
        """Take a connection that another node has dialed."""
        self.port.accepted(connection, host, self._simulation.now)
        self.go_on()

    def connected(self, connection: int) -> None:
        """Take the news that a dial has succeeded."""
        self.port.connected(connection, self._simulation.now)
        self.go_on()

    def dial_failed(self, connection: int, failure: DialFailure) -> None:
        """Take the news that a dial has failed."""
        self.port.dial_failed(connection, failure, self._simulation.now)
        self.go_on()

    def receive(self, connection: int, data: bytes) -> None:
        """Take bytes that have arrived on a connection."""
        self.port.receive(connection, data, self._simulation.now)
        self.go_on()

    def lost(self, connection: int) -> None:
        """Take the news that a connection is gone."""
        self.port.lost(connection, self._simulation.now)
        self.go_on()
