"""Connections are forgotten on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from testnet.model.rule import LOSE, PASS, Closing, Event, LinkFault, Passing, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class Loss(LinkFault):
    """Existing connections are forgotten, as by a NAT that restarts: nobody is told, and new ones work.

    Nothing more arrives on a forgotten connection, not even after the fault has ended. A connection counts as new if
    its first bytes come while the fault holds.
    """

    where: Where = EVERYWHERE
    _new: dict[int, bool] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Whether each connection on which something came is new."""

    def judge(self, event: Event, chance: Random) -> Verdict:
        if not isinstance(event, Passing | Closing) or not self.where.covers(event.link):
            return PASS
        begins = isinstance(event, Passing) and event.offset == 0
        return PASS if self._new.setdefault(event.connection, begins) else LOSE

    def words(self) -> str:
        return f"connections are forgotten {self.where.links()}"
