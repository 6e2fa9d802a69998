"""Accepted connections whose handshake is not finished, and which of them gives way to a newcomer. Pure.

An address may be that of one attacker and of many honest nodes (a testnet, a NAT), so nothing but behaviour tells them
apart. An honest handshake is over in two round trips, while an attacker that fills all places has to do so again and
again. So no newcomer is refused: a connection that has said nothing for longer than an honest dialer's first message
takes goes first, then one that takes too long, and then the older of two that are drawn by lot. No connection can count
on its place, and the young ones are safest: of handshakes that last a time T, while places come free at a rate R, about
(R T / places)² are lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from net.base.limits import FIRST_MESSAGE_SECONDS, HALF_OPEN_SECONDS, MAX_HALF_OPEN_PER_HOST
from net.session.session import Connection

_LOT_BYTES = 4
"""Bytes of each of two lots: the bias, as 2^32 is not a multiple of the number of places, is below one in a million."""


@dataclass(slots=True)
class _Crowd:
    """The unfinished connections with one host."""

    all: dict[int, Connection] = field(default_factory=dict)
    """All of them by number, oldest first."""
    silent: dict[int, Connection] = field(default_factory=dict)
    """The connections of which no message has come, by number, oldest first."""
    lots: list[int] = field(default_factory=list)
    """Their numbers, in any order."""
    place: dict[int, int] = field(default_factory=dict)
    """The index of each number in `lots`."""


class HalfOpenConnections:
    """The accepted connections whose handshake is not finished."""

    def __init__(self, entropy: Callable[[int], bytes], most: int) -> None:
        """`most` is the limit for all hosts; one host has at most half of it."""
        self._entropy = entropy
        self.most = most
        self._most_per_host = min(MAX_HALF_OPEN_PER_HOST, max(1, most // 2))
        self._crowds: dict[str, _Crowd] = {}
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def add(self, connection: Connection) -> None:
        """Add a connection."""
        crowd = self._crowds.setdefault(connection.host, _Crowd())
        number = connection.number
        crowd.all[number] = crowd.silent[number] = connection
        crowd.place[number] = len(crowd.lots)
        crowd.lots.append(number)
        self._total += 1

    def spoke(self, connection: Connection) -> None:
        """Note that a connection's first message has come."""
        crowd = self._crowds.get(connection.host)
        if crowd is not None:
            crowd.silent.pop(connection.number, None)

    def remove(self, connection: Connection) -> None:
        """Remove a connection that has finished its handshake, or ended."""
        crowd = self._crowds[connection.host]
        number = connection.number
        del crowd.all[number]
        crowd.silent.pop(number, None)
        place, last = crowd.place.pop(number), crowd.lots.pop()
        if last != number:
            crowd.lots[place] = last
            crowd.place[last] = place
        self._total -= 1
        if not crowd.all:
            del self._crowds[connection.host]

    def mend(self, connections: Iterable[Connection]) -> None:
        """Repair the table (see `containment`); `connections` are all there are."""
        self._crowds, self._total = {}, 0
        for connection in connections:
            if connection.half_open:
                self.add(connection)
                if connection.met:
                    self.spoke(connection)

    def has_room(self, host: str) -> bool:
        """Return whether one more connection with that host may begin."""
        crowd = self._crowds.get(host)
        return self._total < self.most and (crowd is None or len(crowd.all) < self._most_per_host)

    def in_the_way(self, host: str, now: float) -> Connection | None:
        """Return the connection that has to give way to one with that host, or None if there is none at all.

        It is one of that host's, if it has too many, otherwise of the host that has the most.
        """
        if not self._crowds:
            return None
        crowd = self._crowds.get(host)
        if crowd is None or len(crowd.all) < self._most_per_host:
            crowd = max(self._crowds.values(), key=lambda each: len(each.all))
        for waiting, patience in ((crowd.silent, FIRST_MESSAGE_SECONDS), (crowd.all, HALF_OPEN_SECONDS)):
            oldest = next(iter(waiting.values()), None)
            if oldest is not None and oldest.last_heard <= now - patience:
                return oldest
        lots = self._entropy(2 * _LOT_BYTES)
        drawn = (int.from_bytes(lot, "big") for lot in (lots[:_LOT_BYTES], lots[_LOT_BYTES:]))
        return crowd.all[min(crowd.lots[each % len(crowd.lots)] for each in drawn)]
