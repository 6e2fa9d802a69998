"""Bytes stop, and connections stay."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.faults.rule import HOLD, PASS, Event, Passing, Verdict
from testnet.faults.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class Stall:
    """Bytes stop, and go on when it ends; connections stay, and new ones are made."""

    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        """See `LinkFault`."""
        return HOLD if isinstance(event, Passing) and self.where.covers(event.link) else PASS

    @property
    def names(self) -> tuple[str, ...]:
        """See `Fault`."""
        return self.where.names

    def words(self) -> str:
        """See `Fault`."""
        return f"bytes stall {self.where.links()}"
