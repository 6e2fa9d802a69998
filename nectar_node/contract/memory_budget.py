"""One budget for everything that waits in a node: messages from and for other nodes, guests' inboxes, disk requests.

Theory of operation. Kernel and net ask an account before they let something in, and say when it is gone. While less
than a quarter of the budget is used, every holder has what its own bounds allow. Beyond that, a holder may have what
leaves something for all: with `C` the budget, `u` what it has and `f` what is free, at most `(f + u) ** 2 / 8C`, which
is the rule by which a session's credit is shared (`net.session.credit`). Holders that give nothing back keep what they
have, but what is free gets less with their number and never nothing, and so does the next one's share. Three more
rules:

- Each holder has a guaranteed minimum, beyond the budget if need be, so that none stands still.
- One that has nothing may have one message of any size that leaves an eighth free: the largest one passes.
- All peers together have three quarters of the budget, the processes of one package half of it with what browsers and
  servers send and get, and share that in the same way: neither many names nor many children are many shares. The bodies
  that browsers are still sending have a quarter.

Pure. Tests: tests/nectar_node/contract/test_memory_budget.py.
"""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakValueDictionary

from kernel.contract.address import PackageId, ProcessId

DEFAULT_BYTES = 2 << 30
"""The largest budget in bytes that a node has unless told otherwise: a quarter of a machine with 8 GiB."""
LEAST_BYTES = 256 << 20
"""The smallest budget in bytes that a node may be told: three of the largest messages."""
GUARANTEED_BYTES = 16 << 10
"""Bytes that each holder may have in any case: a few small messages. All possible peers and processes together have 240
MiB of it.
"""
SHARE = 8
"""The divisor of the sharing rule in the module's docstring."""
LARGEST = 8
"""One message leaves at least one part in so many free."""


class HolderStatus(NamedTuple):
    """What one holder has, for status pages."""

    kind: str
    """"peer", "process", "web" or "browsers"."""
    name: str
    bytes: int


class _Group:
    """Holders that count as one."""

    __slots__ = ("__weakref__", "most", "used")

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0


class HolderAccount:
    """The account of one holder; implements `kernel.contract.memory.Account` and `net.base.memory.Account`."""

    __slots__ = ("__weakref__", "_budget", "_group", "key", "used")

    def __init__(self, budget: MemoryBudget, key: tuple[str, str], group: _Group) -> None:
        self._budget = budget
        self._group = group
        self.key = key
        """The holder's kind and name, as in `HolderStatus`."""
        self.used = 0
        """Bytes that it has."""

    @property
    def exhausted(self) -> bool:
        """Whether all peers, or all processes of its package, have as much as they may have together."""
        return self._group.used >= self._group.most

    def has_room(self) -> bool:
        """Whether it may have one more message, of any size."""
        budget = self._budget
        return budget.used < budget.plenty or self._has_share(1)

    def may_add(self, size: int) -> bool:
        """Whether it may have `size` bytes more."""
        budget = self._budget
        return budget.used + size <= budget.plenty or self._has_share(size)

    def _has_share(self, size: int) -> bool:
        budget, group, wanted = self._budget, self._group, self.used + size
        if wanted <= GUARANTEED_BYTES:
            return True
        free = min(budget.capacity - budget.used, group.most - group.used)
        if size > free:
            return False
        if not self.used and size <= free - group.most // LARGEST:
            return True
        whole = free + self.used
        return wanted * SHARE * group.most <= whole * whole

    def add(self, size: int) -> None:
        """Add `size` bytes."""
        budget = self._budget
        if not self.used:
            budget.holders[self.key] = self
        self.used += size
        self._group.used += size
        budget.used += size

    def remove(self, size: int) -> None:
        """Remove `size` bytes."""
        budget = self._budget
        self.used -= size
        self._group.used -= size
        budget.used -= size
        if not self.used:
            budget.holders.pop(self.key, None)


class MemoryBudget:
    """The budget and everybody's account; implements `kernel.contract.memory.Memory` and `net.base.memory.Memory`."""

    def __init__(self, capacity: int) -> None:
        """`capacity` is in bytes."""
        self.capacity = capacity
        self.plenty = capacity // 4
        """Bytes in use below which no holder has to ask."""
        self.used = 0
        """Bytes in use by all holders."""
        self.holders: dict[tuple[str, str], HolderAccount] = {}
        """The accounts of holders that have something, by kind and name."""
        self._accounts: WeakValueDictionary[tuple[str, str], HolderAccount] = WeakValueDictionary()
        self._packages: WeakValueDictionary[PackageId, _Group] = WeakValueDictionary()
        self._peers = _Group(capacity // 4 * 3)
        self._browsers = _Group(capacity // 4)

    @property
    def scarce(self) -> bool:
        """Whether more than half is used, so that a holder that holds up what it has begun deprives others."""
        return 2 * self.used > self.capacity

    def of_process(self, process: ProcessId) -> HolderAccount:
        """Return the account of what waits for a process, or for the disk in its name; a restart keeps it."""
        key = ("process", str(process))
        return self._accounts.get(key) or self._open(key, self._of_package(process.package_id))

    def of_node(self, name: str) -> HolderAccount:
        """Return the account of what another node has sent and nobody has taken, and of what is on its way to that
        node.
        """
        key = ("peer", name)
        return self._accounts.get(key) or self._open(key, self._peers)

    def of_web(self, package: PackageId) -> HolderAccount:
        """Return the account of what a package's processes send to browsers and servers, and get from servers, as long
        as it is no message.
        """
        key = ("web", str(package))
        return self._accounts.get(key) or self._open(key, self._of_package(package))

    def of_browsers(self) -> HolderAccount:
        """Return the account of the bodies that browsers are sending, of which nobody knows yet whom they are for."""
        key = ("browsers", "")
        return self._accounts.get(key) or self._open(key, self._browsers)

    def holdings(self) -> list[HolderStatus]:
        """Return who has how much, the largest first."""
        found = [HolderStatus(*account.key, account.used) for account in self.holders.values()]
        return sorted(found, key=lambda holding: (-holding.bytes, holding.kind, holding.name))

    def of(self, kind: str, name: str) -> int:
        """Return the bytes that one holder has."""
        account = self.holders.get((kind, name))
        return 0 if account is None else account.used

    def _open(self, key: tuple[str, str], group: _Group) -> HolderAccount:
        account = self._accounts[key] = HolderAccount(self, key, group)
        return account

    def _of_package(self, package: PackageId) -> _Group:
        group = self._packages.get(package)
        if group is None:
            group = self._packages[package] = _Group(self.capacity // 2)
        return group

    def __repr__(self) -> str:
        return f"MemoryBudget({self.used} of {self.capacity} bytes, {len(self.holders)} holders)"
