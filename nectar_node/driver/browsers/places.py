"""(trio) How many connections of browsers there may be at a time, and which gives way to a new one.

A connection between two requests, or whose first one is not wholly there, keeps its place only while nobody else wants
it: else a few hundred that send nothing, or a head byte by byte, would keep all others waiting. Of these the one goes
that has asked for nothing for longest, which is what its time between two requests would end soon.
"""

from __future__ import annotations

from collections.abc import Callable

import trio


class Place:
    """The place of one connection."""

    __slots__ = ("_places", "end")

    def __init__(self, places: Places, end: Callable[[], None]) -> None:
        self._places = places
        self.end = end
        """Ends the connection, which then gives its place back."""

    def idles(self, *, idle: bool) -> None:
        """Learn whether the connection has no request under way."""
        self._places.idles(self, idle=idle)

    def release(self) -> None:
        """Give it back: the connection has ended, or counts elsewhere; more than once does nothing."""
        self._places.release(self)


class Places:
    """All of one server."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: set[Place] = set()
        self._idle: dict[Place, None] = {}
        """Those without a request, the one that has had none for longest first."""
        self._going: Place | None = None
        """That which has been told to end, for another one."""
        self._changed = trio.Event()

    async def take(self, end: Callable[[], None]) -> Place:
        """Return a place as soon as there is one, for one caller at a time; `end` ends its connection."""
        while len(self._taken) >= self._most:
            if self._going is None and self._idle:
                self._going = next(iter(self._idle))
                del self._idle[self._going]
                self._going.end()
            self._changed = trio.Event()
            await self._changed.wait()
        place = Place(self, end)
        self._taken.add(place)
        self._idle[place] = None
        return place

    def idles(self, place: Place, *, idle: bool) -> None:
        """Learn whether a connection has no request under way."""
        self._idle.pop(place, None)
        if idle and place in self._taken and place is not self._going:
            self._idle[place] = None
            self._changed.set()

    def release(self, place: Place) -> None:
        """Take a place back."""
        self._taken.discard(place)
        self._idle.pop(place, None)
        if place is self._going:
            self._going = None
        self._changed.set()
