"""A node stops for a while, like a laptop with its lid closed."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.quantity import NodeName
from testnet.model.rule import NodeFault, Nodes


@dataclass(frozen=True, slots=True)
class Pause(NodeFault):
    """The node does not run, as under SIGSTOP; its host still accepts connections and bytes."""

    node: NodeName

    def begin(self, nodes: Nodes) -> None:
        nodes.pause(self.node)

    def end(self, nodes: Nodes) -> None:
        nodes.resume(self.node)

    def words(self) -> str:
        return f"pause {self.node}"
