"""A remote that keeps a node's backups fails, or does not do as it has promised."""

from __future__ import annotations

from dataclasses import dataclass

from testnet.model.backups import RemoteTrouble
from testnet.model.quantity import NodeName
from testnet.model.rule import NodeFault, Nodes


@dataclass(frozen=True, slots=True)
class RemoteFails(NodeFault):
    """A remote of a node's backups is down, flaky, slow or full, or damages what it has taken."""

    node: NodeName
    remote: str = "one"
    how: RemoteTrouble = "down"

    def begin(self, nodes: Nodes) -> None:
        nodes.trouble_remote(self.node, self.remote, self.how)

    def end(self, nodes: Nodes) -> None:
        nodes.mend_remote(self.node, self.remote, self.how)

    def words(self) -> str:
        return f"remote {self.remote} of {self.node} {_WORDS[self.how]}"


_WORDS: dict[RemoteTrouble, str] = {
    "down": "is down",
    "flaky": "fails now and then",
    "slow": "is slow",
    "full": "is full",
    "append_only": "lets nobody delete",
    "lists_stale": "lists what it had",
    "tears": "keeps halves of what is interrupted",
    "loses": "loses an object",
    "alters": "alters an object",
    "rolls_back": "goes back to an older state",
    "mixes_up": "returns another node's object",
}
