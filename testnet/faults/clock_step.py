"""A node's wall clock is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from testnet.model.quantity import NodeName, Range
from testnet.model.rule import NodeFault, Nodes

MOST = 3e9
"""Seconds, about a century: what a clock can be wrong by."""


@dataclass(frozen=True, slots=True)
class ClockStep(NodeFault):
    """A node's wall clock jumps by `seconds`, backwards if negative, and at the end back to where it was.

    Processes see it, and so does the node itself, whose name records expire by it. Waiting for a time to pass is not
    affected.
    """

    node: NodeName
    seconds: Annotated[float, Range(-MOST, MOST)]

    def begin(self, nodes: Nodes) -> None:
        nodes.step_clock(self.node, self.seconds)

    def end(self, nodes: Nodes) -> None:
        nodes.step_clock(self.node, -self.seconds)

    def words(self) -> str:
        return f"clock of {self.node} steps by {self.seconds:+g} s"
