"""Carries out the calls of processes to servers, on trio: each is a task with a connection of its own.

All decisions are the core's; it bounds what comes in by ending calls. httpx, which is large, is loaded with the first
call, and wsproto with the first WebSocket (`nectar_node.driver.server_sockets`).
"""

from __future__ import annotations

import importlib
import ssl
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import trio

from kernel.contract.address import PackageId
from nectar_node.contract.http import Headers
from nectar_node.contract.http_client import (
    AnswerHead,
    AnswerPiece,
    AnswerWhole,
    CallFailed,
    HangUp,
    HttpClientAction,
    HttpClientEvent,
    ServerCall,
    SocketPush,
)

CLOSE_SECONDS = 1.0
"""Seconds for the farewell of a WebSocket, and for those of all when the node goes down."""
LOOKUPS_OF_ONE = 8
"""Names that are looked up at the same time for one package: each takes a thread, which cannot be ended."""


class Line:
    """A call that is under way."""

    def __init__(self, call: ServerCall) -> None:
        self.call = call
        self.scope = trio.CancelScope()
        self.is_open = False
        """Whether it is an open WebSocket."""
        self.is_dropped = False
        """Whether the core wants nothing more of it."""
        self.may_read = trio.Event()
        self.may_read.set()
        self.outgoing: deque[SocketPush | HangUp] = deque()
        self.has_outgoing = trio.Event()

    def put(self, action: SocketPush | HangUp) -> None:
        """Send something, after what waits already."""
        self.outgoing.append(action)
        self.has_outgoing.set()

    def drop(self) -> None:
        """End it; an open WebSocket with a farewell."""
        if self.is_dropped:
            return
        self.is_dropped = True
        if self.is_open:
            self.put(HangUp(self.call.token))
            self.scope.deadline = trio.current_time() + CLOSE_SECONDS
        else:
            self.scope.cancel()


class HttpClientDriver:
    """The calls of a running node."""

    def __init__(
        self,
        tell: Callable[[HttpClientEvent], None],
        note: Callable[[str, BaseException], None],
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`tell` gives the core an event; `note` is given failures of our own code. `trust` verifies certificates;
        None: as the system does.
        """
        self._tell = tell
        self._note = note
        self._trust = trust
        self._lines: dict[object, Line] = {}
        self._lookups: dict[PackageId, trio.CapacityLimiter] = {}
        self._of_package: Counter[PackageId] = Counter()
        self._nursery: trio.Nursery | None = None
        self._emptied = trio.Event()
        self._loading = trio.Lock()
        self._wire: Any = None
        """`nectar_node.driver.http_wire`, once it is loaded."""

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry out calls until cancelled."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await trio.sleep_forever()

    def carry_out(self, action: HttpClientAction) -> None:
        """Begin a call, or do something with one; nothing happens to one that is over."""
        if isinstance(action, ServerCall):
            assert self._nursery is not None
            line = self._lines[action.token] = Line(action)
            self._nursery.start_soon(self._serve, line)
            return
        line = self._lines.get(action.token)  # type: ignore[assignment]
        if line is None:
            return
        if isinstance(action, HangUp):
            line.drop()
        elif isinstance(action, SocketPush):
            line.put(action)
        elif action.held:
            line.may_read = trio.Event()
        else:
            line.may_read.set()

    async def close(self) -> None:
        """End all calls, and say goodbye to WebSockets: the node goes down."""
        self._emptied = trio.Event()
        for line in list(self._lines.values()):
            line.drop()
        if self._lines:
            with trio.move_on_after(CLOSE_SECONDS):
                await self._emptied.wait()

    # --- calls ------------------------------------------------------------------------------------------------------

    async def _serve(self, line: Line) -> None:
        call = line.call
        limiter = self._lookups.setdefault(call.package, trio.CapacityLimiter(LOOKUPS_OF_ONE))
        self._of_package[call.package] += 1
        ending: HttpClientEvent | None = None
        try:
            with line.scope:
                wire = await self._load()
                ending = await (self._socket if call.socket else self._exchange)(line, wire, limiter)
        except Exception as error:
            ending = CallFailed(call.token, self._words(error))
        finally:
            self._of_package[call.package] -= 1
            if not self._of_package[call.package]:
                del self._of_package[call.package], self._lookups[call.package]
            del self._lines[call.token]
            if not self._lines:
                self._emptied.set()
        if ending is not None and not line.is_dropped:
            self._tell(ending)

    async def _load(self) -> Any:
        """Return the module with httpx, and make sure that there is something to verify certificates with."""
        async with self._loading:
            if self._wire is None:
                wire: Any = await _load("http_wire")
                if self._trust is None:
                    self._trust = await trio.to_thread.run_sync(wire.trusted_roots)
                self._wire = wire
        return self._wire

    def _words(self, error: Exception) -> str:
        why: str | None = None if self._wire is None else self._wire.words(error)
        if why is None:
            self._note("the HTTP client", error)
            return "the node failed: its log says why"
        return why

    async def _exchange(self, line: Line, wire: Any, limiter: trio.CapacityLimiter) -> HttpClientEvent:
        call = line.call
        async with wire.exchange(call, self._trust, limiter) as answer:
            self._tell(AnswerHead(call.token, answer.status_code, _headers(answer.headers.raw)))
            async for data in answer.aiter_raw():
                if line.is_dropped:
                    break
                self._tell(AnswerPiece(call.token, data))
        return AnswerWhole(call.token)

    async def _socket(self, line: Line, wire: Any, limiter: trio.CapacityLimiter) -> HttpClientEvent:
        sockets: Any = await _load("server_sockets")
        ending: HttpClientEvent = await sockets.serve(line, self._trust, limiter, self._tell, self._words)
        return ending


async def _load(module: str) -> Any:
    return await trio.to_thread.run_sync(importlib.import_module, f"nectar_node.driver.{module}")


def _headers(raw: list[tuple[bytes, bytes]]) -> Headers:
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)
