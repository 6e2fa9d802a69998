"""Hypercorn's side of one connection: what is read and written, and how long that may take.

Theory of operation. Hypercorn reads the syntax of HTTP/1.1 and HTTP/2; whatever it refuses goes no further. The time
for a request's head is hypercorn's `keep_alive_timeout`, since no request is under way before its head is there.
Hypercorn shields its writes from cancellation, so a connection is what can end them: each write has its time.

Serving connection by connection is not hypercorn's public interface: `pyproject.toml` names the versions that have been
tested.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, RawData
from hypercorn.protocol import ProtocolWrapper
from hypercorn.trio.tcp_server import TCPServer

from nectar_node.base import log
from nectar_node.driver.browsers import limits
from nectar_node.driver.browsers.web_sockets import READ_BYTES, SocketDoor, with_web_sockets

CONNECTION = "connection"
"""In hypercorn's state of a connection without TLS: its `DoorStream`."""


class DoorStream(trio.abc.HalfCloseableStream):
    """A connection whose writes have a limit in time."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self.socket = stream.socket
        self._holds = False
        self._held = b""

    def hold_next(self) -> None:
        """Let what is written next go out together with what is written after it."""
        self._holds = True

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until something may be written."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Write nothing more."""
        await self._stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Read what there is; nothing at the end."""
        return await self._stream.receive_some(max_bytes)

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
        with trio.move_on_after(limits.WRITE_SECONDS) as scope:
            try:
                await self._stream.send_all(data)
            except trio.BusyResourceError:  # only hypercorn's end of the connection is not one after the other
                raise trio.BrokenResourceError("the connection is being closed") from None
        if scope.cancelled_caught:
            self.socket.close()
            raise trio.BrokenResourceError("the other end takes nothing")


class DoorConnection(TCPServer):
    """Hypercorn's side of a connection, which ends when the other end has closed it."""

    def __init__(self, sockets: SocketDoor, release: Callable[[], None], *args: Any) -> None:
        """`release`: called when it carries a WebSocket from now on; `args` are hypercorn's."""
        super().__init__(*args)
        self._sockets = sockets
        self._release = release
        self._read_bytes = limits.PIECE_BYTES

    @property
    def protocol(self) -> ProtocolWrapper:
        """What reads the connection's data; hypercorn sets it before there is any."""
        return self._protocol

    @protocol.setter
    def protocol(self, made: ProtocolWrapper) -> None:
        """Take hypercorn's, with our WebSockets."""
        self._protocol = with_web_sockets(made, self._sockets, self._is_web_socket)

    def _is_web_socket(self) -> None:
        self._read_bytes = READ_BYTES
        self._release()

    async def _read_data(self) -> None:
        """Give the protocol what comes, until nothing does. As hypercorn does, but for the size of what is read."""
        data = b" "
        while data:
            try:
                with trio.fail_after(limits.READ_SECONDS):
                    data = bytes(await self.stream.receive_some(self._read_bytes))
            except (trio.ClosedResourceError, trio.BrokenResourceError, trio.TooSlowError):
                break
            await self.protocol.handle(RawData(data))
        await self.protocol.handle(Closed())
        await self.idle_task.stop()  # else it would be there until its time between two requests is over


def is_theirs(error: BaseException) -> bool:
    """Return whether it says only that the other end has gone, or does not speak TLS."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_theirs, error.exceptions))
    return isinstance(error, (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError, OSError))


def door_config(note: Callable[[str, BaseException], None]) -> Config:
    """Return what hypercorn is told: its bounds, and that failures go to `note`."""
    config = Config()
    config.h11_max_incomplete_size = limits.MAX_HEAD_BYTES
    config.h2_max_header_list_size = limits.MAX_HEAD_BYTES
    config.h2_max_concurrent_streams = 32
    config.keep_alive_timeout = limits.HEAD_SECONDS
    config.read_timeout = int(limits.READ_SECONDS)
    config.ssl_handshake_timeout = limits.HEAD_SECONDS
    config.include_server_header = False
    config._log = _DoorLog(note)  # type: ignore[assignment]
    return config


class _DoorLog:
    """Hypercorn's log: failures go where those of our own code go, all else is left out."""

    def __init__(self, note: Callable[[str, BaseException], None]) -> None:
        self._note = note

    async def exception(self, message: str, *_: object) -> None:
        """Log the exception that is being handled."""
        error = sys.exception()
        if error is not None and not is_theirs(error):
            self._note("the HTTP server", error)

    async def error(self, message: str, *_: object) -> None:
        """Log a line."""
        log.write_line("http", message)

    critical = warning = error

    async def access(self, *_: object) -> None:
        """Log no request: a process can."""

    info = debug = log = access
