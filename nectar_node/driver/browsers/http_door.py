"""The node's HTTP server: hypercorn on trio, and behind it one small ASGI application that asks the core.

Theory of operation. Hypercorn reads the syntax of HTTP/1.1 and HTTP/2; whatever it refuses never comes here. The
application reads a body within its bounds, gives the whole request to the core, and writes what the core answers. All
decisions are the core's. The time for a request's head is hypercorn's `keep_alive_timeout`, since no request is under
way before its head is there. Hypercorn shields its writes from cancellation, so a connection is what can end them: each
write has its time, and the end of the door closes all connections.

Hypercorn gives an application the body through a short queue and waits for room in it, also to say that the request is
over. So an answer that comes before the whole body is read goes out while the rest is thrown away.

Serving connection by connection is not hypercorn's public interface: `pyproject.toml` names the versions that have been
tested.
"""

from __future__ import annotations

import errno
import socket
import ssl
import sys
import weakref
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, RawData
from hypercorn.protocol import ProtocolWrapper
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

from nectar_node.base import log
from nectar_node.base.descriptors import MAX_SOCKETS
from nectar_node.base.errors import CannotListen
from nectar_node.contract.config import LOOPBACK, HttpPlace
from nectar_node.contract.http import (
    BrowserAction,
    Headers,
    HttpAnswer,
    HttpBroken,
    HttpEvent,
    HttpGone,
    HttpPiece,
    HttpRequest,
    HttpStart,
)
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.contract.package_bytes import HeldBodies
from nectar_node.driver.browsers.body_pieces import BodyPieces
from nectar_node.driver.browsers.web_sockets import READ_BYTES, SocketDoor, with_web_sockets
from nectar_node.http.pages import PageAnswer, error_page

MAX_HEAD_BYTES = 32 << 10
"""Bytes of a request's head."""
MAX_BODY_BYTES = 32 << 20
"""Bytes of a request's body: half of the largest blob. It is in memory until its process has answered."""
MAX_BODIES_BYTES = 256 << 20
"""Bytes of all bodies that are being read or have not been answered."""
MAX_ANSWERS_BYTES = 256 << 20
"""Bytes of all answers of processes, and of their pages, that browsers have not taken yet."""
MAX_ANSWERS_BYTES_OF_ONE = MAX_ANSWERS_BYTES // 2
"""Those of one package: two of the largest."""
SMALL_BYTES = 4 << 10
"""Bytes of an answer that does not count: the number of connections bounds those."""
HEAD_SECONDS = 10.0
"""Seconds for a request's head, and for which a connection may do nothing between two requests."""
READ_SECONDS = 60.0
"""Seconds for a request's body: 32 MiB at 4 Mbit/s."""
WRITE_SECONDS = 20.0
"""Seconds for one piece of an answer: a browser that takes nothing for so long has gone."""
PIECE_BYTES = 64 << 10
"""Bytes that are written at once."""
DRAIN_SECONDS = 1.0
"""Seconds in which a client that was refused may go on sending before its connection ends: with data unread, TCP would
take the answer from it (RFC 9112, 9.6).
"""
FAREWELL_SECONDS = 1.0
"""Seconds for the answers that are under way when the node goes down."""
_BACKLOG = 128
_CONNECTION = "connection"
"""In hypercorn's state of a connection without TLS: its `_DoorStream`."""

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class DoorSocket(NamedTuple):
    """Where browsers are listened for."""

    socket: socket.socket
    tls: ssl.SSLContext | None
    guard: socket.socket | None = None
    """Holds the other address of `localhost`, so that nobody else is reached by that name; it takes no connections."""

    @property
    def port(self) -> int:
        """The port."""
        port: int = self.socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """What people give to their browsers."""
        host = self.socket.getsockname()[0]
        if host in (LOOPBACK, "::1"):
            host = "localhost"  # below which each package has a name, as below an address it has not
        return f"http{'' if self.tls is None else 's'}://{f'[{host}]' if ':' in host else host}:{self.port}"


def open_door(place: HttpPlace, option: str = "--http") -> DoorSocket:
    """Listen for browsers, whom nobody answers yet; raises CannotListen with what to do. `option`: with which the user
    chooses the place."""
    tls = _tls(*place.tls) if place.tls is not None else None
    where = f"{place.host}:{place.port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise CannotListen(f"{place.host} is no address of this machine: say {option} PORT, or HOST:PORT.") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            what = f"The HTTP server cannot listen on {where}, which is in use: choose another port for {option}."
        else:
            what = f"The HTTP server cannot listen on {where}: {error.strerror}. Choose another place for {option}."
        raise CannotListen(what) from error
    return DoorSocket(listener, tls, _guard(listener))


def _guard(listener: socket.socket) -> socket.socket | None:
    """Return a socket that holds [::1] at the port of a listener on 127.0.0.1, where there is IPv6.

    Browsers try [::1] first for `localhost`: another user of this machine who listens there would be given links that
    sign in. Raises CannotListen if somebody does.
    """
    host, port = listener.getsockname()[:2]
    if host != LOOPBACK or not socket.has_ipv6:
        return None
    with suppress(OSError):  # where there is no IPv6, nobody is there either
        guard = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        try:
            guard.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            guard.bind(("::1", port))
        except OSError as error:
            guard.close()
            if error.errno != errno.EADDRINUSE:
                raise
            listener.close()
            raise CannotListen(
                f"Something else listens on [::1]:{port}, which is localhost too: choose another port for --http."
            ) from error
        return guard
    return None


def _tls(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except OSError as error:  # SSLError is one
        why = error.strerror if not isinstance(error, ssl.SSLError) and error.strerror else "they do not fit together"
        raise CannotListen(
            f"{certificate} and {key} cannot be used for --tls ({why}): give a certificate and its own key, both PEM."
        ) from error
    return context


class DoorFeed:
    """The answer to a request that goes on as long as the browser stays: pieces, and who is told when that ends."""

    def __init__(self, token: object, headers: Headers, left: Callable[[], None]) -> None:
        """`left` is called when nothing more is sent, because of whichever end."""
        self.token = token
        self.headers = headers
        self.left = left
        self._pieces, self.pieces = trio.open_memory_channel[bytes](0)

    async def send(self, piece: bytes) -> None:
        """Send a piece; returns when the connection has taken the one before. Raises trio.BrokenResourceError."""
        await self._pieces.send(piece)

    def end(self) -> None:
        """Send nothing more."""
        self._pieces.close()


class _DoorStream(trio.abc.HalfCloseableStream):
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
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if not data:
            return  # h11 has nothing to write at the end of an answer
        if self._holds:
            self._holds, self._held = False, bytes(data)
            return
        if self._held:
            data, self._held = self._held + data, b""
        with trio.move_on_after(WRITE_SECONDS) as scope:
            try:
                await self._stream.send_all(data)
            except trio.BusyResourceError:  # only hypercorn's end of the connection is not one after the other
                raise trio.BrokenResourceError("the connection is being closed") from None
        if scope.cancelled_caught:
            self.socket.close()
            raise trio.BrokenResourceError("the other end takes nothing")


class _Connection(TCPServer):
    """Hypercorn's side of a connection, which ends when the other end has closed it."""

    def __init__(self, sockets: SocketDoor, release: Callable[[], None], *args: Any) -> None:
        """`release`: called when it carries a WebSocket from now on; `args` are hypercorn's."""
        super().__init__(*args)
        self._sockets = sockets
        self._release = release
        self._read_bytes = PIECE_BYTES

    @property
    def protocol(self) -> ProtocolWrapper:
        """What reads the connection's data; hypercorn sets it before there is any."""
        return self._protocol

    @protocol.setter
    def protocol(self, made: ProtocolWrapper) -> None:
        self._protocol = with_web_sockets(made, self._sockets, self._is_web_socket)

    def _is_web_socket(self) -> None:
        self._read_bytes = READ_BYTES
        self._release()

    async def _read_data(self) -> None:
        """Give the protocol what comes, until nothing does. As hypercorn does, but for the size of what is read."""
        data = b" "
        while data:
            try:
                with trio.fail_after(READ_SECONDS):
                    data = bytes(await self.stream.receive_some(self._read_bytes))
            except (trio.ClosedResourceError, trio.BrokenResourceError, trio.TooSlowError):
                break
            await self.protocol.handle(RawData(data))
        await self.protocol.handle(Closed())
        await self.idle_task.stop()  # else it would be there until its time between two requests is over


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
        """`connections`: how many there may be at a time, beside WebSockets; a further one waits to be accepted. `tell`
        gives the core an event; `note` is given failures of our own code and hypercorn's. `memory` is for what comes
        from browsers and goes to them. `sockets`: how many WebSockets there may be.
        """
        self._door = door
        self._tell = tell
        self._note = note
        self._places = trio.CapacityLimiter(connections)
        self._sockets = SocketDoor(sockets, tell, memory)
        self._streams: set[_DoorStream] = set()
        self._waiting: dict[object, _Waiter] = {}
        self._feeds: weakref.WeakSet[DoorFeed] = weakref.WeakSet()
        self._bodies_in_pieces: dict[object, BodyPieces] = {}
        self._bodies = 0
        """Bytes of bodies in memory."""
        self._account = memory.of_browsers()
        """For the same."""
        self._answers = HeldBodies(memory, MAX_ANSWERS_BYTES_OF_ONE, MAX_ANSWERS_BYTES)
        """What browsers have not taken yet, by the bodies of their requests."""
        self._closes = False
        self._emptied = trio.Event()
        """When it closes: set when there is no connection any more."""
        self._accepting = trio.CancelScope()
        self._context = WorkerContext(None)
        self._config = door_config(note)
        serve: Any = self._serve
        self._app = wrap_app(serve, 0, "asgi")

    async def serve(self) -> None:
        """Serve browsers until cancelled."""
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(self._door.socket))
        async with trio.open_nursery() as nursery, listener:
            with self._accepting:
                while True:
                    waiter = object()
                    await self._places.acquire_on_behalf_of(waiter)
                    try:
                        accepted = await listener.accept()
                    except OSError as error:
                        self._places.release_on_behalf_of(waiter)
                        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                            raise
                        await trio.sleep(0.1)  # until there are descriptors again
                        continue
                    nursery.start_soon(self._connected, _DoorStream(accepted), waiter)

    async def close(self) -> None:
        """Answer what is under way with 503, and end all connections."""
        self._closes = True
        self._accepting.cancel()
        self._sockets.close()
        for token, waiter in list(self._waiting.items()):
            self._tell(HttpGone(token))
            waiter.set(HttpAnswer(token, *error_page(503, "The node goes down.")))
        for feed in tuple(self._feeds):
            feed.end()
        for token, pieces in self._bodies_in_pieces.items():
            pieces.take(HttpBroken(token))
        await self._context.terminated.set()  # what is idle ends
        if self._streams:
            with trio.move_on_after(FAREWELL_SECONDS):
                await self._emptied.wait()
        for stream in tuple(self._streams):
            stream.socket.close()
        if self._door.guard is not None:
            self._door.guard.close()

    def perform(self, action: BrowserAction | DoorFeed) -> None:
        """Carry out what the node wants done for a browser, if that is still there."""
        if isinstance(action, (HttpPiece, HttpBroken)):
            if (pieces := self._bodies_in_pieces.get(action.token)) is not None:
                pieces.take(action)
            return
        waiter = self._waiting.get(action.token)
        if waiter is not None:
            if isinstance(action, HttpAnswer):
                waiter.set(action if self._may_be_taken(waiter, action) else _too_much(waiter))
            elif isinstance(action, (HttpStart, DoorFeed)):
                waiter.set(action)
        elif isinstance(action, DoorFeed):
            action.left()
        elif not isinstance(action, HttpStart):
            self._sockets.perform(action)

    def _may_be_taken(self, waiter: _Waiter, answer: HttpAnswer) -> bool:
        """Count the body of an answer until its browser has taken it, if there may be so much of that."""
        if answer.package is None or len(answer.body) <= SMALL_BYTES or waiter.answer is not None:
            return True
        return self._answers.hold(waiter.reading, answer.package, answer.body)

    async def _connected(self, stream: _DoorStream, place: object) -> None:
        self._streams.add(stream)
        carried: Any = stream
        if self._door.tls is not None:
            carried = trio.SSLStream(stream, self._door.tls, server_side=True, https_compatible=True)
        held = [place]

        def release() -> None:
            while held:
                self._places.release_on_behalf_of(held.pop())

        state = ConnectionState({} if self._door.tls is not None else {_CONNECTION: stream})
        served = self._app, self._config, self._context, state, carried
        try:
            await _Connection(self._sockets, release, *served)
        except Exception as error:
            if not _is_theirs(error):
                self._note("the HTTP server", error)
        finally:
            stream.socket.close()
            self._streams.discard(stream)
            if self._closes and not self._streams:
                self._emptied.set()
            release()

    # --- the application --------------------------------------------------------------------------------------------

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1013})  # by HTTP/2, unasked: 403
        elif scope["type"] == "http":
            reading = _Body(receive)
            try:
                answer = await self._answer(scope, reading)
                if isinstance(answer, DoorFeed):
                    self._feeds.add(answer)
                    await _pour(answer, reading, send)
                elif isinstance(answer, HttpStart):
                    await self._send_pieces(scope, answer, reading, send)
                elif answer is not None:
                    await self._write(scope, reading, answer, send)
            finally:
                self._bodies -= reading.reserved
                self._account.remove(reading.reserved)
                self._answers.release(reading)

    async def _answer(self, scope: Scope, reading: _Body) -> PageAnswer | HttpStart | DoorFeed | None:
        """Return what the request is answered with; None: nobody is there any more."""
        if self._closes:
            return error_page(503, "The node goes down.")
        version, names = scope["http_version"], [name for name, _ in scope["headers"]]
        if version not in ("1.0", "1.1", "2"):
            return error_page(505, "Requests come by HTTP/1.1, or by HTTP/2 with TLS.")
        if scope["method"] == "CONNECT":  # an answer of 200 would end HTTP on this connection (RFC 9110, 9.3.6)
            return error_page(501, "This is no proxy.")
        if b"transfer-encoding" in names and (b"content-length" in names or version == "1.0"):
            # Two lengths, of which another parser may believe the other one (RFC 9112, 6.1).
            return error_page(400, "A request has one length.")
        if _length(scope) > MAX_BODY_BYTES:
            return error_page(413, f"A request has at most {MAX_BODY_BYTES} bytes.")
        with trio.move_on_after(READ_SECONDS) as limit:
            while await reading.more():
                grown = len(reading.data) - reading.reserved
                if len(reading.data) > MAX_BODY_BYTES:
                    return error_page(413, f"A request has at most {MAX_BODY_BYTES} bytes.")
                if self._bodies + grown > MAX_BODIES_BYTES or not self._account.may_add(grown):
                    return error_page(503, "The node has too much to do.")
                self._bodies += grown
                self._account.add(grown)
                reading.reserved += grown
        if limit.cancelled_caught:
            return error_page(408, f"The request was not there within {READ_SECONDS:.0f} seconds.")
        if reading.gone:
            return None
        if b"content-length" in names and len(reading.data) != _length(scope):  # by HTTP/2 (RFC 9113, 8.1.1)
            return error_page(400, "A request has the length that it says.")
        return await self._ask(scope, reading)

    async def _ask(self, scope: Scope, reading: _Body) -> PageAnswer | HttpStart | DoorFeed | None:
        waiter = _Waiter(reading)
        request = HttpRequest(
            waiter,
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]),
            reading.take(),
            tuple(scope["client"] or ("0.0.0.0", 0))[:2],
            scope["scheme"] == "https",
        )
        self._waiting[waiter] = waiter
        try:
            self._tell(request)
            if waiter.answer is None:  # else no process had to be asked
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_end_when_gone, reading, nursery.cancel_scope)
                    await waiter.there.wait()
                    nursery.cancel_scope.cancel()
        finally:
            del self._waiting[waiter]
            if waiter.answer is None:
                self._tell(HttpGone(waiter))
        answer = waiter.answer
        if isinstance(answer, (DoorFeed, HttpStart)):
            return answer
        return None if answer is None else PageAnswer(answer.status, answer.headers, answer.body)

    async def _send_pieces(self, scope: Scope, start: HttpStart, reading: _Body, send: Send) -> None:
        """Send an answer that comes in pieces; without all of them, the connection ends."""
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in start.headers]
        headers.append((b"content-length", b"%d" % start.length))
        pieces = BodyPieces(start, self._tell, PIECE_BYTES, WRITE_SECONDS)
        self._bodies_in_pieces[start.token] = pieces
        whole = False
        try:
            await send({"type": "http.response.start", "status": start.status, "headers": headers})
            whole = not start.piece or await pieces.send(send, reading.until_gone)
        finally:
            del self._bodies_in_pieces[start.token]
            if not whole:
                scope["state"]["connection"].socket.close()
        if whole:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, scope: Scope, reading: _Body, answer: PageAnswer, send: Send) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        if answer.status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(answer.body)))
        if not reading.whole and scope["http_version"] in ("1.0", "1.1"):
            headers.append((b"connection", b"close"))
        whole = reading.whole and scope["method"] != "HEAD" and 0 < len(answer.body) <= PIECE_BYTES
        if whole and scope["http_version"] == "1.1" and _CONNECTION in scope["state"]:
            scope["state"][_CONNECTION].hold_next()  # a write costs more than all else
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if whole:
            await send({"type": "http.response.body", "body": bytes(answer.body), "more_body": False})
            return
        if scope["method"] != "HEAD":
            pieces = memoryview(answer.body)
            for begin in range(0, len(pieces), PIECE_BYTES):
                if reading.gone:
                    return
                piece = bytes(pieces[begin : begin + PIECE_BYTES])
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        end = {"type": "http.response.body", "body": b"", "more_body": False}
        if reading.whole:
            await send(end)
            return
        with trio.move_on_after(DRAIN_SECONDS):
            await reading.drain()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reading.drain)
            await send(end)
            nursery.cancel_scope.cancel()


class _Body:
    """The body of a request, as it comes in."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.data = bytearray()
        self.reserved = 0
        """Bytes that the door counts for it."""
        self.whole = False
        self.gone = False
        """Whether the other end has closed the connection."""

    async def more(self) -> bool:
        """Take the next piece; return whether there was one."""
        if self.whole or self.gone:
            return False
        await self._take(keep=True)
        return not self.gone

    def take(self) -> bytes:
        """Return the whole body, which is kept here no longer."""
        whole, self.data = bytes(self.data), bytearray()
        return whole

    async def drain(self) -> None:
        """Throw away what still comes, until the other end is done."""
        while not (self.whole or self.gone):
            await self._take(keep=False)

    async def until_gone(self) -> None:
        """Wait until the other end has closed the connection."""
        while not self.gone:
            await self._take(keep=False)

    async def _take(self, *, keep: bool) -> None:
        event = await self._receive()
        if event["type"] == "http.disconnect":
            self.gone = True
            return
        if keep:
            self.data += event.get("body", b"")
        self.whole = not event.get("more_body", False)


class _Waiter:
    """A request that waits for the core's answer; also its token."""

    def __init__(self, reading: _Body) -> None:
        self.reading = reading
        self.there = trio.Event()
        self.answer: HttpAnswer | HttpStart | DoorFeed | None = None

    def set(self, answer: HttpAnswer | HttpStart | DoorFeed) -> None:
        """Take the answer."""
        if self.answer is None:
            self.answer = answer
            self.there.set()


def _too_much(waiter: _Waiter) -> HttpAnswer:
    return HttpAnswer(waiter, *error_page(503, "Too many browsers take answers of this package too slowly."))


async def _pour(feed: DoorFeed, reading: _Body, send: Send) -> None:
    """Send the pieces of an answer as they come; a browser that takes none for WRITE_SECONDS loses its connection."""
    try:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in feed.headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with trio.open_nursery() as nursery, feed.pieces:
            nursery.start_soon(_end_when_gone, reading, nursery.cancel_scope)
            async for piece in feed.pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            nursery.cancel_scope.cancel()
        if not reading.gone:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        feed.left()


async def _end_when_gone(reading: _Body, scope: trio.CancelScope) -> None:
    await reading.until_gone()
    scope.cancel()


def _length(scope: Scope) -> int:
    """Return the length that a request says it has; 0: it does not say. Hypercorn has checked that it is a number."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            with suppress(ValueError):
                return int(value)
    return 0


def _is_theirs(error: BaseException) -> bool:
    """Whether it says only that the other end has gone, or does not speak TLS."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_theirs, error.exceptions))
    return isinstance(error, (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError, OSError))


def door_config(note: Callable[[str, BaseException], None]) -> Config:
    """Return what hypercorn is told: its bounds, and that failures go to `note`."""
    config = Config()
    config.h11_max_incomplete_size = MAX_HEAD_BYTES
    config.h2_max_header_list_size = MAX_HEAD_BYTES
    config.h2_max_concurrent_streams = 32
    config.keep_alive_timeout = HEAD_SECONDS
    config.read_timeout = int(READ_SECONDS)
    config.ssl_handshake_timeout = HEAD_SECONDS
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
        if error is not None and not _is_theirs(error):
            self._note("the HTTP server", error)

    async def error(self, message: str, *_: object) -> None:
        """Log a line."""
        log.write_line("http", message)

    critical = warning = error

    async def access(self, *_: object) -> None:
        """Log no request: a process can."""

    info = debug = log = access
