"""A node stops for a while, as a laptop whose lid is closed."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.quantity import NodeName
from testnet.model.rule import Nodes


@dataclass(frozen=True, slots=True)
class Pause:
    """The node does not run, as under SIGSTOP; its host still accepts connections and bytes."""

    node: NodeName

    def begin(self, nodes: Nodes) -> None:
        """See `NodeFault`."""
        nodes.pause(self.node)

    def end(self, nodes: Nodes) -> None:
        """See `NodeFault`."""
        nodes.resume(self.node)

    def words(self) -> str:
        """See `Fault`."""
        return f"pause {self.node}"
