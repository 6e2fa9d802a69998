"""Where browsers are listened for: a socket and what TLS needs, or a sentence for who chose no place that works."""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import suppress
from typing import NamedTuple

from nectar_node.base.errors import CannotListen
from nectar_node.contract.config import LOOPBACK, HttpPlace

_BACKLOG = 128


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
