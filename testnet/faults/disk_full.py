"""A node's disk has no room."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.quantity import NodeName
from testnet.model.rule import Nodes


@dataclass(frozen=True, slots=True)
class DiskFull:
    """A node's disk takes no more bytes; what is there can be read, written over and removed."""

    node: NodeName

    def begin(self, nodes: Nodes) -> None:
        """See `NodeFault`."""
        nodes.fill_disk(self.node)

    def end(self, nodes: Nodes) -> None:
        """See `NodeFault`."""
        nodes.free_disk(self.node)

    def words(self) -> str:
        """See `Fault`."""
        return f"full disk of {self.node}"
