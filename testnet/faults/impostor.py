"""Another node answers under a node's name."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.model.quantity import NodeName
from testnet.model.rule import PASS, Dialing, Event, LinkFault, NodeFault, Nodes, Redirect, Verdict
from testnet.model.where import Where


@dataclass(frozen=True, slots=True)
class Impostor(LinkFault, NodeFault):
    """A node with the name and the packages of `node`, but another key, stands where dials to `node` end.

    The real one runs on, and its own dials arrive. The impostor is gone at the end.
    """

    node: NodeName

    @property
    def host(self) -> str:
        """The host of the impostor."""
        return f"impostor.{self.node}"

    @property
    def where(self) -> Where:
        """The links that the fault concerns."""
        return Where(target=self.node, both=False)

    def begin(self, nodes: Nodes) -> None:
        nodes.impersonate(self.node, by=self.host)

    def end(self, nodes: Nodes) -> None:
        nodes.dismiss(self.host)

    def judge(self, event: Event, chance: Random) -> Verdict:
        return Redirect(self.host) if isinstance(event, Dialing) and event.link.target == self.node else PASS

    def words(self) -> str:
        return f"impostor of {self.node}"
