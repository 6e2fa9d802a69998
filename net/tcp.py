"""TCP on trio. The one place that sees OSError and trio's stream errors; it maps each once."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from net.errors import DialFailed, ListenFailed, StreamBroken
from net.events import Buffer

SOCKET_BUFFER_BYTES = 1 << 20
"""Asked for in both directions: enough to keep loopback busy between two turns of a node, and at 1 GB/s one millisecond
of delay for what comes behind it."""
RECEIVE_BYTES = 1 << 19
"""The largest single receive."""
BACKLOG = 512
"""Connections that wait to be accepted."""
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_ACCEPT_PAUSE_SECONDS = 0.1


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except (OSError, trio.ClosedResourceError, trio.BrokenResourceError) as error:
        raise StreamBroken(str(error) or type(error).__name__) from error


class TcpStream:
    """An open TCP connection. See `transport.Stream`."""

    def __init__(self, socket: trio.socket.SocketType) -> None:
        """`socket` is connected."""
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))
        with _mapped():
            self._host = str(socket.getpeername()[0])
            self._stream = trio.SocketStream(socket)
            for option in (trio.socket.SO_SNDBUF, trio.socket.SO_RCVBUF):
                self._stream.setsockopt(trio.socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
            if hasattr(trio.socket, "TCP_NOTSENT_LOWAT"):
                # trio's default of 16 KiB would wake the writer for every few records.
                self._stream.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NOTSENT_LOWAT, SOCKET_BUFFER_BYTES)

    @property
    def host(self) -> str:
        """See `transport.Stream`."""
        return self._host

    async def send_all(self, data: Buffer) -> None:
        """See `transport.Stream`."""
        with _mapped():
            await self._stream.send_all(data)

    async def receive_some(self, max_bytes: int | None = None) -> Buffer:
        """See `transport.Stream`."""
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        with _mapped():
            size = await self._stream.socket.recv_into(self._buffer, min(max_bytes or RECEIVE_BYTES, RECEIVE_BYTES))
        return self._buffer[:size]

    async def aclose(self) -> None:
        """See `transport.Stream`."""
        await self._stream.aclose()


class TcpListener:
    """A listening TCP socket. See `transport.Listener`."""

    def __init__(self, socket: trio.socket.SocketType) -> None:
        """`socket` listens."""
        self._socket = socket
        self._port = int(socket.getsockname()[1])

    @property
    def port(self) -> int:
        """See `transport.Listener`."""
        return self._port

    async def accept(self) -> TcpStream:
        """See `transport.Listener`. A connection that broke before it was accepted is passed over."""
        while True:
            try:
                socket, _ = await self._socket.accept()
                return TcpStream(socket)
            except trio.ClosedResourceError as error:
                raise StreamBroken("the listener is closed") from error
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    await trio.sleep(_ACCEPT_PAUSE_SECONDS)
                elif error.errno == errno.EBADF:
                    raise StreamBroken("the listener is closed") from error
            except StreamBroken:
                socket.close()

    async def aclose(self) -> None:
        """See `transport.Listener`."""
        self._socket.close()
        await trio.lowlevel.checkpoint()


class TcpTransport:
    """TCP. See `transport.Transport`."""

    async def connect(self, host: str, port: int) -> TcpStream:
        """See `transport.Transport`. All addresses of `host` are tried, one after the other."""
        refused = False
        reason = f"{host} has no address"
        try:
            addresses = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
        except OSError as error:
            raise DialFailed(f"{host}: {error.strerror or error}") from error
        for family, kind, protocol, _, address in addresses:
            socket = trio.socket.socket(family, kind, protocol)
            try:
                await socket.connect(address)
                return TcpStream(socket)
            except (OSError, StreamBroken) as error:
                refused = isinstance(error, ConnectionRefusedError)
                reason = f"{host} port {port}: {error}"
                socket.close()
            except trio.Cancelled:
                socket.close()
                raise
        raise DialFailed(reason, refused=refused)

    async def listen(self, host: str, port: int) -> TcpListener:
        """See `transport.Transport`."""
        try:
            (family, kind, protocol, _, address), *_ = await trio.socket.getaddrinfo(
                host, port, type=trio.socket.SOCK_STREAM, flags=trio.socket.AI_PASSIVE
            )
            socket = trio.socket.socket(family, kind, protocol)
        except OSError as error:
            raise ListenFailed(f"cannot listen at {host} port {port}: {error}") from error
        try:
            socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
            await socket.bind(address)
            socket.listen(BACKLOG)
        except OSError as error:
            socket.close()
            raise ListenFailed(f"cannot listen at {host} port {port}: {error}") from error
        return TcpListener(socket)
