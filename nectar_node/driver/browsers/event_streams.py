"""Answers that go on as long as their browsers stay, such as a stream of events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import trio

from nectar_node.contract.http import Headers
from nectar_node.driver.browsers.request_bodies import RequestBody, end_when_gone


class DoorFeed:
    """The answer to a request that goes on as long as the browser stays: pieces, and who is told when that ends."""

    def __init__(self, token: object, headers: Headers, left: Callable[[], None]) -> None:
        """`left` is called when nothing more is sent, because of whichever end."""
        self.token = token
        self.headers = headers
        self.left = left
        self._pieces, self.pieces = trio.open_memory_channel[bytes](0)

    async def send(self, piece: bytes) -> None:
        """Send a piece; returns when the connection has taken the one before. Raises trio.BrokenResourceError."""
        await self._pieces.send(piece)

    def end(self) -> None:
        """Send nothing more."""
        self._pieces.close()

    async def pour(self, reading: RequestBody, send: Callable[[MutableMapping[str, Any]], Awaitable[None]]) -> None:
        """Send the pieces of an answer as they come; a browser that takes none in time loses its connection."""
        try:
            headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async with trio.open_nursery() as nursery, self.pieces:
                nursery.start_soon(end_when_gone, reading, nursery.cancel_scope)
                async for piece in self.pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                nursery.cancel_scope.cancel()
            if not reading.gone:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self.left()
