"""A machine loses power."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.quantity import NodeName
from testnet.model.rule import NodeFault, Nodes


@dataclass(frozen=True, slots=True)
class Unsynced(NodeFault):
    """A node's machine loses power: nobody is told, and what it had not synced is lost.

    It boots again at the end, and knows of no connection.
    """

    node: NodeName

    def begin(self, nodes: Nodes) -> None:
        nodes.cut_power(self.node)

    def end(self, nodes: Nodes) -> None:
        nodes.start(self.node)

    def words(self) -> str:
        return f"power cut of {self.node}"
