"""Bodies of requests that the core reads piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from nectar_node.contract.http import HttpBodyPiece, HttpEvent
from nectar_node.driver.browsers.request_bodies import RequestBody
from nectar_node.http.bodies.body_files import PIECE_BYTES

NO_BODY = ("GET", "HEAD")
"""Methods of requests that have no body by HTTP/2 if they say no length."""


class BodyReading:
    """One such body."""

    def __init__(self, token: object, body: RequestBody, tell: Callable[[HttpEvent], None]) -> None:
        """`tell` gives the core an event."""
        self._token = token
        self._body = body
        self._tell = tell
        self._wanted = trio.Event()

    def read_on(self) -> None:
        """Let the core have the next piece."""
        self._wanted.set()

    async def run(self, answered: trio.Event, reserve: Callable[[int], None]) -> None:
        """Give the core what it asks for until there is no more, or it has answered, or the browser has gone.

        `reserve` is told how much memory that takes, once it begins.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_with, answered, nursery.cancel_scope)
            await self._wanted.wait()
            reserve(PIECE_BYTES)
            while not self._body.whole:
                await self._wanted.wait()
                self._wanted = trio.Event()
                while len(self._body.data) < PIECE_BYTES and not self._body.whole and await self._body.more():
                    pass
                if self._body.gone:
                    break
                self._tell(HttpBodyPiece(self._token, self._body.take(), self._body.whole))
            nursery.cancel_scope.cancel()


async def _end_with(answered: trio.Event, scope: trio.CancelScope) -> None:
    await answered.wait()
    scope.cancel()


def has_body(scope: Any, length: int) -> bool:
    """Whether a request may have a body, `length` being what it says; by HTTP/2 one need not say that it has none."""
    if length:
        return True
    names = [name for name, _ in scope["headers"]]
    if scope["http_version"] == "2":
        return b"content-length" not in names and scope["method"] not in NO_BODY
    return b"transfer-encoding" in names
