"""A machine loses power."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.quantity import NodeName
from testnet.model.rule import Nodes


@dataclass(frozen=True, slots=True)
class Unsynced:
    """A node's machine loses power: nobody is told, and what it had not synced is lost.

    It boots again at the end, and knows of no connection.
    """

    node: NodeName

    def begin(self, nodes: Nodes) -> None:
        """Do to the nodes what the fault does."""
        nodes.cut_power(self.node)

    def end(self, nodes: Nodes) -> None:
        """Undo it, whatever has happened to the nodes meanwhile."""
        nodes.start(self.node)

    def words(self) -> str:
        """Describe the fault for people: "partition send.nec from recv.nec"."""
        return f"power cut of {self.node}"
