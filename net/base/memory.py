"""Who pays for the memory that a peer's messages take until our kernel has taken them: an account for each peer.

The net bounds what one peer may have (`limits.SESSION_CREDIT_BYTES`). The node has one budget for all peers together,
and for what else waits in it, and gives the net accounts of that. A net without a budget bounds each peer alone.
"""

from __future__ import annotations

from typing import Protocol


class Account(Protocol):
    """One peer's part of the budget."""

    def may_add(self, size: int) -> bool:
        """Return whether the peer may hold `size` bytes more."""

    def add(self, size: int) -> None:
        """Charge the peer for `size` bytes more."""

    def remove(self, size: int) -> None:
        """Return `size` bytes to the budget."""


class Memory(Protocol):
    """The accounts of one node."""

    @property
    def scarce(self) -> bool:
        """Whether others may have to wait for what a peer holds."""

    def of_node(self, name: str) -> Account:
        """Return the account of a peer."""


class Unmetered:
    """The `Account` and the `Memory` of a net without a budget: every peer may always hold more."""

    scarce = False

    def may_add(self, size: int) -> bool:
        """Return True."""
        return True

    def add(self, size: int) -> None:
        """Count nothing."""

    def remove(self, size: int) -> None:
        """Count nothing."""

    def of_node(self, name: str) -> Account:
        """Return this same account."""
        return self


UNMETERED = Unmetered()
