"""A node dies, and boots again."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.quantity import NodeName
from testnet.model.rule import NodeFault, Nodes


@dataclass(frozen=True, slots=True)
class Crash(NodeFault):
    """The node ends as by kill -9, and boots again at the end of this, with its key and its disk.

    Its host lives, and lets its connections end.
    """

    node: NodeName

    def begin(self, nodes: Nodes) -> None:
        nodes.crash(self.node)

    def end(self, nodes: Nodes) -> None:
        nodes.start(self.node)

    def words(self) -> str:
        return f"kill {self.node}"
