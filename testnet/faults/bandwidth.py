"""A link carries only so many bytes a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from testnet.faults.quantity import Rate
from testnet.faults.rule import PASS, Delay, Event, Link, Passing, Verdict
from testnet.faults.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Each direction of a link carries `bytes_per_second`, all its connections together; the rest waits."""

    bytes_per_second: Rate
    where: Where = EVERYWHERE
    _free_at: dict[Link, float] = field(default_factory=dict, init=False, repr=False, compare=False)
    """When each direction has carried all that it was given."""

    def judge(self, event: Event, chance: Random) -> Verdict:
        """See `LinkFault`."""
        if not isinstance(event, Passing) or not self.where.covers(event.link):
            return PASS
        begins = max(event.now, self._free_at.get(event.link, 0.0))
        self._free_at[event.link] = begins + len(event.data) / self.bytes_per_second
        return Delay(self._free_at[event.link] - event.now)

    @property
    def names(self) -> tuple[str, ...]:
        """See `Fault`."""
        return self.where.names

    def words(self) -> str:
        """See `Fault`."""
        return f"{self.bytes_per_second:g} bytes a second {self.where.links()}"
