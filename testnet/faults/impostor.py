"""Somebody else answers under a node's name."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.model.quantity import NodeName
from testnet.model.rule import PASS, Dialing, Event, Nodes, Redirect, Verdict
from testnet.model.where import Where


@dataclass(frozen=True, slots=True)
class Impostor:
    """A node with the name of `node` and its packages, but another key, stands where dials to `node` end.

    The real one runs on, and its own dials arrive. The impostor is gone at the end.
    """

    node: NodeName

    @property
    def host(self) -> str:
        """Where the impostor is."""
        return f"impostor.{self.node}"

    @property
    def where(self) -> Where:
        """The links that it says anything of."""
        return Where(target=self.node, both=False)

    def begin(self, nodes: Nodes) -> None:
        """See `NodeFault`."""
        nodes.impersonate(self.node, by=self.host)

    def end(self, nodes: Nodes) -> None:
        """See `NodeFault`."""
        nodes.dismiss(self.host)

    def judge(self, event: Event, chance: Random) -> Verdict:
        """See `LinkFault`."""
        return Redirect(self.host) if isinstance(event, Dialing) and event.link.target == self.node else PASS

    def words(self) -> str:
        """See `Fault`."""
        return f"impostor of {self.node}"
