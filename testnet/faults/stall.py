"""Bytes stop, and connections stay."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.model.quantity import Count
from testnet.model.rule import HOLD, PASS, Event, LinkFault, Passing, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class Stall(LinkFault):
    """Bytes stop, from `byte` on, and go on when the fault ends; connections stay, and new ones are made.

    `byte` is counted from 0 in each direction of each connection; the piece that contains it stops.
    """

    where: Where = EVERYWHERE
    byte: Count = 0

    def judge(self, event: Event, chance: Random) -> Verdict:
        if not isinstance(event, Passing) or not self.where.covers(event.link):
            return PASS
        return HOLD if event.offset + len(event.data) > self.byte else PASS

    def words(self) -> str:
        which = f"bytes from {self.byte} on" if self.byte else "bytes"
        return f"{which} stall {self.where.links()}"
