"""Places where the plans of a sweep are played: processes here (`workers`), or a cluster (`testnet.cluster`)."""

from __future__ import annotations

from typing import Protocol

from nectar_node.base.errors import NodeError
from testnet.scenarios.scenario import Plan
from testnet.sweep.verdict import RunVerdict


class PlayersLost(NodeError):
    """Nobody plays any more: the rest of the sweep has no verdicts."""


class Players(Protocol):
    """Play plans, several at a time. Each plan that has begun has one verdict, whatever happens to who plays it."""

    @property
    def busy(self) -> int:
        """Return how many plans are being played."""

    @property
    def free(self) -> bool:
        """Return whether `begin` can be called."""

    def begin(self, plan: Plan) -> None:
        """Begin to play a plan."""

    def verdicts(self, patience: float | None) -> list[RunVerdict]:
        """Return the verdicts that have come, or come within `patience` seconds; None: wait for one. Raises
        PlayersLost."""

    def play(self, plan: Plan) -> RunVerdict:
        """Play a plan and wait for its verdict; nothing else may be in play. Raises PlayersLost."""
