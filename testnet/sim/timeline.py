"""Virtual time, chance and the journal, as the parts of a simulation see them without knowing the whole."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol


class Timeline(Protocol):
    """What every part of a simulation goes by; `simulation.Simulation` is the one that there is."""

    @property
    def now(self) -> float:
        """Virtual seconds since the simulation began."""

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Let something happen at a moment that is not over yet."""

    def chance(self, *purpose: str) -> Random:
        """A source of randomness of its own for each purpose, so that one does not shift another."""

    def note(self, node: str, what: str) -> None:
        """Write a line into the journal."""
