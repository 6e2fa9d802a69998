"""Dials are refused."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.model.rule import PASS, REFUSE, Dialing, Event, LinkFault, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class Refusal(LinkFault):
    """Dials are refused; existing connections stay."""

    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        return REFUSE if isinstance(event, Dialing) and self.where.covers(event.link) else PASS

    def words(self) -> str:
        return f"dials refused {self.where.links()}"
