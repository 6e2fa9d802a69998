"""A node's processes are slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from testnet.model.quantity import NodeName, Range
from testnet.model.rule import NodeFault, Nodes


@dataclass(frozen=True, slots=True)
class SlowGuests(NodeFault):
    """Each time that a process of the node goes on costs `seconds`, one process after the other.

    The node itself is as quick as ever: it reads, acknowledges and lets messages wait.
    """

    node: NodeName
    seconds: Annotated[float, Range(0.0, 60.0)] = 0.05

    def begin(self, nodes: Nodes) -> None:
        nodes.slow_guests(self.node, self.seconds)

    def end(self, nodes: Nodes) -> None:
        nodes.slow_guests(self.node, 0.0)

    def words(self) -> str:
        return f"processes of {self.node} take {self.seconds:g} s each time"
