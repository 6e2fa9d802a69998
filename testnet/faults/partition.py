"""The network between nodes is gone, in both directions or in one."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.faults.silence import swallow
from testnet.model.rule import Event, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class Partition:
    """Nothing passes between the sides: no bytes, no dial, no end of a connection."""

    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        """Return what becomes of `event`, on any link."""
        return swallow(self.where, event)

    def words(self) -> str:
        """Describe the fault for people: "partition send.nec from recv.nec"."""
        return f"partition {self.where.words()}"
