"""Somebody says no to whoever wants to connect."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.model.rule import PASS, REFUSE, Dialing, Event, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class Refusal:
    """Dials are refused; connections that are there stay."""

    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        """See `LinkFault`."""
        return REFUSE if isinstance(event, Dialing) and self.where.covers(event.link) else PASS

    def words(self) -> str:
        """See `Fault`."""
        return f"dials refused {self.where.links()}"
