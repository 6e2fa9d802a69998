"""The network between nodes is gone, in both directions or in one."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.faults.silence import swallow
from testnet.model.rule import Event, LinkFault, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class Partition(LinkFault):
    """Nothing passes between the sides: no bytes, no dial, no end of a connection."""

    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        return swallow(self.where, event)

    def words(self) -> str:
        return f"partition {self.where.words()}"
