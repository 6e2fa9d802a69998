"""(trio) Non-blocking sockets as the links use them: an attempt first, and waiting only if it is in vain."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import select
import socket
import struct
import termios

import trio

_RESET = struct.pack("ii", 1, 0)
_BACKLOG = 512
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE = 0.05
"""Seconds until descriptors may be free again."""
_BIND_ADDRESS_NO_PORT = 24
"""IP_BIND_ADDRESS_NO_PORT of Linux: the port is chosen with the target in mind, so that there are enough of them."""
_ARRIVAL_PAUSES = (0.001,) * 10 + (0.01,) * 100
"""Seconds between two checks whether all has arrived, since no event tells."""


def listen(endpoint: tuple[str, int]) -> socket.socket:
    """Return a listening socket; raises OSError."""
    listener = socket.create_server(endpoint, backlog=_BACKLOG)
    listener.setblocking(False)
    return listener


async def accept(listener: socket.socket) -> tuple[socket.socket, str]:
    """Return the next connection and the host it comes from, and skip those that broke meanwhile. Raises OSError when
    `listener` is closed."""
    while listener.fileno() >= 0:
        await _readable(listener)
        try:
            connection, (host, *_) = listener.accept()
        except OSError as error:
            if error.errno in _OUT_OF_RESOURCES:
                await trio.sleep(_PAUSE)
            continue
        _prepare(connection)
        return connection, str(host)
    raise OSError(errno.EBADF, "closed")


async def connect(endpoint: tuple[str, int], source: str | None) -> socket.socket:
    """Return a connection to `endpoint`, from the host `source` if that is not None; raises OSError."""
    connection = socket.socket()
    try:
        _prepare(connection)
        if source is not None:
            connection.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            connection.bind((source, 0))
        if (failed := connection.connect_ex(endpoint)) == errno.EINPROGRESS:
            await trio.lowlevel.wait_writable(connection)
            failed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise OSError(failed, f"cannot connect to {endpoint[0]}:{endpoint[1]}")
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: socket.socket) -> None:
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def hold_little(connection: socket.socket, size: int) -> None:
    """Have the system hold about `size` bytes that have come and are not read."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


async def receive_into(source: socket.socket, buffer: memoryview) -> int:
    """Read as recv_into does; raises OSError."""
    while True:
        await _readable(source)
        try:
            return source.recv_into(buffer)
        except BlockingIOError:
            continue


async def send_all(sink: socket.socket, data: bytes | memoryview) -> None:
    """Send all of `data`; raises OSError."""
    left = memoryview(data)
    while left:
        try:
            left = left[sink.send(left) :]
        except BlockingIOError:
            await _writable(sink)


async def arrived(sink: socket.socket) -> None:
    """Wait until all that was sent has reached the other host; for a moment only, if that does not read."""
    with contextlib.suppress(OSError):
        for pause in _ARRIVAL_PAUSES:
            if not struct.unpack("i", fcntl.ioctl(sink, termios.TIOCOUTQ, b"\0" * 4))[0]:
                return
            await trio.sleep(pause)


def has_gone(connection: socket.socket) -> bool:
    """Whether the other end has closed the connection, even if there are bytes to be read before that."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


def reset(connection: socket.socket) -> None:
    """Close it so that the other end gets a reset; what it has not been sent is lost."""
    if connection.fileno() >= 0:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    close(connection)


def close(connection: socket.socket) -> None:
    """Close it; a second time too."""
    if connection.fileno() >= 0:
        trio.lowlevel.notify_closing(connection)
        connection.close()


async def _readable(connection: socket.socket) -> None:
    try:
        await trio.lowlevel.wait_readable(connection)
    except trio.ClosedResourceError as error:
        raise OSError(errno.EBADF, "closed") from error


async def _writable(connection: socket.socket) -> None:
    try:
        await trio.lowlevel.wait_writable(connection)
    except trio.ClosedResourceError as error:
        raise OSError(errno.EBADF, "closed") from error
