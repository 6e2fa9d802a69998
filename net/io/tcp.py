"""TCP on trio. The only module that sees OSError and trio's stream errors; it maps each of them once."""

import errno
import os
import socket as stdlib_socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from operator import index
from typing import Protocol

import trio

from net.base.errors import DialFailed, ListenFailed, StreamBroken
from net.base.limits import MAX_CONNECTIONS
from net.contract.events import Buffer
from net.io.source_address import leads_to, only_address

UNSENT_BYTES = 1 << 17
"""The most that the kernel may hold and not have sent: nothing that comes later can overtake it. Without this bound it
takes megabytes beside those in the buffer of a peer that reads too slowly: 10 ms for a small message behind a flow of
400 MB/s, and seconds on a slow link. On a slow link the driver asks for less (`TcpStream.limit_unsent`).

The buffers have the sizes that the system finds right. Fixed ones of 1 MiB held a link of 200 ms to half of what it
carries, and cost as much on loopback, in processor time and in waiting."""
_NOTSENT_LOWAT: int | None = getattr(stdlib_socket, "TCP_NOTSENT_LOWAT", None)
"""The socket option, on systems that have it: Linux and macOS."""
RECEIVE_BYTES = 1 << 19
"""The largest single receive. The streams of one transport share one buffer of that size: what has been received is
consumed before the next receive, and an idle stream needs none."""
UNREAD_BYTES = 1 << 18
"""What the kernel may hold unread while small messages come beside a flow, in bytes; Linux takes twice as much, for its
own accounts, and less if `net.core.rmem_max` is less. A receiver that falls behind is given up to 32 MB otherwise."""
SHORT_SECONDS = 0.0005
"""The longest round trip of a link, in seconds, that needs no more than UNREAD_BYTES: they are 500 MB/s then. The
kernel tells the least one of the last five minutes; the usual one is that of an acknowledgement which waits for a
busy node."""
_SO_BUF_LOCK = 72 if sys.platform == "linux" else None
"""The socket option: whether the kernel leaves the size of the buffers alone (Linux 5.15). Python has no name for it,
and for the next two."""
_RECEIVE_BUFFER_LOCKED = 2
_TCP_WINDOW_CLAMP = 10
_MOST_WINDOW = 1 << 30
"""More than a window can be."""
_MIN_RTT = struct.Struct("@148xI")
"""The least round trip in Linux's `tcp_info`, in microseconds."""
BACKLOG = 512
"""Connections that wait to be accepted."""
_BIND_ADDRESS_NO_PORT: int | None = getattr(stdlib_socket, "IP_BIND_ADDRESS_NO_PORT", None)
"""The socket option, on systems that have it: Linux. A port is then chosen when the target is known, and one port
serves for many targets; without it a source address has some 28,000 connections, those that have just ended included.
"""
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_ACCEPT_PAUSE_SECONDS = 0.1


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except (OSError, trio.ClosedResourceError, trio.BrokenResourceError) as error:
        raise StreamBroken(str(error) or type(error).__name__) from error


def _plain(socket: trio.socket.SocketType) -> stdlib_socket.socket:
    """Return the socket without trio's wrapping, which is of no use afterwards."""
    plain = stdlib_socket.socket(fileno=socket.detach())
    plain.setblocking(False)
    return plain


class ConnectionSlots:
    """Counts the connections of one transport, up to a limit: each needs a file descriptor, and others need some
    too."""

    def __init__(self, most: int) -> None:
        self._free = most

    def take(self) -> bool:
        """Take a place for one more connection; return False if there is none."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        """Give back the place of a connection that has ended."""
        self._free += 1


class ReceiveMemory(Protocol):
    """Where the streams of one transport receive. Its owner may move it on when bytes have come, before they are
    consumed: those are to stay.
    """

    @property
    def view(self) -> memoryview:
        """Where the next bytes go: RECEIVE_BYTES, shared by all streams."""


class _OwnMemory:
    def __init__(self) -> None:
        self.view = memoryview(bytearray(RECEIVE_BYTES))


class TcpStream:
    """An open TCP connection, as a `transport.Stream`.

    It works on the plain non-blocking socket and waits with trio's `wait_readable` and `wait_writable`. A trio socket
    first tries, then waits, then passes a checkpoint of its own: for a message that is awaited, one failing system call
    and one more round of the scheduler, together a third of all that its way through the driver costs.
    """

    def __init__(self, socket: stdlib_socket.socket, memory: ReceiveMemory, places: ConnectionSlots) -> None:
        """`socket` is connected and does not block; any number of streams may share `memory`.

        The place that was taken for the connection goes back when it is closed.
        """
        self._socket = socket
        self._places = places
        self._memory = memory
        self._promised = 0
        """Bytes that the peer may still send by what it was told before `limit_unread`, and 1 more until the buffer is
        small; 0: nothing is to be done."""
        self._buffer = 0
        """Bytes that the kernel's buffer had when it was to become small: the most of all times."""
        self._unsent = 0
        """The last limit of `limit_unsent`."""
        with _mapped():
            socket.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
            self.limit_unsent(UNSENT_BYTES)
            self._host = str(socket.getpeername()[0])

    @property
    def host(self) -> str:
        """The address of the other side."""
        return self._host

    def send_now(self, data: Buffer) -> int:
        """Write what goes without waiting (see `transport.Stream`)."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise StreamBroken(str(error)) from error

    def limit_unsent(self, most: int) -> None:
        """Have the system take about `most` bytes at most that it cannot send yet (see `transport.Stream`)."""
        most = min(most, UNSENT_BYTES)
        if most != self._unsent and _NOTSENT_LOWAT is not None:
            self._unsent = most
            with suppress(OSError):  # a stream that is broken says so when it is used
                self._socket.setsockopt(stdlib_socket.IPPROTO_TCP, _NOTSENT_LOWAT, most)

    def limit_unread(self, limited: bool) -> None:
        """Have the kernel hold little that is not read, or as much as it finds right (see `transport.Stream`).

        It drops what does not fit, and the peer sends that again after 200 ms. So the peer is promised little first,
        and the buffer is made small when all that was promised before has been read, at a moment when it is empty.
        Left alone afterwards it would stay small for long: Linux lets it grow with the most that was ever read in a
        round trip. But it makes room at once for what a program says that it waits for (SO_RCVLOWAT), and for more than
        it lets one ask for openly.
        """
        self._promised = 0
        if _SO_BUF_LOCK is None or not (limited or self._buffer):
            return
        with suppress(OSError):  # a stream that is broken says so when it is used; an older kernel lacks the option
            if not limited:
                self._socket.setsockopt(stdlib_socket.SOL_SOCKET, _SO_BUF_LOCK, 0)
                for least in (self._buffer // 2, 1):
                    self._socket.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_RCVLOWAT, least)
                self._socket.setsockopt(stdlib_socket.IPPROTO_TCP, _TCP_WINDOW_CLAMP, _MOST_WINDOW)
            elif self._is_short():
                self._socket.setsockopt(stdlib_socket.SOL_SOCKET, _SO_BUF_LOCK, _RECEIVE_BUFFER_LOCKED)
                self._socket.setsockopt(stdlib_socket.IPPROTO_TCP, _TCP_WINDOW_CLAMP, UNREAD_BYTES)
                self._promised = 1 + self._socket.getsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_RCVBUF)
                self._buffer = max(self._buffer, self._promised)

    def _is_short(self) -> bool:
        """Return whether the link's round trip is that short."""
        told = self._socket.getsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_INFO, _MIN_RTT.size)
        return len(told) == _MIN_RTT.size and _MIN_RTT.unpack(told)[0] <= SHORT_SECONDS * 1e6

    def _have_read(self, size: int, most: int) -> None:
        """Make the buffer small if it is time; `size` bytes have been read of at most `most`."""
        self._promised = max(1, self._promised - size)
        if self._promised == 1 and size < most:
            self._promised = 0
            with suppress(OSError):
                self._socket.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_RCVBUF, UNREAD_BYTES)

    async def send_all(self, data: Buffer) -> None:
        """Write all of `data` (see `transport.Stream`)."""
        with memoryview(data) as view:
            if not view:
                await self._wait_writable()
            sent = 0
            while sent < len(view):
                await self._wait_writable()
                with view[sent:] as rest:
                    sent += self.send_now(rest)

    async def receive_some(self, max_bytes: int | None = None) -> Buffer:
        """Return some bytes, after waiting for them if need be (see `transport.Stream`)."""
        most = RECEIVE_BYTES if max_bytes is None else min(index(max_bytes), RECEIVE_BYTES)
        if most < 1:
            raise ValueError("max_bytes must be at least 1")
        while True:
            if self._socket.fileno() < 0:
                raise StreamBroken("the stream is closed")
            try:
                await trio.lowlevel.wait_readable(self._socket)
                view = self._memory.view
                return view[: self._socket.recv_into(view, most)]
            except BlockingIOError:
                continue
            except (OSError, trio.ClosedResourceError) as error:
                raise StreamBroken(str(error)) from error

    async def readable(self) -> None:
        """Wait until there is something to read (see `transport.Stream`)."""
        if self._socket.fileno() < 0:
            raise StreamBroken("the stream is closed")
        try:
            await trio.lowlevel.wait_readable(self._socket)
        except (OSError, trio.ClosedResourceError) as error:
            raise StreamBroken(str(error) or "the stream is closed") from error

    def receive_now(self, max_bytes: int | None = None) -> Buffer:
        """Return bytes that are there already (see `transport.Stream`)."""
        most = RECEIVE_BYTES if max_bytes is None else min(max_bytes, RECEIVE_BYTES)
        try:
            view = self._memory.view
            size = self._socket.recv_into(view, most)
        except OSError:
            return b""
        if self._promised:
            self._have_read(size, most)
        return view[:size]

    async def _wait_writable(self) -> None:
        if self._socket.fileno() < 0:
            raise StreamBroken("the stream is closed")
        try:
            await trio.lowlevel.wait_writable(self._socket)
        except trio.ClosedResourceError as error:
            raise StreamBroken("the stream is closed") from error

    async def aclose(self) -> None:
        """Close the connection (see `transport.Stream`)."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
            self._places.give_back()
        await trio.lowlevel.checkpoint()


class TcpListener:
    """A listening TCP socket, as a `transport.Listener`."""

    def __init__(
        self, socket: trio.socket.SocketType, memory: ReceiveMemory, source: str | None, places: ConnectionSlots
    ) -> None:
        """`socket` listens; `memory` and `places` are for the streams that come of it; `source` is as the attribute."""
        self._socket = socket
        self._memory = memory
        self._places = places
        self._spare: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self.source = source
        """The address that the listening node can dial from (`TcpTransport.dial_from`), if it is a single one."""
        self._port = int(socket.getsockname()[1])

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    async def accept(self) -> TcpStream:
        """Return the next connection (see `transport.Listener`). One that broke before it was accepted is passed over.

        A connection for which there is no place is closed at once, so that the dialer sees it and need not wait.
        """
        while True:
            try:
                socket, _ = await self._socket.accept()
                if not self._places.take():
                    socket.close()
                    continue
                return _stream(_plain(socket), self._memory, self._places)
            except trio.ClosedResourceError as error:
                raise StreamBroken("the listener is closed") from error
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self._refuse_all()
                    await trio.sleep(_ACCEPT_PAUSE_SECONDS)
                elif error.errno == errno.EBADF:
                    raise StreamBroken("the listener is closed") from error
            except StreamBroken:
                continue

    def _refuse_all(self) -> None:
        """Close the connections that wait, for none of which there is a descriptor, with the one that is kept
        for this."""
        self._give_up_spare()
        plain = stdlib_socket.socket(fileno=self._socket.fileno())
        try:
            while True:
                plain.accept()[0].close()
        except OSError:
            pass  # none waits any more, or another task has taken that descriptor
        finally:
            plain.detach()
            with suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _give_up_spare(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    async def aclose(self) -> None:
        """Stop listening (see `transport.Listener`)."""
        self._give_up_spare()
        self._socket.close()
        await trio.lowlevel.checkpoint()


class TcpTransport:
    """Dials and listens on TCP, as a `transport.Transport`."""

    def __init__(self, most: int = MAX_CONNECTIONS, memory: ReceiveMemory | None = None) -> None:
        """`most` is how many connections there may be at once, in both directions; `memory` is where all receive, the
        transport's own if None.
        """
        self._places = ConnectionSlots(most)
        self._memory = memory or _OwnMemory()
        self._source: str | None = None

    def dial_from(self, source: str | None) -> None:
        """Dial from this address of ours from now on, where it leads to the target (`net.io.source_address`).

        None: from any address, as the system chooses.
        """
        self._source = source

    async def connect(self, host: str, port: int) -> TcpStream:
        """Dial (see `transport.Transport`). All addresses of `host` are tried, one after the other."""
        refused = False
        reason = f"{host} has no address"
        try:
            addresses = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            # UnicodeError: a name that cannot be encoded for DNS, such as one with a label of 64 characters.
            raise DialFailed(f"{host}: {error}") from error
        for family, kind, protocol, _, address in addresses:
            if not self._places.take():
                raise DialFailed("no place is left for another connection")
            try:
                return await self._connect((family, kind, protocol), address)
            except (OSError, StreamBroken, DialFailed) as error:
                refused = isinstance(error, ConnectionRefusedError)
                reason = f"{host} port {port}: {error}"
        raise DialFailed(reason, refused=refused)

    async def _connect(self, kind: tuple[int, int, int], address: tuple[str | int | bytes, ...]) -> TcpStream:
        """Connect to one address. Raises OSError, StreamBroken and DialFailed; the place is given back then."""
        try:
            socket = trio.socket.socket(*kind)
            try:
                await self._bind(socket, str(address[0]))
                await socket.connect(address)
            except BaseException:
                socket.close()
                raise
        except BaseException:
            self._places.give_back()
            raise
        return _stream(_plain(socket), self._memory, self._places)

    async def _bind(self, socket: trio.socket.SocketType, target: str) -> None:
        """Let the connection come from our source, if there is one that leads to the address `target`."""
        source = self._source
        if source is None or not leads_to(source, target):
            return
        try:
            if _BIND_ADDRESS_NO_PORT is not None:
                socket.setsockopt(stdlib_socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            await socket.bind((source, 0))
        except OSError as error:
            raise DialFailed(f"cannot dial from {source}: {error.strerror or error}") from error

    async def listen(self, host: str, port: int) -> TcpListener:
        """Listen at an address (see `transport.Transport`)."""
        try:
            addresses = await trio.socket.getaddrinfo(
                host, port, type=trio.socket.SOCK_STREAM, flags=trio.socket.AI_PASSIVE
            )
            family, kind, protocol, _, address = addresses[0]
            socket = trio.socket.socket(family, kind, protocol)
        except (OSError, UnicodeError) as error:
            raise _listen_failed(host, port, error) from error
        try:
            socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
            await socket.bind(address)
            socket.listen(BACKLOG)
        except OSError as error:
            socket.close()
            raise _listen_failed(host, port, error) from error
        return TcpListener(socket, self._memory, only_address(str(each[0]) for *_, each in addresses), self._places)


def _stream(socket: stdlib_socket.socket, memory: ReceiveMemory, places: ConnectionSlots) -> TcpStream:
    """Make a stream of a socket. Raises StreamBroken if it is broken already; its place is given back then."""
    try:
        return TcpStream(socket, memory, places)
    except StreamBroken:
        socket.close()
        places.give_back()
        raise


def _listen_failed(host: str, port: int, error: OSError | UnicodeError) -> ListenFailed:
    reason = error.strerror if isinstance(error, OSError) else None
    return ListenFailed(f"cannot listen at {host} port {port}: {reason or error}")
