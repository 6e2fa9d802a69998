"""A node's disk is full."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.quantity import NodeName
from testnet.model.rule import Nodes


@dataclass(frozen=True, slots=True)
class DiskFull:
    """A node's disk takes no more bytes; files can be read, overwritten and removed."""

    node: NodeName

    def begin(self, nodes: Nodes) -> None:
        """Do to the nodes what the fault does."""
        nodes.fill_disk(self.node)

    def end(self, nodes: Nodes) -> None:
        """Undo it, whatever has happened to the nodes meanwhile."""
        nodes.free_disk(self.node)

    def words(self) -> str:
        """Describe the fault for people: "partition send.nec from recv.nec"."""
        return f"full disk of {self.node}"
