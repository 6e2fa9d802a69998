"""Everything that goes in is lost for now, and nobody is told."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from testnet.faults.silence import swallow
from testnet.model.rule import Event, LinkFault, Verdict
from testnet.model.where import EVERYWHERE, Where


@dataclass(frozen=True, slots=True)
class BlackHole(LinkFault):
    """Everything is lost: bytes, dials and ends of connections, as where a firewall drops all packets.

    A partition separates two sides; a black hole surrounds a host or a link. From within they look the same.
    """

    where: Where = EVERYWHERE

    def judge(self, event: Event, chance: Random) -> Verdict:
        return swallow(self.where, event)

    def words(self) -> str:
        return f"black hole {self.where.links()}"
