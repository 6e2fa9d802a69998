"""One HTTP exchange with a server, by httpx: a connection of its own to an address that was checked.

A name is looked up, each address is judged, and the one that passes is connected to: nothing looks the name up again,
so it cannot be this machine the second time (DNS rebinding). Of httpx only the transport is used. What lies above it
there follows redirects, keeps cookies, reads proxies and passwords from the environment, and decompresses without a
bound.

The transport's pool is not httpx's public interface, though httpcore's is: `pyproject.toml` names the versions that
have been tested.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import certifi
import httpcore
import httpx
import trio

from nectar_node.contract.http_client import ServerCall
from nectar_node.http.fetching.addresses import why_unreachable

CONNECT_SECONDS = 10.0
"""Seconds for one address of a server, and for the start of TLS: another one may answer."""
MAX_ADDRESSES = 4
"""Addresses of one name that are tried."""
MAX_WIRE_BYTES = 96 << 20
"""Bytes that are read of one connection: an answer's body can be cut into chunks so small that they outweigh it."""


BROKEN = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, trio.ClosedResourceError, OSError)
"""What reading and writing an open connection raises when it is gone."""


class Unreachable(httpcore.ConnectError):
    """A server is not connected to; carries half a sentence."""


def trusted_roots() -> ssl.SSLContext:
    """Return what verifies servers' certificates: by the system's authorities, or by Mozilla's where it has none."""
    context = ssl.create_default_context()
    found = ssl.get_default_verify_paths()
    if found.cafile is None and found.capath is None:
        context.load_verify_locations(certifi.where())
    return context


@asynccontextmanager
async def exchange(
    call: ServerCall, tls: ssl.SSLContext, lookups: trio.CapacityLimiter, extra: Iterable[tuple[str, str]] = ()
) -> AsyncIterator[httpx.Response]:
    """Send a call with its headers, and `extra` ones; yield the answer, of which the head is there. Raises
    httpx.TransportError.
    """
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (*call.headers, *extra)]
    url = httpx.URL(
        scheme="https" if call.secure else "http",
        host=call.host,
        port=call.port,
        raw_path=call.target.encode(),
    )
    request = httpx.Request(call.method, url, headers=headers, stream=httpx.ByteStream(bytes(call.body)))
    request.extensions = {"timeout": {"connect": CONNECT_SECONDS}}
    async with _Transport(tls, _Backend(call.private, lookups)) as transport:
        response = await transport.handle_async_request(request)
        try:
            yield response
        finally:
            with trio.CancelScope(shield=True):
                await response.aclose()


def words(error: BaseException) -> str | None:
    """Return why an exchange has failed, as half a sentence; None: that is no fault of the server or the network."""
    if not isinstance(error, (httpx.TransportError, httpcore.NetworkError, httpcore.ProtocolError, OSError)):
        return None
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the server's certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"the server speaks no TLS that is accepted: {cause.reason or cause}"
        if isinstance(cause, Unreachable):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException):
        return "the server does not answer"
    return str(error) or "the connection has broken"


class _Transport(httpx.AsyncHTTPTransport):
    """A transport for one exchange."""

    def __init__(self, tls: ssl.SSLContext, backend: httpcore.AsyncNetworkBackend) -> None:
        # The constructor of httpx makes a pool that dials by itself.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=1,
            max_keepalive_connections=0,
            http1=True,
            http2=False,
            network_backend=backend,
        )


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects to servers by name, at addresses that may be reached."""

    def __init__(self, private: bool, lookups: trio.CapacityLimiter) -> None:
        self._private = private
        self._lookups = lookups
        self._inner = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the name in httpcore
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Look up a name, and connect to the first of its addresses that may be reached and answers."""
        problem: httpcore.ConnectError | httpcore.ConnectTimeout = Unreachable(f"{host} has no address")
        for address in await self._addresses(host, port):
            why = why_unreachable(address, private=self._private, is_ours=_is_ours(address))
            if why is not None:
                problem = Unreachable(why)
                continue
            try:
                return _Bounded(await self._inner.connect_tcp(address, port, timeout=timeout))
            except httpcore.ConnectTimeout:
                problem = Unreachable(f"{host} does not answer")
            except httpcore.ConnectError as error:
                problem = Unreachable(f"{host} cannot be reached: {_reason(error)}")
        raise problem

    async def _addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a name, each once, in the system's order."""

        def look_up() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(address[0]) for _, _, _, _, address in found))

        try:
            return (await trio.to_thread.run_sync(look_up, abandon_on_cancel=True, limiter=self._lookups))[
                :MAX_ADDRESSES
            ]
        except (OSError, UnicodeError):
            raise Unreachable(f"the name {host} is not known") from None

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await trio.sleep(seconds)


class _Bounded(httpcore.AsyncNetworkStream):
    """A connection of which only so much is read."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._read = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Return what has come; raises ReadError beyond the bound."""
        data = await self._inner.read(max_bytes, timeout)
        self._read += len(data)
        if self._read > MAX_WIRE_BYTES:
            raise httpcore.ReadError("the answer is too long")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send all of it."""
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection, at once."""
        with trio.CancelScope() as scope:
            scope.cancel()  # no farewell of TLS: nobody waits for it
            await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Begin TLS."""
        return _Bounded(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """Return what the connection knows of itself."""
        return self._inner.get_extra_info(info)


def _is_ours(address: str) -> bool:
    """Whether an address is one of this machine: the system would send from there. Nothing is sent."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return bool(probe.getsockname()[0] == address)
    except OSError:
        return False


def _reason(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    return "there is no connection"
