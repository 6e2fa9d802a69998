"""What was said on an earlier connection is said again on a new one."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from testnet.model.rule import PASS, Alter, Event, Link, Passing, Verdict
from testnet.model.where import EVERYWHERE, Where

MOST_KEPT = 1 << 20
"""Bytes of one direction that are remembered; behind them a new connection's own bytes pass."""


@dataclass(slots=True)
class _Recording:
    connection: int
    data: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class Replay:
    """Bytes of an earlier connection are played again in a new one, in place of its own.

    The first connection of each direction that begins while this holds is remembered; of those after it, each byte is
    that of the remembered one at the same place, as far as that went.
    """

    where: Where = EVERYWHERE
    _heard: dict[Link, _Recording] = field(default_factory=dict, init=False, repr=False, compare=False)

    def judge(self, event: Event, chance: Random) -> Verdict:
        """See `LinkFault`."""
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
        """See `Fault`."""
        return f"an earlier connection is replayed {self.where.links()}"

    def _remember(self, heard: _Recording, event: Passing) -> None:
        # Not what is judged a second time, because another fault had held it.
        if event.offset == len(heard.data):
            heard.data += event.data[: MOST_KEPT - event.offset]


def _over(event: Passing, heard: bytearray) -> bytes:
    """The event's bytes, with those that were heard at the same place over them."""
    old = bytes(heard[event.offset : event.offset + len(event.data)])
    return old + event.data[len(old) :]
