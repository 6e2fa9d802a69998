"""Connections break, at any byte."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.model.quantity import Count, Probability
from testnet.model.rule import PASS, Event, LinkFault, Passing, Reset, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class ConnectionReset(LinkFault):
    """Connections break for both ends: with a probability for each piece, at any byte of it, or before a chosen `byte`.

    `byte` is counted from 0 in each direction of each connection; then `probability` applies once to each connection
    that reaches it.
    """

    probability: Probability = 1.0
    byte: Count | None = None
    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        if not isinstance(event, Passing) or not self.where.covers(event.link):
            return PASS
        if self.byte is not None and not 0 <= self.byte - event.offset < len(event.data):
            return PASS
        if chance.random() >= self.probability:
            return PASS
        return Reset(chance.randint(0, len(event.data)) if self.byte is None else self.byte - event.offset)

    def words(self) -> str:
        place = "" if self.byte is None else f" before byte {self.byte}"
        often = "" if self.probability == 1.0 else f" with probability {self.probability:g}"
        return f"reset{place}{often} {self.where.links()}"
