"""Bytes arrive with wrong bits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from testnet.model.quantity import Probability
from testnet.model.rule import PASS, Alter, Event, LinkFault, Passing, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class BitFlips(LinkFault):
    """Bits flip underway, one in each byte or in each piece with a `probability`; TCP's checksum has not noticed."""

    probability: Probability = 1e-5
    each: Literal["byte", "piece"] = "byte"
    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        if not isinstance(event, Passing) or not event.data or not self.where.covers(event.link):
            return PASS
        places = list(self._places(len(event.data), chance))
        if not places:
            return PASS
        data = bytearray(event.data)
        for place in places:
            data[place] ^= 1 << chance.randrange(8)
        return Alter(bytes(data))

    def words(self) -> str:
        return f"a bit flips in each {self.each} with probability {self.probability:g} {self.where.links()}"

    def _places(self, size: int, chance: Random) -> Iterator[int]:
        if self.each == "byte":
            yield from _successes(self.probability, size, chance)
        elif chance.random() < self.probability:
            yield chance.randrange(size)


def _successes(probability: float, size: int, chance: Random) -> Iterator[int]:
    """Yield which of `size` independent trials succeed, with one draw for each success instead of each trial."""
    if probability >= 1.0:
        yield from range(size)
    if not 0.0 < probability < 1.0:
        return
    place = _failures(probability, chance)
    while place < size:
        yield int(place)
        place += 1 + _failures(probability, chance)


def _failures(probability: float, chance: Random) -> float:
    """Draw how many trials fail before the next success: geometrically distributed. A float, because it can be huge."""
    return math.floor(math.log1p(-chance.random()) / math.log1p(-probability))
