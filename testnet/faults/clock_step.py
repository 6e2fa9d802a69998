"""A node's wall clock is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from testnet.model.quantity import NodeName, Range
from testnet.model.rule import Nodes

MOST = 3e9
"""Seconds, about a century: what a clock can be wrong by."""


@dataclass(frozen=True, slots=True)
class ClockStep:
    """A node's wall clock jumps by `seconds`, back if they are negative, and back to where it was at the end.

    Processes see it, and the node itself, by which name records expire. Nothing that waits for a time to pass is
    affected.
    """

    node: NodeName
    seconds: Annotated[float, Range(-MOST, MOST)]

    def begin(self, nodes: Nodes) -> None:
        """See `NodeFault`."""
        nodes.step_clock(self.node, self.seconds)

    def end(self, nodes: Nodes) -> None:
        """See `NodeFault`."""
        nodes.step_clock(self.node, -self.seconds)

    def words(self) -> str:
        """See `Fault`."""
        return f"clock of {self.node} steps by {self.seconds:+g} s"
