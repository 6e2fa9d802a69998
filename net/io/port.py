"""What bytes are carried for: the side of a network that a driver sees."""

from __future__ import annotations

from typing import Protocol

from net.contract.events import Buffer


class Port(Protocol):
    """What a driver needs of `net.peering.network.Network`, or of what stands in for it."""

    def new_connection(self) -> int:
        """Return a number for a connection that is about to be reported as accepted."""

    def accepted(self, connection: int, host: str, now: float) -> None:
        """Report a connection that has come from `host`."""

    def connected(self, connection: int, now: float) -> None:
        """Report that a dialed connection is open."""

    def dial_failed(self, connection: int, reason: str, now: float) -> None:
        """Report that a connection could not be dialed."""

    def lost(self, connection: int, now: float) -> None:
        """Report that a connection has ended."""

    def failed(self, connection: int, error: Exception, now: float) -> None:
        """Report that the driver's own code has failed at a connection."""

    def peer(self, connection: int) -> str:
        """Return the proven name of a connection's peer, or ""."""

    def receive(self, connection: int, data: Buffer, now: float) -> bool:
        """Report bytes that have come; return whether the owner has anything to do for them."""

    def pending(self, connection: int, limit: int) -> list[Buffer]:
        """Return about `limit` bytes to write."""

    def mixed(self, connection: int, now: float) -> bool:
        """Return whether small messages go beside a flow of large ones, so that little is to be held in advance."""

    @property
    def unsettled(self) -> bool:
        """Whether `pending` may have left the owner something to do."""
