"""The node's HTTP server: hypercorn on trio, and behind it one small ASGI application that asks the core.

The end of the door closes all connections: hypercorn shields its writes from cancellation.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import trio
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

from nectar_node.base.descriptors import MAX_SOCKETS
from nectar_node.contract.config import LOOPBACK
from nectar_node.contract.http import (
    BrowserAction,
    HttpBroken,
    HttpEvent,
    HttpPiece,
    HttpReadPiece,
    HttpReadWhole,
    HttpStart,
)
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.driver.browsers import limits
from nectar_node.driver.browsers.application import Application
from nectar_node.driver.browsers.browser_slots import BrowserSlot, BrowserSlots
from nectar_node.driver.browsers.connections import DoorConnection, door_config, is_theirs
from nectar_node.driver.browsers.door_sockets import DoorSocket
from nectar_node.driver.browsers.door_streams import CONNECTION, DoorStream, StreamWatch
from nectar_node.driver.browsers.event_streams import DoorFeed
from nectar_node.driver.browsers.web_sockets import SocketDoor


class HttpDoor:
    """The HTTP server of a running node."""

    def __init__(
        self,
        door: DoorSocket,
        connections: int,
        tell: Callable[[HttpEvent], None],
        note: Callable[[str, BaseException], None],
        memory: MemoryBudget,
        sockets: int = MAX_SOCKETS,
    ) -> None:
        """`connections`: how many there may be at a time, beside WebSockets; for a further one, one that has no
        request, or makes no progress with it, gives way, or it waits. `tell` gives the core an event; `note` is given
        failures of our own code and hypercorn's. `memory` is for what comes from browsers and goes to them. `sockets`:
        how many WebSockets there may be.
        """
        self._door = door
        self._note = note
        self._slots = BrowserSlots(connections)
        self._sockets = SocketDoor(sockets, tell, memory)
        self._watch = StreamWatch()
        self._application = Application(tell, memory)
        self._closes = False
        self._emptied = trio.Event()
        """When it closes: set when there is no connection any more."""
        self._accepting = trio.CancelScope()
        self._context = WorkerContext(None)
        self._config = door_config(note)
        application: Any = self._application
        self._app = wrap_app(application, 0, "asgi")

    async def serve(self) -> None:
        """Serve browsers until cancelled."""
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(self._door.socket))
        async with trio.open_nursery() as nursery, listener:
            nursery.start_soon(self._watch.run)
            nursery.start_soon(self._application.turns.run)
            with self._accepting:
                while True:
                    try:
                        accepted = await listener.accept()
                    except OSError as error:
                        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                            raise
                        await trio.sleep(0.1)  # until there are descriptors again
                        continue
                    slot = None
                    try:
                        slot = await self._slots.take(accepted.socket.close, _host(accepted))
                    finally:
                        if slot is None:
                            accepted.socket.close()
                    if slot is not None:
                        stream = DoorStream(accepted, slot.moved, carries_tls=self._door.tls is not None)
                        nursery.start_soon(self._connected, stream, slot)

    async def close(self) -> None:
        """Answer what is under way with 503, and end all connections."""
        self._closes = True
        self._accepting.cancel()
        self._sockets.close()
        self._application.close()
        try:
            await self._context.terminated.set()  # what becomes idle ends
            self._watch.end_idle()
            if self._watch.streams:
                with trio.move_on_after(limits.FAREWELL_SECONDS):
                    await self._emptied.wait()
        finally:  # also if the node's own time for this is over: a write that is held up ends in no other way
            self._watch.end()
            if self._door.guard is not None:
                self._door.guard.close()

    def perform(self, action: BrowserAction | DoorFeed) -> None:
        """Carry out what the node wants done for a browser, if that is still there."""
        if not self._application.perform(action):
            assert not isinstance(action, (DoorFeed, HttpStart, HttpPiece, HttpBroken, HttpReadWhole, HttpReadPiece))
            self._sockets.perform(action)

    async def _connected(self, stream: DoorStream, slot: BrowserSlot) -> None:
        self._watch.add(stream)
        carried: Any = stream
        if self._door.tls is not None:
            carried = trio.SSLStream(stream, self._door.tls, server_side=True, https_compatible=True)
        state = ConnectionState({CONNECTION: stream})
        served = self._app, self._config, self._context, state, carried
        connection = DoorConnection(stream, self._application, self._sockets, slot, *served)
        try:
            await connection
        except Exception as error:
            if not is_theirs(error):
                self._note("the HTTP server", error)
        finally:
            stream.socket.close()
            self._watch.streams.discard(stream)
            if self._closes and not self._watch.streams:
                self._emptied.set()
            slot.release()


def _host(accepted: trio.SocketStream) -> str:
    """Return the address of the other end; if it has gone already, one of this machine."""
    try:
        host: str = accepted.socket.getpeername()[0]
    except OSError:
        return LOOPBACK
    return host
