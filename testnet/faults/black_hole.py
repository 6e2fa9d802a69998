"""Everything that goes in is gone for now, and nobody is told."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.faults.silence import swallow
from testnet.model.rule import Event, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Everything is lost: bytes, dials and ends of connections, as where a firewall drops all packets.

    What a partition does between sides, this does to a host or to a link: nobody can tell them apart from within.
    """

    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        """See `LinkFault`."""
        return swallow(self.where, event)

    def words(self) -> str:
        """See `Fault`."""
        return f"black hole {self.where.links()}"
