"""Nobody finds a way to whom they want to reach."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.model.rule import NO_ROUTE, PASS, Dialing, Event, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class NoRoute:
    """Dials find no way, and are told so at once; connections that are there stay."""

    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        """See `LinkFault`."""
        return NO_ROUTE if isinstance(event, Dialing) and self.where.covers(event.link) else PASS

    def words(self) -> str:
        """See `Fault`."""
        return f"no route {self.where.links()}"
