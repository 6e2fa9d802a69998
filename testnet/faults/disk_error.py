"""A node's disk fails."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.quantity import NodeName
from testnet.model.rule import NodeFault, Nodes


@dataclass(frozen=True, slots=True)
class FailingDisk(NodeFault):
    """Whatever would change a node's disk fails with an input/output error, and has not been done.

    Files can be read.
    """

    node: NodeName

    def begin(self, nodes: Nodes) -> None:
        nodes.break_disk(self.node)

    def end(self, nodes: Nodes) -> None:
        nodes.mend_disk(self.node)

    def words(self) -> str:
        return f"failing disk of {self.node}"
