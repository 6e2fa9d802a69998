"""(trio) How many connections of browsers there may be at a time, and which gives way to a new one.

A connection between two requests, or whose first one is not wholly there, keeps its slot only while nobody else wants
it: else a few hundred that send nothing, or a head byte by byte, would keep all others waiting. Of these the one goes
that has asked for nothing for longest, which is what its time between two requests would end soon.

Where all have a request under way, the one goes that has made no progress for longest, if that is long: neither who
sends a body or takes an answer a few bytes at a time, nor who waits for a process that does not answer, keeps all
others waiting. Progress is a rate: so many bytes in so many seconds.

One address has half of the slots at most, but for those of this machine, where all browsers have the same one. Its
further connections are closed at once, as to wait would keep others waiting behind them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from math import inf

import trio

from nectar_node.driver.browsers import limits

NETWORK_BYTES = 8
"""Bytes of an IPv6 address that one browser cannot choose (RFC 4291, 2.5.4)."""


class BrowserSlot:
    """The slot of one connection."""

    __slots__ = ("_moved", "_slots", "address", "end", "since")

    def __init__(self, slots: BrowserSlots, end: Callable[[], None], address: object) -> None:
        self._slots = slots
        self._moved = 0
        self.end = end
        """Ends the connection, which then gives its slot back."""
        self.address = address
        """Whose bound it counts in; None: nobody's."""
        self.since = 0.0
        """When a request under way has begun, or has made progress last."""

    def idles(self, *, idle: bool) -> None:
        """Learn whether the connection has no request under way."""
        self._moved = 0
        self._slots.idles(self, idle=idle)

    def moved(self, size: int) -> None:
        """Learn that so many bytes have come or have been taken."""
        self._moved += size
        if self._moved >= limits.PROGRESS_BYTES:
            self._moved = 0
            self._slots.progress(self)

    def release(self) -> None:
        """Give it back: the connection has ended, or counts elsewhere; more than once does nothing."""
        self._slots.release(self)


class BrowserSlots:
    """All of one server."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._most_of_one = (most + 1) // 2
        self._taken: set[BrowserSlot] = set()
        self._of: Counter[object] = Counter()
        """How many each address has, but for those of this machine."""
        self._idle: dict[BrowserSlot, None] = {}
        """Those without a request, the one that has had none for longest first."""
        self._busy: dict[BrowserSlot, None] = {}
        """Those with one, the one that has made no progress for longest first."""
        self._going: BrowserSlot | None = None
        """That which has been told to end, for another one."""
        self._changed = trio.Event()

    async def take(self, end: Callable[[], None], host: str) -> BrowserSlot | None:
        """Return a slot for a connection of an address as soon as there is one, for one caller at a time; None: the
        address has enough. `end` ends the connection.
        """
        address = _bounded(host)
        if address is not None and self._of[address] >= self._most_of_one and not self._makes_room(address):
            return None
        while len(self._taken) >= self._most:
            self._changed = trio.Event()
            if self._going is None:
                self._let_go()
            with trio.move_on_at(self._next_look()):
                await self._changed.wait()
        slot = BrowserSlot(self, end, address)
        self._taken.add(slot)
        self._idle[slot] = None
        if address is not None:
            self._of[address] += 1
        return slot

    def idles(self, slot: BrowserSlot, *, idle: bool) -> None:
        """Learn whether a connection has no request under way."""
        self._idle.pop(slot, None)
        self._busy.pop(slot, None)
        if slot not in self._taken or slot is self._going:
            return
        if idle:
            self._idle[slot] = None
            self._changed.set()
        else:
            self.progress(slot)

    def progress(self, slot: BrowserSlot) -> None:
        """Learn that the request of a connection has come further."""
        if slot in self._taken and slot is not self._going and slot not in self._idle:
            self._busy.pop(slot, None)
            self._busy[slot] = None
            slot.since = trio.current_time()

    def release(self, slot: BrowserSlot) -> None:
        """Take a slot back."""
        self._taken.discard(slot)
        self._idle.pop(slot, None)
        self._busy.pop(slot, None)
        self._forget_address(slot)
        if slot is self._going:
            self._going = None
        self._changed.set()

    def _let_go(self) -> None:
        """End the connection that gives way first, if one does yet."""
        slot = next(iter(self._idle), None)
        if slot is None:
            slot = next(iter(self._busy), None)
            if slot is None or slot.since + limits.STALL_SECONDS > trio.current_time():
                return
        self._going = slot
        self._end(slot)

    def _next_look(self) -> float:
        """Return when the next one gives way, if nothing happens until then."""
        if self._going is not None:
            return inf
        slot = next(iter(self._busy), None)
        return trio.current_time() + limits.STALL_SECONDS if slot is None else slot.since + limits.STALL_SECONDS

    def _makes_room(self, address: object) -> bool:
        """End a connection of an address that does nothing; return whether there was one."""
        slot = next((each for each in self._idle if each.address == address), None)
        if slot is not None:
            self._end(slot)
        return slot is not None

    def _end(self, slot: BrowserSlot) -> None:
        self._idle.pop(slot, None)
        self._busy.pop(slot, None)
        self._forget_address(slot)
        slot.end()

    def _forget_address(self, slot: BrowserSlot) -> None:
        if slot.address is not None:
            self._of -= Counter([slot.address])  # forgets who has none
            slot.address = None


def _bounded(host: str) -> object:
    """Return in whose bound a connection of an address counts; None: in none, since it is one of this machine."""
    address = ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if address.is_loopback or (mapped is not None and mapped.is_loopback):
        return None
    return (
        address.packed[:NETWORK_BYTES]
        if isinstance(address, IPv6Address) and mapped is None
        else str(mapped or address)
    )
