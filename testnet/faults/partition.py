"""The network between nodes is gone, in both directions or in one."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.faults.rule import PASS, RESEND, Event, Verdict
from testnet.faults.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class Partition:
    """Nothing passes: no bytes, no dial, no end of a connection. What was lost TCP sends again, some time after it."""

    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        """See `LinkFault`."""
        return RESEND if self.where.covers(event.link) else PASS

    @property
    def names(self) -> tuple[str, ...]:
        """See `Fault`."""
        return self.where.names

    def words(self) -> str:
        """See `Fault`."""
        return f"partition {self.where.words()}"
