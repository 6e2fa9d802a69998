"""A node's clocks run too fast or too slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from testnet.model.quantity import NodeName, Range
from testnet.model.rule import NodeFault, Nodes


@dataclass(frozen=True, slots=True)
class ClockDrift(NodeFault):
    """All clocks of a node run at `rate`, and go on from where they are at the end.

    Processes see it in both clocks of WASI, and their timers and timeouts go by it, as do those of the node itself.
    """

    node: NodeName
    rate: Annotated[float, Range(0.01, 100.0)]

    def begin(self, nodes: Nodes) -> None:
        nodes.drift_clock(self.node, self.rate)

    def end(self, nodes: Nodes) -> None:
        nodes.drift_clock(self.node, 1.0)

    def words(self) -> str:
        return f"clocks of {self.node} run at {self.rate:g} times their rate"
