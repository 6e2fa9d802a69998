"""A node's processes get no more memory."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.quantity import NodeName
from testnet.model.rule import NodeFault, Nodes


@dataclass(frozen=True, slots=True)
class RefusedMemory(NodeFault):
    """No process of the node gets more memory than it has: each `memory.grow` is refused.

    Most programs end then, and start again. A process that starts meanwhile has what it begins with.
    """

    node: NodeName

    def begin(self, nodes: Nodes) -> None:
        nodes.limit_memory(self.node, True)

    def end(self, nodes: Nodes) -> None:
        nodes.limit_memory(self.node, False)

    def words(self) -> str:
        return f"no more memory for processes of {self.node}"
