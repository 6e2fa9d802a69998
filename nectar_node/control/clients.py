"""Clients of a control socket: what each waits for, follows and uses."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import trio

from nectar_node.control.server import line_of

MAX_EVENTS = 4096
"""Events that wait for a client that is slow to read them; it loses later ones, and is told how many."""
MAX_EVENT_BYTES = 4 << 20
"""Bytes of those events."""


class Waiter:
    """The token of something that a client waits for."""

    __slots__ = ("_done", "_outcome", "left")

    def __init__(self) -> None:
        self._done = trio.Event()
        self._outcome: Any = None
        self.left: Callable[[Any], None] | None = None
        """Gets the outcome of something whose client has left before; None: nobody needs it then."""

    def set(self, outcome: object) -> None:
        """Set the outcome."""
        self._outcome = outcome
        self._done.set()
        if self.left is not None:
            self.left(outcome)

    async def is_set_within(self, seconds: float) -> bool:
        """Wait for the outcome no longer than that, and return whether it is there."""
        with trio.move_on_after(seconds):
            await self._done.wait()
        return self._done.is_set()

    async def wait(self) -> Any:
        """Wait for the outcome, and return it."""
        await self._done.wait()
        return self._outcome


class Feed(Waiter):
    """The token of something of which a client is told more than once: events, and perhaps an outcome at the end."""

    __slots__ = ("_bytes", "_changed", "_lines", "_lost", "lead")

    def __init__(self, lead: float) -> None:
        super().__init__()
        self.lead = lead
        """Seconds to add to the core's times to get Unix time."""
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._lost = 0
        self._changed = trio.Event()

    def put(self, event: dict[str, object]) -> None:
        """Queue an event; drop and count it if too much waits to be read."""
        self._changed.set()
        line = line_of({"event": event})
        if len(self._lines) >= MAX_EVENTS or self._bytes + len(line) > MAX_EVENT_BYTES:
            self._lost += 1
            return
        self._tell_lost()
        self._add(line)

    def set(self, outcome: object) -> None:
        """Set the outcome: there are no more events."""
        super().set(outcome)
        self._changed.set()

    def _tell_lost(self) -> None:
        if self._lost:
            self._add(line_of({"event": {"lost": self._lost}}))
            self._lost = 0

    def _add(self, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)

    async def pour(self, client: Client) -> Any:
        """Send a client all events until the outcome is there, and return that."""
        while True:
            if not self._lines:
                self._tell_lost()
            if self._lines:
                line = self._lines.popleft()
                self._bytes -= len(line)
                await client.send(line)
            elif self._done.is_set():
                return self._outcome
            else:
                self._changed = trio.Event()
                await self._changed.wait()


class LiveSnapshot(Protocol):
    """A snapshot of the node while it runs."""

    @property
    def folder(self) -> str:
        """Where files are kept that change."""

    def scanned(self) -> None:
        """Let the files change again."""

    async def store_read(self) -> None:
        """Let the store's file change again."""

    def void(self, progress: int) -> str | None:
        """Return why the snapshot cannot be kept, None if it is whole; `progress` must grow now and then."""

    def end(self) -> None:
        """Keep nothing any more. Does not wait."""


class Client:
    """One connection, and what the client uses through it, which is taken back however the connection ends."""

    __slots__ = ("feeds", "send", "shares", "snapshot")

    def __init__(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """`send` writes a line to the client."""
        self.send = send
        self.shares: set[str] = set()
        self.feeds: dict[Feed, Callable[[Feed], None]] = {}
        """What the client follows, each with the function that ends it."""
        self.snapshot: LiveSnapshot | None = None
        """The snapshot that lives as long as this connection."""
