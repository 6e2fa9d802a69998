"""Connections are forgotten on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from testnet.model.rule import LOSE, PASS, Closing, Event, Passing, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class Loss:
    """Connections that are there are forgotten, as by a NAT that restarts: nobody is told, and new ones work.

    Nothing more arrives on one that has been forgotten, not even when this has ended. A connection counts as new if
    its first bytes come while this holds.
    """

    where: Where = EVERYWHERE
    _new: dict[int, bool] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By connection, for those on which something came: whether it is new."""

    def judge(self, event: Event, chance: Random) -> Verdict:
        """See `LinkFault`."""
        if not isinstance(event, Passing | Closing) or not self.where.covers(event.link):
            return PASS
        begins = isinstance(event, Passing) and event.offset == 0
        return PASS if self._new.setdefault(event.connection, begins) else LOSE

    def words(self) -> str:
        """See `Fault`."""
        return f"connections are forgotten {self.where.links()}"
