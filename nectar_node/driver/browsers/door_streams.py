"""The sockets of connections, and what ends those that take too long.

Theory of operation. To set a time limit costs as much as a tenth of a request, and a request would set three. So a
connection only notes until when it may go on, and one task looks after all of them. It sleeps until the first limit
that it knows: one that is set meanwhile is later than the shortest there is, for which it sleeps at most.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import trio

from kernel.contract.address import PackageId
from nectar_node.contract.http import HttpAnswer
from nectar_node.driver.browsers import limits

CONNECTION = "connection"
"""In hypercorn's state of a connection: its `DoorStream`."""


class DoorStream(trio.abc.HalfCloseableStream):
    """A connection, and until when it may go on as it does."""

    def __init__(self, stream: trio.SocketStream, moved: Callable[[int], None], *, carries_tls: bool) -> None:
        """`moved` is told how many bytes have come, or have been taken."""
        self._stream = stream
        self._moved = moved
        self._carries_tls = carries_tls
        self.socket = stream.socket
        self.read_until = inf
        """When it ends, unless it has been read by then, or has asked for something."""
        self.write_until = inf
        """When it ends, unless what is being written has been taken by then."""
        self.is_idle = False
        """Whether no request is under way."""
        self.package: PackageId | None = None
        """Which has answered a request of it last."""
        self._holds = False
        self._held = b""

    def answered(self, answer: object) -> None:
        """Learn what a request of it is answered with."""
        if isinstance(answer, HttpAnswer) and answer.package is not None:
            self.package = answer.package

    def hold_next(self) -> None:
        """Let what is written next go out together with what is written after it; not the records of TLS."""
        self._holds = not self._carries_tls

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until something may be written."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Write nothing more."""
        await self._stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Read what there is; nothing at the end."""
        data = await self._stream.receive_some(max_bytes)
        self._moved(len(data))
        return data

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write it; raises trio.BrokenResourceError where the other end takes nothing for too long."""
        if not data:
            return  # h11 has nothing to write at the end of an answer
        if self._holds:
            self._holds, self._held = False, bytes(data)
            return
        if self._held:
            data, self._held = self._held + data, b""
        self.write_until = trio.current_time() + limits.WRITE_SECONDS
        try:
            await self._stream.send_all(data)
            self._moved(len(data))
        except (trio.BusyResourceError, trio.ClosedResourceError):
            # Only hypercorn's end of the connection is not one after the other; and what is late has been closed.
            raise trio.BrokenResourceError("the connection is being closed") from None
        finally:
            self.write_until = inf


class StreamWatch:
    """All connections of a door, which end when they are late."""

    def __init__(self) -> None:
        self.streams: set[DoorStream] = set()
        self._some = trio.Event()
        self._scope = trio.CancelScope()

    def add(self, stream: DoorStream) -> None:
        """Look after a connection until it is taken out of `streams`."""
        self.streams.add(stream)
        self._some.set()

    def end_idle(self) -> None:
        """End those that do nothing."""
        for stream in tuple(self.streams):
            if stream.is_idle:
                stream.socket.close()

    def end(self) -> None:
        """End all, and look after none from now on."""
        for stream in tuple(self.streams):
            stream.socket.close()
        self._scope.cancel()

    async def run(self) -> None:
        """Look after them until the end."""
        with self._scope:
            while True:
                await self._look()

    async def _look(self) -> None:
        await self._some.wait()
        now = trio.current_time()
        soonest = now + min(limits.HEAD_SECONDS, limits.READ_SECONDS, limits.WRITE_SECONDS)
        for stream in tuple(self.streams):
            until = min(stream.read_until, stream.write_until)
            if until <= now:
                stream.socket.close()  # who reads or writes is told
            else:
                soonest = min(soonest, until)
        if not self.streams:
            self._some = trio.Event()
        await trio.sleep_until(max(soonest, now + limits.GRAIN_SECONDS))
