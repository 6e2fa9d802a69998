"""(trio) How many connections of browsers there may be at a time, and which gives way to a new one.

A connection between two requests, or whose first one is not wholly there, keeps its slot only while nobody else wants
it: else a few hundred that send nothing, or a head byte by byte, would keep all others waiting. Of these the one goes
that has asked for nothing for longest, which is what its time between two requests would end soon.
"""

from __future__ import annotations

from collections.abc import Callable

import trio


class BrowserSlot:
    """The slot of one connection."""

    __slots__ = ("_slots", "end")

    def __init__(self, slots: BrowserSlots, end: Callable[[], None]) -> None:
        self._slots = slots
        self.end = end
        """Ends the connection, which then gives its slot back."""

    def idles(self, *, idle: bool) -> None:
        """Learn whether the connection has no request under way."""
        self._slots.idles(self, idle=idle)

    def release(self) -> None:
        """Give it back: the connection has ended, or counts elsewhere; more than once does nothing."""
        self._slots.release(self)


class BrowserSlots:
    """All of one server."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: set[BrowserSlot] = set()
        self._idle: dict[BrowserSlot, None] = {}
        """Those without a request, the one that has had none for longest first."""
        self._going: BrowserSlot | None = None
        """That which has been told to end, for another one."""
        self._changed = trio.Event()

    async def take(self, end: Callable[[], None]) -> BrowserSlot:
        """Return a slot as soon as there is one, for one caller at a time; `end` ends its connection."""
        while len(self._taken) >= self._most:
            if self._going is None and self._idle:
                self._going = next(iter(self._idle))
                del self._idle[self._going]
                self._going.end()
            self._changed = trio.Event()
            await self._changed.wait()
        slot = BrowserSlot(self, end)
        self._taken.add(slot)
        self._idle[slot] = None
        return slot

    def idles(self, slot: BrowserSlot, *, idle: bool) -> None:
        """Learn whether a connection has no request under way."""
        self._idle.pop(slot, None)
        if idle and slot in self._taken and slot is not self._going:
            self._idle[slot] = None
            self._changed.set()

    def release(self, slot: BrowserSlot) -> None:
        """Take a slot back."""
        self._taken.discard(slot)
        self._idle.pop(slot, None)
        if slot is self._going:
            self._going = None
        self._changed.set()
