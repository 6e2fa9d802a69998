"""A node's disk is full."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.quantity import NodeName
from testnet.model.rule import NodeFault, Nodes


@dataclass(frozen=True, slots=True)
class DiskFull(NodeFault):
    """A node's disk takes no more bytes; files can be read, overwritten and removed."""

    node: NodeName

    def begin(self, nodes: Nodes) -> None:
        nodes.fill_disk(self.node)

    def end(self, nodes: Nodes) -> None:
        nodes.free_disk(self.node)

    def words(self) -> str:
        return f"full disk of {self.node}"
