"""Bytes stop, and connections stay."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.model.quantity import Count
from testnet.model.rule import HOLD, PASS, Event, Passing, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class Stall:
    """Bytes stop, those from `byte` on, and go on when it ends; connections stay, and new ones are made.

    `byte` is counted from 0 in each direction of each connection; it stops with the piece that it is in.
    """

    where: Where = EVERYWHERE
    byte: Count = 0

    def judge(self, event: Event, chance: Random) -> Verdict:
        """See `LinkFault`."""
        if not isinstance(event, Passing) or not self.where.covers(event.link):
            return PASS
        return HOLD if event.offset + len(event.data) > self.byte else PASS

    def words(self) -> str:
        """See `Fault`."""
        which = f"bytes from {self.byte} on" if self.byte else "bytes"
        return f"{which} stall {self.where.links()}"
