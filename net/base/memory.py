"""Who pays for the memory that a peer's messages take until our kernel has taken them: an account for each peer.

The net bounds what one peer may have (`limits.SESSION_CREDIT_BYTES`); whoever runs it has one budget for all peers
together, and for what else waits in the node, and gives the net accounts of that. A net without one bounds each peer
alone.
"""

from __future__ import annotations

from typing import Protocol


class Account(Protocol):
    """What one peer has of the budget."""

    def may_add(self, size: int) -> bool:
        """Whether it may hold so many bytes more."""

    def add(self, size: int) -> None:
        """It holds so many bytes more."""

    def remove(self, size: int) -> None:
        """It holds so many bytes less."""


class Memory(Protocol):
    """The accounts of one node."""

    @property
    def scarce(self) -> bool:
        """Whether others may have to wait for what a peer holds."""

    def of_node(self, name: str) -> Account:
        """The account of a peer."""


class Unmetered:
    """No budget: an account that may always hold more, and the memory of a net that has no other."""

    scarce = False

    def may_add(self, size: int) -> bool:
        """Yes."""
        return True

    def add(self, size: int) -> None:
        """Nothing is counted."""

    def remove(self, size: int) -> None:
        """Nothing is counted."""

    def of_node(self, name: str) -> Account:
        """Itself."""
        return self


UNMETERED = Unmetered()
