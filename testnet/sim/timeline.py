"""Virtual time, randomness and the journal, as the parts of a simulation see them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol


class Timeline(Protocol):
    """The time, the randomness and the journal of a simulation; `simulation.Simulation` implements it."""

    @property
    def now(self) -> float:
        """Virtual seconds since the simulation began."""

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Schedule `what` for the virtual time `when`, which is not over yet."""

    def chance(self, *purpose: str) -> Random:
        """Return a source of randomness of its own for each purpose, so that one does not shift another."""

    def note(self, node: str, what: str) -> None:
        """Write a line into the journal."""
