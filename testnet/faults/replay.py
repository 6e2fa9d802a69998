"""Bytes of an earlier connection are sent again on a new one."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from testnet.model.rule import PASS, Alter, Event, Link, LinkFault, Passing, Verdict
from testnet.model.where import EVERYWHERE, Where

MOST_KEPT = 1 << 20
"""Bytes of one direction that are remembered; behind them a new connection's own bytes pass."""


@dataclass(slots=True)
class _Recording:
    connection: int
    data: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class Replay(LinkFault):
    """Bytes of an earlier connection are played again in a new one, in place of its own.

    The first connection of each direction that begins while the fault holds is remembered. Of later ones, each byte
    becomes the remembered byte at the same position, as far as the recording goes.
    """

    where: Where = EVERYWHERE
    _heard: dict[Link, _Recording] = field(default_factory=dict, init=False, repr=False, compare=False)

    def judge(self, event: Event, chance: Random) -> Verdict:
        if not isinstance(event, Passing) or not self.where.covers(event.link):
            return PASS
        if event.link not in self._heard and event.offset == 0:
            self._heard[event.link] = _Recording(event.connection)
        heard = self._heard.get(event.link)
        if heard is None:
            return PASS
        if heard.connection == event.connection:
            self._remember(heard, event)
            return PASS
        return Alter(_over(event, heard.data))

    def words(self) -> str:
        return f"an earlier connection is replayed {self.where.links()}"

    def _remember(self, heard: _Recording, event: Passing) -> None:
        # Bytes that another fault held are judged twice, and remembered once.
        if event.offset == len(heard.data):
            heard.data += event.data[: MOST_KEPT - event.offset]


def _over(event: Passing, heard: bytearray) -> bytes:
    """Return the event's bytes, with the remembered bytes of the same positions over them."""
    old = bytes(heard[event.offset : event.offset + len(event.data)])
    return old + event.data[len(old) :]
