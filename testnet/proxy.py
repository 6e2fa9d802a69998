"""(trio) A TCP proxy of one link, which counts what passes, and cuts the connection or stalls it at a chosen byte.

A link has two ends, because either node may dial the other: the proxy listens once for each, and forwards whoever
connects there to that end's target. Bytes pass unchanged, through one buffer in each direction: what was received is
sent before more is received. A cut is abrupt (a reset, as when a host dies), and
what the proxy had not yet passed on is lost with it. While it holds, connections stay and bytes stop, as in a network
that swallows packets; a test then has all the time it wants to do something at exactly that moment.
"""

from __future__ import annotations

import errno
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import trio

BUFFER_BYTES = 1024 * 1024
"""Size of one direction's buffer: so large that turns of the event loop cost little beside the copying."""

_RESET = struct.pack("ii", 1, 0)
_BACKLOG = 16
_START_TIMEOUT = 10.0

T = TypeVar("T")


@dataclass(slots=True)
class End:
    """One end of the link."""

    endpoint: tuple[str, int]
    """Where the proxy listens for those who want to reach this end."""
    target: tuple[str, int] | None = None
    """Where it forwards new connections; None: it refuses them. May be changed at any time."""
    passed: int = 0
    """Bytes that were passed on towards this end since the start, whoever had dialed."""


@dataclass(slots=True, eq=False)
class _Connection:
    """One connection to the proxy, and the one it made to the target."""

    client: trio.socket.SocketType
    server: trio.socket.SocketType
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    def close(self, abruptly: bool) -> None:
        for end in (self.client, self.server):
            if abruptly and end.fileno() >= 0:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.close()


@dataclass(slots=True)
class Proxy:
    """A link that is watched, and broken; made by `open_proxy`."""

    ends: tuple[End, End]
    connections: int = 0
    """Forwarded since the start."""
    cuts: int = 0
    """Connections that a `cut_after` or `cut` has ended."""
    _cut_at: int | None = None
    _hold_at: int | None = None
    _held: trio.Event = field(default_factory=trio.Event)
    _released: trio.Event = field(default_factory=trio.Event)
    _open: set[_Connection] = field(default_factory=set)

    @property
    def bytes_passed(self) -> int:
        """Passed on in both directions since the start."""
        return self.ends[0].passed + self.ends[1].passed

    def cut_after(self, count: int) -> None:
        """Cut all connections once `count` more bytes have passed, both directions together.

        Exact to the byte while one direction is silent; what the other one sends at that moment may come on top.
        """
        self._cut_at = self.bytes_passed + count
        if count <= 0:
            self.cut()

    def cut(self) -> None:
        """Cut all connections now; new ones are accepted as before."""
        self._cut_at = None
        for connection in list(self._open):
            self.cuts += 1
            connection.close(abruptly=True)
            connection.scope.cancel()

    def hold_after(self, count: int) -> None:
        """Pass on nothing any more, in either direction, once `count` more bytes have passed; until `release`."""
        self._released = trio.Event()
        self._held = trio.Event()
        self._hold_at = self.bytes_passed + count
        if count <= 0:
            self._held.set()

    async def wait_held(self) -> None:
        """Wait until the bytes of `hold_after` have passed."""
        await self._held.wait()

    def release(self) -> None:
        """Undo `hold_after`."""
        self._hold_at = None
        self._held = trio.Event()
        self._released.set()

    def statistics(self) -> dict[str, int]:
        """The counts, for the message of a failing test."""
        return {
            "towards_first": self.ends[0].passed,
            "towards_second": self.ends[1].passed,
            "connections": self.connections,
            "cuts": self.cuts,
            "open": len(self._open),
        }

    async def _serve(self, listener: trio.socket.SocketType, way: tuple[End, End]) -> None:
        """Forward those who connect to `listener`; `way` is the end they want, and the one they come from."""
        async with trio.open_nursery() as nursery:
            while True:
                try:
                    client, _ = await listener.accept()
                except OSError as error:
                    if error.errno not in (errno.ECONNABORTED, errno.EINTR):
                        raise
                    continue
                nursery.start_soon(self._forward, client, way)

    async def _forward(self, client: trio.socket.SocketType, way: tuple[End, End]) -> None:
        there, back = way
        server = await _connect(there.target)
        if server is None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
            return
        self.connections += 1
        connection = _Connection(client, server)
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(connection)
        try:
            with connection.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._pass_on, connection.scope, client, server, there)
                    nursery.start_soon(self._pass_on, connection.scope, server, client, back)
        finally:
            self._open.discard(connection)
            connection.close(abruptly=connection.scope.cancel_called)

    async def _pass_on(
        self, scope: trio.CancelScope, source: trio.socket.SocketType, sink: trio.socket.SocketType, towards: End
    ) -> None:
        """Pass on one direction until its end; an error at either side becomes a reset at both."""
        buffer = memoryview(bytearray(BUFFER_BYTES))
        try:
            while count := await source.recv_into(buffer):
                left = buffer[:count]
                while left:
                    while self._held.is_set():
                        await self._released.wait()
                    sent = await sink.send(left[: self._allowance(len(left))])
                    left = left[sent:]
                    self._count(sent, towards)
            sink.shutdown(socket.SHUT_WR)
        except (OSError, trio.ClosedResourceError):
            scope.cancel()

    def _allowance(self, count: int) -> int:
        """How many of `count` bytes may go out in one piece, so that a cut or a hold falls where it should."""
        for at in (self._cut_at, self._hold_at):
            if at is not None:
                count = min(count, at - self.bytes_passed)
        return count

    def _count(self, sent: int, towards: End) -> None:
        towards.passed += sent
        if self._hold_at is not None and self.bytes_passed >= self._hold_at:
            self._held.set()
        if self._cut_at is not None and self.bytes_passed >= self._cut_at:
            self.cut()


async def _connect(target: tuple[str, int] | None) -> trio.socket.SocketType | None:
    if target is None:
        return None
    server = trio.socket.socket()
    try:
        await server.connect(target)
    except OSError:
        server.close()
        return None
    return server


@asynccontextmanager
async def open_proxy(target: tuple[str, int] | None = None, host: str = "127.0.0.1") -> AsyncIterator[Proxy]:
    """A proxy on free ports of `host`, until the end of this; raises OSError if it cannot listen.

    `target` is the first end's.
    """
    with trio.socket.socket() as first, trio.socket.socket() as second:
        ends = (End(await _listen(first, host), target), End(await _listen(second, host)))
        proxy = Proxy(ends)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(proxy._serve, first, ends)
            nursery.start_soon(proxy._serve, second, ends[::-1])
            yield proxy
            nursery.cancel_scope.cancel()


async def _listen(listener: trio.socket.SocketType, host: str) -> tuple[str, int]:
    await listener.bind((host, 0))
    listener.listen(_BACKLOG)
    port: int = listener.getsockname()[1]
    return host, port


class ThreadedProxy:
    """A proxy for programs without an event loop: it runs in a thread, and every call is done there."""

    def __init__(self, proxy: Proxy, token: trio.lowlevel.TrioToken) -> None:
        self.endpoints = (proxy.ends[0].endpoint, proxy.ends[1].endpoint)
        """Where it listens for those who want to reach the first end, and the second."""
        self._proxy = proxy
        self._token = token

    def forward_to(self, first: tuple[str, int] | None, second: tuple[str, int] | None = None) -> None:
        """Forward new connections to these targets; None: refuse them."""

        def set_targets() -> None:
            self._proxy.ends[0].target, self._proxy.ends[1].target = first, second

        self._run(set_targets)

    def cut_after(self, count: int) -> None:
        """`Proxy.cut_after`."""
        self._run(lambda: self._proxy.cut_after(count))

    def cut(self) -> None:
        """`Proxy.cut`."""
        self._run(self._proxy.cut)

    def hold_after(self, count: int) -> None:
        """`Proxy.hold_after`."""
        self._run(lambda: self._proxy.hold_after(count))

    def wait_held(self, limit: float) -> None:
        """`Proxy.wait_held`; raises trio.TooSlowError after `limit` seconds."""

        async def wait() -> None:
            with trio.fail_after(limit):
                await self._proxy.wait_held()

        trio.from_thread.run(wait, trio_token=self._token)

    def release(self) -> None:
        """`Proxy.release`."""
        self._run(self._proxy.release)

    def statistics(self) -> dict[str, int]:
        """`Proxy.statistics`."""
        return self._run(self._proxy.statistics)

    def _run(self, call: Callable[[], T]) -> T:
        return trio.from_thread.run_sync(call, trio_token=self._token)


@contextmanager
def run_proxy(target: tuple[str, int] | None = None) -> Iterator[ThreadedProxy]:
    """A proxy in a thread of its own, until the end of this; `target` is the first end's."""
    ready: Future[tuple[ThreadedProxy, Callable[[], None]]] = Future()

    async def serve() -> None:
        async with open_proxy(target) as proxy:
            token = trio.lowlevel.current_trio_token()
            with trio.CancelScope() as scope:
                ready.set_result((ThreadedProxy(proxy, token), lambda: token.run_sync_soon(scope.cancel)))
                await trio.sleep_forever()

    def run() -> None:
        try:
            trio.run(serve)
        except OSError as error:  # it cannot listen; all others are raised in the nursery, and show themselves
            ready.set_exception(error)

    thread = threading.Thread(target=run, name="proxy")
    thread.start()
    proxy, stop = ready.result(_START_TIMEOUT)
    try:
        yield proxy
    finally:
        stop()
        thread.join()
