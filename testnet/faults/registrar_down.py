"""The registrar answers nobody."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from nectar_node.contract.config import REGISTRAR_NAME
from testnet.model.quantity import NodeName
from testnet.model.rule import PASS, RESEND, Event, LinkFault, NodeFault, Nodes, Verdict
from testnet.model.where import NOWHERE, Where


@dataclass(frozen=True, slots=True)
class RegistrarDown(LinkFault, NodeFault):
    """The registrar is down: it crashes and boots again at the end, or its host is unreachable and everything waits."""

    how: Literal["crash", "unreachable"] = "crash"
    node: NodeName = REGISTRAR_NAME

    @property
    def where(self) -> Where:
        """The links that the fault concerns. The host of a crashed registrar refuses dials by itself."""
        return Where(self.node) if self.how == "unreachable" else NOWHERE

    def begin(self, nodes: Nodes) -> None:
        if self.how == "crash":
            nodes.crash(self.node)

    def end(self, nodes: Nodes) -> None:
        if self.how == "crash":
            nodes.start(self.node)

    def judge(self, event: Event, chance: Random) -> Verdict:
        return RESEND if self.how == "unreachable" and self.node in event.link else PASS

    def words(self) -> str:
        return f"registrar {self.node} {'has crashed' if self.how == 'crash' else 'is unreachable'}"
