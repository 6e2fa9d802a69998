"""A node dies, and boots again."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.quantity import NodeName
from testnet.model.rule import Nodes


@dataclass(frozen=True, slots=True)
class Crash:
    """The node ends as by kill -9, and boots again at the end of this, with its key and its disk.

    Its host lives, and lets its connections end.
    """

    node: NodeName

    def begin(self, nodes: Nodes) -> None:
        """Do to the nodes what the fault does."""
        nodes.crash(self.node)

    def end(self, nodes: Nodes) -> None:
        """Undo it, whatever has happened to the nodes meanwhile."""
        nodes.start(self.node)

    def words(self) -> str:
        """Describe the fault for people: "partition send.nec from recv.nec"."""
        return f"kill {self.node}"
