"""Dials find no route."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.model.rule import NO_ROUTE, PASS, Dialing, Event, LinkFault, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class NoRoute(LinkFault):
    """Dials find no route and fail at once; existing connections stay."""

    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        return NO_ROUTE if isinstance(event, Dialing) and self.where.covers(event.link) else PASS

    def words(self) -> str:
        return f"no route {self.where.links()}"
