"""A node's processes cannot start others."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.quantity import NodeName
from testnet.model.rule import NodeFault, Nodes


@dataclass(frozen=True, slots=True)
class SpawnFails(NodeFault):
    """Whenever a process of the node spawns another one, it is told that this cannot be started."""

    node: NodeName

    def begin(self, nodes: Nodes) -> None:
        nodes.refuse_spawns(self.node, True)

    def end(self, nodes: Nodes) -> None:
        nodes.refuse_spawns(self.node, False)

    def words(self) -> str:
        return f"processes of {self.node} cannot spawn"
