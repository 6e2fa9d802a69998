"""The body of a request, which hypercorn gives piece by piece."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import trio


class RequestBody:
    """The body of a request, as it comes in."""

    def __init__(self, receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
        self._receive = receive
        self.data = bytearray()
        self.reserved = 0
        """Bytes that the door counts for it."""
        self.whole = False
        self.gone = False
        """Whether the other end has closed the connection."""

    async def more(self) -> bool:
        """Take the next piece; return whether there was one."""
        if self.whole or self.gone:
            return False
        await self._take(keep=True)
        return not self.gone

    def take(self) -> bytes:
        """Return the whole body, which is kept here no longer."""
        whole, self.data = bytes(self.data), bytearray()
        return whole

    async def drain(self) -> None:
        """Throw away what still comes, until the other end is done."""
        while not (self.whole or self.gone):
            await self._take(keep=False)

    async def until_gone(self) -> None:
        """Wait until the other end has closed the connection."""
        while not self.gone:
            await self._take(keep=False)

    async def _take(self, *, keep: bool) -> None:
        event = await self._receive()
        if event["type"] == "http.disconnect":
            self.gone = True
            return
        if keep:
            self.data += event.get("body", b"")
        self.whole = not event.get("more_body", False)


async def end_when_gone(reading: RequestBody, scope: trio.CancelScope) -> None:
    """Cancel `scope` when the other end has closed the connection."""
    await reading.until_gone()
    scope.cancel()
