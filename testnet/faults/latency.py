"""Bytes, dials and ends of connections take longer."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.model.quantity import Seconds
from testnet.model.rule import PASS, Delay, Event, LinkFault, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class Latency(LinkFault):
    """Everything arrives `seconds` later, and up to `jitter` more, drawn for each piece; nothing overtakes."""

    seconds: Seconds = 0.1
    jitter: Seconds = 0.0
    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        if not self.where.covers(event.link):
            return PASS
        return Delay(self.seconds + chance.uniform(0.0, self.jitter))

    def words(self) -> str:
        jitter = f" to {self.seconds + self.jitter:g}" if self.jitter else ""
        return f"latency of {self.seconds:g}{jitter} s {self.where.links()}"
