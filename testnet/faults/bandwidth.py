"""A link carries only so many bytes a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from testnet.model.quantity import Rate
from testnet.model.rule import PASS, Delay, Event, Link, LinkFault, Passing, Verdict
from testnet.model.where import EVERYWHERE, Where

PACKET_BYTES = 536
"""What TCP takes for the largest packet unless it is told otherwise (RFC 9293, section 3.7.1), as slow links do."""


@dataclass(frozen=True, slots=True)
class Bandwidth(LinkFault):
    """Each direction of a link carries `bytes_per_second`, all its connections together; the rest waits."""

    bytes_per_second: Rate
    where: Where = EVERYWHERE
    _free_at: dict[Link, float] = field(default_factory=dict, init=False, repr=False, compare=False)
    """When each direction has carried all that it was given."""
    _given: dict[tuple[int, Link], int] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Up to which byte each connection has been accounted for: pieces that another fault holds come here again."""

    def judge(self, event: Event, chance: Random) -> Verdict:
        if not isinstance(event, Passing) or not self.where.covers(event.link):
            return PASS
        way, end = (event.connection, event.link), event.offset + len(event.data)
        more = end - max(event.offset, self._given.get(way, 0))
        self._given[way] = max(end, self._given.get(way, 0))
        begins = max(event.now, self._free_at.get(event.link, 0.0))
        self._free_at[event.link] = begins + max(more, 0) / self.bytes_per_second
        return Delay(self._free_at[event.link] - event.now)

    def most_at_once(self, link: Link) -> int | None:
        """Return the most bytes that arrive together on `link`, if that is among these (`rule.most_at_once`): a slow
        link carries packets, some of them a second, and not a large piece after a long silence."""
        return max(PACKET_BYTES, int(self.bytes_per_second / 10)) if self.where.covers(link) else None

    def words(self) -> str:
        return f"{self.bytes_per_second:,.10g} bytes a second {self.where.links()}"
