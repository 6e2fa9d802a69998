"""Answers whose bodies come from the core piece by piece, as the browser takes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import trio

from kernel.contract.message import Buffer
from nectar_node.contract.http import HttpBroken, HttpEvent, HttpGone, HttpPiece, HttpStart, HttpTaken

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class BodyPieces:
    """One such answer."""

    def __init__(
        self, start: HttpStart, tell: Callable[[HttpEvent], None], write_bytes: int, write_seconds: float
    ) -> None:
        """`tell` gives the core an event; a browser that does not take `write_bytes` in `write_seconds` has gone."""
        self.start = start
        self._tell = tell
        self._write_bytes = write_bytes
        self._write_seconds = write_seconds
        self._next: Buffer | None = None
        self._there = trio.Event()

    def take(self, action: HttpPiece | HttpBroken) -> None:
        """Take the next piece, or learn that there is none."""
        self._next = action.data if isinstance(action, HttpPiece) else None
        self._there.set()

    async def send(self, send: Send, until_gone: Callable[[], Awaitable[None]]) -> bool:
        """Send the body; return whether it is whole. The core is told if it is not."""
        whole = False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_end_when, until_gone, nursery.cancel_scope)
                whole = await self._send_all(send)
                nursery.cancel_scope.cancel()
        finally:
            if not whole:
                self._tell(HttpGone(self.start.token))
        return whole

    async def _send_all(self, send: Send) -> bool:
        piece, left = memoryview(self.start.piece), self.start.length
        while await self._send_piece(send, piece):
            left -= len(piece)
            self._there = trio.Event()
            self._tell(HttpTaken(self.start.token))
            if not left:
                return True
            await self._there.wait()
            if self._next is None:
                return False
            piece, self._next = memoryview(self._next), None
        return False

    async def _send_piece(self, send: Send, piece: memoryview) -> bool:
        for begin in range(0, len(piece), self._write_bytes):
            data = bytes(piece[begin : begin + self._write_bytes])
            with trio.move_on_after(
                self._write_seconds
            ) as limit:  # by HTTP/2 a browser need not even read to take none
                await send({"type": "http.response.body", "body": data, "more_body": True})
            if limit.cancelled_caught:
                return False
        return True


async def _end_when(over: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
    await over()
    scope.cancel()
