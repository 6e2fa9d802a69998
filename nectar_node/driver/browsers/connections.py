"""Hypercorn's side of one connection: what is read and written, and how long that may take.

Theory of operation. Hypercorn reads the syntax of HTTP/1.1 and HTTP/2; whatever it refuses goes no further. It shields
its writes from cancellation, so the end of the socket is what can end them (`door_streams`).

Serving connection by connection is not hypercorn's public interface: `pyproject.toml` names the versions that have been
tested.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import inf
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol import ProtocolWrapper
from hypercorn.trio.tcp_server import TCPServer

from nectar_node.base import log
from nectar_node.driver.browsers import limits
from nectar_node.driver.browsers.application import Application
from nectar_node.driver.browsers.browser_slots import BrowserSlot
from nectar_node.driver.browsers.door_streams import DoorStream
from nectar_node.driver.browsers.protocols import is_whole, let_go, with_our_streams
from nectar_node.driver.browsers.web_sockets import READ_BYTES, SocketDoor


class _Idle:
    """The time of a connection that does nothing, in place of hypercorn's task for that."""

    def __init__(self, stream: DoorStream, slot: BrowserSlot) -> None:
        self._stream = stream
        self._slot = slot

    async def restart(self, *_: object) -> None:
        """Begin: no request is under way, and the head of the next one has its time."""
        self._stream.is_idle = True
        self._slot.idles(idle=True)
        self._stream.read_until = trio.current_time() + limits.HEAD_SECONDS

    async def stop(self) -> None:
        """End: a request is under way."""
        self._stream.is_idle = False
        self._slot.idles(idle=False)
        self._stream.read_until = inf


class DoorConnection(TCPServer):
    """Hypercorn's side of a connection, which ends when the other end has closed it."""

    def __init__(
        self,
        stream: DoorStream,
        application: Application,
        sockets: SocketDoor,
        slot: BrowserSlot,
        *args: Any,
    ) -> None:
        """`slot` is given back when it carries a WebSocket from now on; `args` are hypercorn's."""
        super().__init__(*args)
        self._door_stream = stream
        self._application = application
        self._sockets = sockets
        self._slot = slot
        self._read_bytes = limits.PIECE_BYTES
        self.idle_task = _Idle(stream, slot)  # type: ignore[assignment]

    @property
    def protocol(self) -> ProtocolWrapper:
        """What reads the connection's data; hypercorn sets it before there is any."""
        return self._protocol

    @protocol.setter
    def protocol(self, made: ProtocolWrapper) -> None:
        """Take hypercorn's, with our streams."""
        self._protocol = with_our_streams(made, self._application, self._sockets, self._is_web_socket)

    def _is_web_socket(self) -> None:
        self._read_bytes = READ_BYTES
        self._slot.release()

    async def protocol_send(self, event: Event) -> None:
        """Write what the protocol says. As hypercorn does, but for a lock that nobody else has."""
        if not isinstance(event, RawData) or self.send_lock.locked():
            await super().protocol_send(event)
            return
        self.send_lock.acquire_nowait()
        try:
            with trio.CancelScope(shield=True):
                await self.stream.send_all(event.data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self.protocol.handle(Closed())
        finally:
            self.send_lock.release()

    async def run(self) -> None:
        """Serve it until its end, and leave nothing to the garbage collector.

        Hypercorn's objects refer to each other in circles. To look for those of ten thousand connections stops a node
        for half a second, and until then they fill its memory.
        """
        try:
            await super().run()
        finally:
            if "_protocol" in vars(self):
                let_go(self._protocol)
            vars(self).clear()

    async def _read_data(self) -> None:
        """Give the protocol what comes, until nothing does. As hypercorn does, but for how much, and who looks at the
        time."""
        data = b" "
        while data:
            if not self._door_stream.is_idle and not is_whole(self.protocol):
                self._door_stream.read_until = trio.current_time() + limits.READ_SECONDS
            try:
                data = bytes(await self.stream.receive_some(self._read_bytes))
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                break
            if not self._door_stream.is_idle:
                self._door_stream.read_until = inf
            await self.protocol.handle(RawData(data))
        await self.protocol.handle(Closed())


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
