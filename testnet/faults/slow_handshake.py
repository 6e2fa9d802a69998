"""The beginning of each connection trickles."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from testnet.model.quantity import Count, Rate
from testnet.model.rule import PASS, Delay, Event, Link, LinkFault, Passing, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class SlowHandshake(LinkFault):
    """The first bytes of each connection trickle, in each direction; later bytes do not.

    A piece arrives as a whole when the last of its slow bytes would.
    """

    bytes_per_second: Rate = 50.0
    first_bytes: Count = 512
    where: Where = EVERYWHERE
    _free_at: dict[tuple[int, Link], float] = field(default_factory=dict, init=False, repr=False, compare=False)
    """When each direction of a connection has carried the slow bytes that it was given; later those are forgotten."""

    def judge(self, event: Event, chance: Random) -> Verdict:
        if not isinstance(event, Passing) or not self.where.covers(event.link):
            return PASS
        slow = min(len(event.data), self.first_bytes - event.offset)
        way = (event.connection, event.link)
        free_at = self._free_at.pop(way, event.now)
        if slow <= 0:
            return PASS
        self._free_at[way] = max(event.now, free_at) + slow / self.bytes_per_second
        return Delay(self._free_at[way] - event.now)

    def words(self) -> str:
        first = f"the first {self.first_bytes} bytes of each connection"
        return f"{first} come at {self.bytes_per_second:,.10g} a second {self.where.links()}"
