"""Who pays for the memory that messages take while they wait: an account for each process, and for each other node.

The kernel decides nothing about the whole: whoever runs it has one budget for all that waits in the node
and gives it accounts of that. A kernel without one bounds each inbox and each pair alone.
"""

from __future__ import annotations

from typing import Protocol

from kernel.contract.address import ProcessId


class Account(Protocol):
    """What one holder has of the budget."""

    @property
    def exhausted(self) -> bool:
        """Whether all of its package together has as much as one package may have."""

    def has_room(self) -> bool:
        """Whether one more message, of any size, may be added."""

    def may_add(self, size: int) -> bool:
        """Whether it may have so many bytes more."""

    def add(self, size: int) -> None:
        """It holds so many bytes more."""

    def remove(self, size: int) -> None:
        """It holds so many bytes less."""


class Memory(Protocol):
    """The accounts of one node."""

    def of_process(self, process: ProcessId) -> Account:
        """That of what waits in a process's inbox; the same for all its lives."""

    def of_node(self, name: str) -> Account:
        """That of what is on its way to another node."""


class Unmetered:
    """No budget: an account that always has room, and the memory of a kernel that has no other."""

    exhausted = False

    def has_room(self) -> bool:
        """Yes."""
        return True

    def may_add(self, size: int) -> bool:
        """Yes."""
        return True

    def add(self, size: int) -> None:
        """Nothing is counted."""

    def remove(self, size: int) -> None:
        """Nothing is counted."""

    def of_process(self, process: ProcessId) -> Account:
        """Itself."""
        return self

    def of_node(self, name: str) -> Account:
        """Itself."""
        return self


UNMETERED = Unmetered()
