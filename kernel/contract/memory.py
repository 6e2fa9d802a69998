"""Who pays for the memory that messages take while they wait: an account for each process, and for each other node.

The kernel decides nothing about the whole. The node has one budget for all that waits in it, and gives the kernel
accounts of that. A kernel without a budget bounds each inbox and each pair alone.
"""

from __future__ import annotations

from typing import Protocol

from kernel.contract.address import ProcessId


class Account(Protocol):
    """One holder's part of the budget."""

    @property
    def exhausted(self) -> bool:
        """Whether the holder's package has as much, all together, as one package may have."""

    def has_room(self) -> bool:
        """Whether one more message, of any size, may be added."""

    def may_add(self, size: int) -> bool:
        """Return whether the holder may have `size` bytes more."""

    def add(self, size: int) -> None:
        """Charge the holder for `size` bytes more."""

    def remove(self, size: int) -> None:
        """Return `size` bytes to the budget."""


class Memory(Protocol):
    """The accounts of one node."""

    def of_process(self, process: ProcessId) -> Account:
        """Return the account of what waits in a process's inbox; the same for all its lives."""

    def of_node(self, name: str) -> Account:
        """Return the account of what is in flight to another node."""


class Unmetered:
    """An account without a budget, which always has capacity, and the memory of a kernel that has no other."""

    exhausted = False

    def has_room(self) -> bool:
        """Always True."""
        return True

    def may_add(self, size: int) -> bool:
        """Return True."""
        return True

    def add(self, size: int) -> None:
        """Count nothing."""

    def remove(self, size: int) -> None:
        """Count nothing."""

    def of_process(self, process: ProcessId) -> Account:
        """Return this same account."""
        return self

    def of_node(self, name: str) -> Account:
        """Return this same account."""
        return self


UNMETERED = Unmetered()
