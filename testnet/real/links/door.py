"""(trio) The listening socket before one node: open unless all dials are to be refused.

A connection that the links have accepted can only be reset, not refused. So the operating system refuses: the links do
not listen while the node itself does not listen, and while a fault refuses all dials. A listening socket cannot tell
who dials before it has accepted; if only some dials are refused, these are reset.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

import trio

from testnet.real.links import sockets
from testnet.real.links.rules import Rules
from testnet.real.nodes.addresses import NodePlace

_LOOK_SECONDS = 0.05
"""Seconds between two checks whether a node that was down listens again, or a door can be opened."""


class Door:
    """The door before the node `name`, which is at `place`."""

    look_seconds = _LOOK_SECONDS
    """Seconds between two checks whether the node listens again."""

    def __init__(self, name: str, place: NodePlace, rules: Rules, enter: Callable[[socket.socket, str], None]) -> None:
        """Open, unless `rules` refuse everybody; `enter` is given each connection, and the host that it comes from.
        Raises OSError if nobody can listen there."""
        self._name = name
        self._place = place
        self._rules = rules
        self._enter = enter
        self._listener: socket.socket | None = sockets.listen(place.front)
        self._is_vacant = False
        """A dial has found nobody, and nobody has come since."""
        self._arrivals = 0
        self.look()

    def look(self) -> None:
        """Open or close the door as the rules demand now."""
        if self._rules.refuse(self._name):
            self._close()
        elif not self._is_vacant or self._rules.concern(self._name):
            self._open()

    def occupy(self, place: NodePlace) -> None:
        """Note that the node is at `place`, and may listen there: a dial will tell."""
        self._place = place
        self._arrivals += 1
        self._is_vacant = False
        self.look()

    async def dial(self, source: str | None) -> socket.socket:
        """Return a connection to the node, from the host `source` if that is not None; raises OSError.

        If nobody listens there, the door is closed, unless a fault decides what becomes of dials.
        """
        arrivals = self._arrivals
        try:
            return await self._reach(source)
        except ConnectionRefusedError:
            if arrivals == self._arrivals and not self._rules.concern(self._name):
                self._is_vacant = True
                self._close()
            raise

    async def serve(self) -> None:
        """Accept connections whenever the door is open; runs for ever."""
        try:
            while True:
                if self._listener is None:
                    await self._wait()
                    continue
                with suppress(OSError):  # it has been closed
                    self._enter(*await sockets.accept(self._listener))
        finally:
            self._close()

    async def _wait(self) -> None:
        with trio.move_on_after(self.look_seconds):
            await self._rules.changed()
        if self._is_vacant and not self._rules.concern(self._name):
            with trio.move_on_after(self.look_seconds), suppress(OSError):
                sockets.close(await self._reach(None))
                self._is_vacant = False
        self.look()

    async def _reach(self, source: str | None) -> socket.socket:
        """Return a connection to the node, from the host `source` if that is not None; raises OSError."""
        return await sockets.connect(self._place.endpoint, source)

    def _open(self) -> None:
        if self._listener is None:
            with suppress(OSError):  # there may be no descriptor just now
                self._listener = sockets.listen(self._place.front)

    def _close(self) -> None:
        if self._listener is not None:
            sockets.close(self._listener)
            self._listener = None
