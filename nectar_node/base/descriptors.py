"""The file descriptors of a node's process: how many there may be, how they are shared out, and a reserve.

Everything needs them: connections, the commands of users, the disk's threads, guests' files. When none are left, the
node itself must still find some, to keep what it was told to keep. So connections are refused while there are still
some, and the reserve is released for a moment when an operation on the disk finds none.
"""

from __future__ import annotations

import errno
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, TypeVar

from kernel.contract.limits import MAX_GUEST_FILES
from nectar_node.base.errors import CannotStart

RESERVED = 12
"""Descriptors in reserve: an operation on the disk has at most six open, and others may take some while they are free.
"""
NODE_KEEPS = 16
"""Descriptors for the node's whole life: its listeners, its event loop's, its log and the next one, its trace."""
DISK_KEEPS = 44
"""Descriptors for the disk's lanes, four for each thread (`nectar_node.driver.disk_threads`), two for each database
that is kept open (`nectar_node.storage.package_databases`), and for code that is being loaded.
"""
LEAST_SHARED = 32
"""Descriptors that must be left for others. With less, a node is of no use to anybody."""
MAX_CLIENTS = 64
"""Commands of users that may be connected to a control socket at the same time."""

MAX_CALLS = 128
"""Connections of processes to HTTP servers elsewhere."""
MAX_BROWSERS = 256
"""Connections of browsers at the same time; one has six to a host, and more for HTTP/1.1 in other windows."""
MAX_SOCKETS = 16_384
"""WebSockets of browsers at a time."""
ENOUGH_PEERS = 5_464
"""Connections with other nodes beyond which WebSockets come first: three quarters, those that are accepted, are a
session each of the most that a node has (`net.base.limits.MAX_SESSIONS`), and the rest is dialed.
"""
ENOUGH_GUESTS = 2_048
"""Descriptors of guests beyond which WebSockets come first: thirty-two guests with all that one may have open."""

T = TypeVar("T")


class Budget(NamedTuple):
    """How the descriptors are shared out."""

    limit: int
    """Descriptors that the process may have."""
    connections: int
    """Connections with other nodes, in both directions."""
    accepted: int
    """Connections beyond which none is accepted; the rest is for those that this node dials."""
    clients: int
    """Connections of the control socket."""
    guests: int
    """Drives of guests that use WASI, and what these open there."""
    calls: int
    """Connections of processes to HTTP servers elsewhere."""
    browsers: int = 0
    """Connections of browsers."""
    sockets: int = 0
    """WebSockets of browsers, beside these."""

    def with_browsers(self) -> Budget:
        """Return the budget of a node that serves HTTP: browsers have half of the connections, and beyond that what
        neither other nodes nor guests are likely to need.
        """
        guests = min(self.guests, max(ENOUGH_GUESTS, self.limit // 10))
        shared = self.connections + self.guests - guests
        browsers = min(MAX_BROWSERS, shared // 4)
        sockets = min(MAX_SOCKETS, max(shared // 2, shared - browsers - ENOUGH_PEERS))
        connections = shared - browsers - sockets
        accepted = connections * 3 // 4
        return self._replace(
            connections=connections, accepted=accepted, guests=guests, browsers=browsers, sockets=sockets
        )

    @property
    def files_of_a_guest(self) -> int:
        """Return how many one of them may have open: no guest uses up the part of all."""
        return max(1, min(MAX_GUEST_FILES, self.guests // 4))


def share(limit: int, used: int) -> Budget:
    """Share out the descriptors of a process that has `used` ones already; raises CannotStart if there are too few."""
    rest = limit - used - NODE_KEEPS - DISK_KEEPS - RESERVED
    if rest < LEAST_SHARED:
        raise CannotStart(
            f"A node needs {limit - rest + LEAST_SHARED} file descriptors, and may have {limit} here: "
            f"raise the limit before it starts, with `ulimit -n 1024` or in the settings of its service."
        )
    clients, guests = min(MAX_CLIENTS, rest // 8), rest // 4
    calls = min(MAX_CALLS, rest // 20)
    connections = rest - clients - guests - calls
    return Budget(limit, connections, connections * 3 // 4, clients, guests, calls)


def allow_all() -> Budget:
    """Use as many as the system lets this user, hold some in reserve, and share out the rest. Raises CannotStart."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    budget = share(limit(), used())
    RESERVE.hold(RESERVED)
    return budget


def limit() -> int:
    """Return how many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 20


def used() -> int:
    """Return how many descriptors it has, without those in reserve."""
    try:
        found = insist(lambda: len(os.listdir("/proc/self/fd")))
        return found - 1 - RESERVE.held  # one was there for listing them
    except OSError:
        return 0  # no /proc, or no descriptor to look into it


class DescriptorReserve:
    """Descriptors of this process that lead nowhere."""

    def __init__(self) -> None:
        self._most = 0
        self._spare: list[int] = []
        self._lock = threading.RLock()

    @property
    def held(self) -> int:
        """Return how many are held just now."""
        return len(self._spare)

    def hold(self, count: int) -> None:
        """Hold `count` descriptors from now on, as far as there are any."""
        with self._lock:
            self._most = count
            self._fill()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Release them inside this context, for one thread at a time."""
        with self._lock:
            while self._spare:
                os.close(self._spare.pop())
            try:
                yield
            finally:
                self._fill()

    def refill(self) -> None:
        """Fill the reserve up again, as far as there are free descriptors."""
        with self._lock:
            self._fill()

    def _fill(self) -> None:
        with suppress(OSError):
            while len(self._spare) < self._most:
                self._spare.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))


RESERVE = DescriptorReserve()
"""The reserve of this process; empty unless it is a node's."""


def insist(do: Callable[[], T]) -> T:
    """Do something on the disk; if there is no descriptor for it, do it again with those in reserve."""
    try:
        return do()
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE) or not RESERVE.held:
            raise
    with RESERVE.lent():
        return do()
