"""A node stops for a while, like a laptop with its lid closed."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.quantity import NodeName
from testnet.model.rule import Nodes


@dataclass(frozen=True, slots=True)
class Pause:
    """The node does not run, as under SIGSTOP; its host still accepts connections and bytes."""

    node: NodeName

    def begin(self, nodes: Nodes) -> None:
        """Do to the nodes what the fault does."""
        nodes.pause(self.node)

    def end(self, nodes: Nodes) -> None:
        """Undo it, whatever has happened to the nodes meanwhile."""
        nodes.resume(self.node)

    def words(self) -> str:
        """Describe the fault for people: "partition send.nec from recv.nec"."""
        return f"pause {self.node}"
