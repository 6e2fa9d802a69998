"""What servers have sent on WebSockets: each process gets as much as it has room for, WebSockets in turn. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from kernel.contract.address import ProcessId
from nectar_node.contract.http_client import SocketHold
from nectar_node.http.fetching.calls import IncomingMessage, PendingCall

LOOK_SECONDS = 0.05
"""Seconds until it is looked again whether a process has room for what a server has sent it."""


class IncomingTurns:
    """Whose turn it is to get what a server has sent."""

    def __init__(self, has_room: Callable[[ProcessId, int], bool]) -> None:
        """`has_room` returns whether a process can take one more message of so many bytes."""
        self._has_room = has_room
        self._ready: deque[PendingCall] = deque()
        """WebSockets with something for their processes."""
        self._full: dict[int, PendingCall] = {}
        """Those whose process has no room for it."""
        self.look_at: float | None = None
        """When it is looked again whether it has; None: nobody waits for that."""

    def __len__(self) -> int:
        """Return how many WebSockets are waited for."""
        return len(self._ready) + len(self._full)

    def put(self, call: PendingCall, incoming: IncomingMessage) -> None:
        """Pass on what a server has sent, when the process has room for it."""
        if not call.incoming:
            self._ready.append(call)
        call.incoming.append(incoming)

    def forget(self, call: PendingCall) -> None:
        """Pass on nothing more of a call that is over."""
        self._full.pop(call.id, None)
        call.incoming.clear()
        call.held = False

    def on_timer(self, now: float) -> None:
        """Look again, if it is time, whether processes have room."""
        if self.look_at is not None and self.look_at <= now:
            self.look_at = None
            self._ready.extend(self._full.values())
            self._full.clear()

    def next(self, now: float) -> PendingCall | SocketHold | None:
        """Return the next WebSocket whose process has room for what came first, which the caller takes; None: none has.

        A server that sends to a process without room is held until there is some.
        """
        while self._ready:
            call = self._ready.popleft()
            if not call.incoming:
                if call.held and not call.is_broken:
                    call.held = False
                    return SocketHold(call.token, False)
                continue
            if not self._has_room(call.process, len(call.incoming[0].data)):
                self._full[call.id] = call
                self.look_at = now + LOOK_SECONDS if self.look_at is None else self.look_at
                if not call.held:
                    call.held = True
                    return SocketHold(call.token, True)
                continue
            self._ready.append(call)
            return call
        return None
