"""Whose calls to servers are under way, and whose turn is next.

A node has so many connections to servers. A package has at most a part of them, and what it asks for beyond that waits;
packages take turns. WebSockets, which may stay for ever, never have more than half of what their package, or all of
them, may have. Bytes of bodies, which are in memory until a call is over, are in the node's budget too. Pure.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from kernel.contract.address import PackageId
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.contract.package_bytes import PackageBytes

SHARE = 4
"""A package has at most one place of so many."""
MAX_WAITING_OF_ONE = 256
"""Calls of one package that wait for a place."""
MAX_WAITING = 4096
"""Calls of all packages that wait for a place."""
MAX_BYTES_OF_ONE = 64 << 20
"""Bytes of bodies of one package, in both directions: two of the largest."""
MAX_BYTES = 256 << 20
"""Bytes of those of all packages."""


class CountedCall(Protocol):
    """A call, as it is counted here."""

    @property
    def package(self) -> PackageId:
        """Whose call it is."""

    @property
    def is_socket(self) -> bool:
        """Whether it is a WebSocket."""


C = TypeVar("C", bound=CountedCall)


class FetchQueue(Generic[C]):
    """The places of one node, and the calls that wait for one."""

    def __init__(self, places: int, memory: MemoryBudget) -> None:
        self._places = places
        self._of_one = max(1, places // SHARE)
        self._under_way: Counter[PackageId] = Counter()
        self._sockets: Counter[PackageId] = Counter()
        self._all_under_way = 0
        self._all_sockets = 0
        self._bytes = PackageBytes(memory, MAX_BYTES_OF_ONE, MAX_BYTES)
        self._waiting: OrderedDict[PackageId, deque[C]] = OrderedDict()
        """The packages in the order of their turns."""
        self._all_waiting = 0

    def put(self, call: C) -> bool:
        """Let a call wait for its place; False: too many wait already, or it is one WebSocket too many."""
        package = call.package
        if call.is_socket and (
            self._sockets[package] >= max(1, self._of_one // 2) or self._all_sockets >= max(1, self._places // 2)
        ):
            return False
        if self._all_waiting >= MAX_WAITING or len(self._waiting.get(package, ())) >= MAX_WAITING_OF_ONE:
            return False
        self._waiting.setdefault(package, deque()).append(call)
        self._all_waiting += 1
        if call.is_socket:
            self._sockets[package] += 1
            self._all_sockets += 1
        return True

    def begin(self) -> C | None:
        """Take out the next call that may begin; None: none may."""
        if self._all_under_way >= self._places:
            return None
        for package in self._waiting:
            if self._under_way[package] < self._of_one:
                break
        else:
            return None
        calls = self._waiting[package]
        call = calls.popleft()
        self._all_waiting -= 1
        if calls:
            self._waiting.move_to_end(package)
        else:
            del self._waiting[package]
        self._under_way[package] += 1
        self._all_under_way += 1
        return call

    def over(self, call: C, *, began: bool) -> None:
        """Forget a call that is over, or that has waited and is not wanted any more."""
        package = call.package
        if began:
            self._take(self._under_way, package, 1)
            self._all_under_way -= 1
        else:
            self._waiting[package].remove(call)
            self._all_waiting -= 1
            if not self._waiting[package]:
                del self._waiting[package]
        if call.is_socket:
            self._take(self._sockets, package, 1)
            self._all_sockets -= 1

    def add_bytes(self, package: PackageId, size: int) -> bool:
        """Count so many bytes more for a package; False: it has, or all have, too many."""
        return self._bytes.take(package, size)

    def remove_bytes(self, package: PackageId, size: int) -> None:
        """Count so many bytes less."""
        self._bytes.remove(package, size)

    def figures(self) -> Iterator[int]:
        """Yield how many are under way, how many wait, and the bytes of all: 0, 0, 0 when nothing is held."""
        yield from (self._all_under_way, self._all_waiting, self._bytes.used)

    @staticmethod
    def _take(counter: Counter[PackageId], package: PackageId, count: int) -> None:
        counter[package] -= count
        if not counter[package]:
            del counter[package]
