"""How much of each process is on its way to other nodes, and who waits until that is less (G24).

A message counts from when it is given to the net until the peer's kernel has taken it, or it has failed: for as long
as it takes up memory here. A process of which too much is on its way is set aside with the rest of its effects, like
one whose local target has no room (`room`), when it wants to send to another node; it goes on when some of that has
gone, or its request's timeout passes. Accounts are by name and not by life, so that restarting gains nothing, and
there is one for the package as well, since a process can spawn others. What system processes send counts for each node
that it goes to, so that one that asks much and takes no answer does not silence them to all others; beyond the bound it
fails, since they cannot wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from weakref import WeakValueDictionary

from kernel import limits
from kernel.address import PackageId, ProcessId
from kernel.events import Parcel
from kernel.process import Process


class Account:
    """What is on its way from one process, from all of a package, or from system processes to one node.

    It lives as long as a process or a message does."""

    __slots__ = ("__weakref__", "bytes", "messages", "most_bytes", "most_messages", "package", "waiters")

    def __init__(self, most_messages: int, most_bytes: int, package: Account | None = None) -> None:
        self.most_messages = most_messages
        self.most_bytes = most_bytes
        self.package = package
        """That of its package, if this is a process's."""
        self.messages = 0
        self.bytes = 0
        self.waiters: deque[Process] = deque()
        """Those that wait for this one, in order."""

    def has_room(self) -> bool:
        """Whether one more message, of any size, may be sent."""
        return self.messages < self.most_messages and self.bytes < self.most_bytes


class Abroad:
    """All accounts."""

    def __init__(self) -> None:
        self._processes: WeakValueDictionary[ProcessId, Account] = WeakValueDictionary()
        self._packages: WeakValueDictionary[PackageId, Account] = WeakValueDictionary()
        self._system: dict[str, Account] = {}
        """By the node to which system processes send."""

    @property
    def messages(self) -> int:
        """On their way from all processes, system processes included."""
        accounts = (*self._processes.values(), *self._system.values())
        return sum(account.messages for account in accounts)

    def full(self, sender: Process) -> Account | None:
        """The account for which a sender has to wait before it sends; None: it need not."""
        account: Account | None = sender.abroad or self._open(sender)
        while account is not None:
            if account.messages >= account.most_messages or account.bytes >= account.most_bytes:
                return account
            account = account.package
        return None

    def system_may_send(self, node: str) -> bool:
        """Whether a system process may send to that node."""
        account = self._system.get(node)
        return account is None or account.has_room()

    def sent(self, parcel: Parcel) -> None:
        """A message is on its way."""
        sender, size = parcel.sender, parcel.size
        account: Account | None = self._of_system(parcel) if sender is None else sender.abroad or self._open(sender)
        while account is not None:
            account.messages += 1
            account.bytes += size
            account = account.package

    def gone(self, parcel: Parcel) -> bool:
        """It is so no longer; whether anybody waits for that: see `freed`."""
        sender, size = parcel.sender, parcel.size
        account: Account | None = self._of_system(parcel) if sender is None else sender.abroad or self._open(sender)
        awaited = False
        while account is not None:
            account.messages -= 1
            account.bytes -= size
            awaited = awaited or bool(account.waiters)
            account = account.package
        if sender is None and not self._of_system(parcel).messages:
            del self._system[parcel.envelope.target.node]
        return awaited

    def freed(self, sender: Process) -> Iterator[Process]:
        """The processes that may try again now that a message of `sender` is gone, each after the one before it has
        tried."""
        account = sender.abroad or self._open(sender)
        for each in (account, account.package):
            while each is not None and each.waiters and each.has_room():
                yield each.waiters.popleft()

    def give_up(self, sender: Process) -> None:
        """It waits no longer."""
        account = sender.abroad or self._open(sender)
        for each in (account, account.package):
            if each is not None and sender in each.waiters:
                each.waiters.remove(sender)

    def _of_system(self, parcel: Parcel) -> Account:
        node = parcel.envelope.target.node
        if node not in self._system:
            self._system[node] = Account(limits.MAX_ABROAD_MESSAGES, limits.MAX_ABROAD_BYTES)
        return self._system[node]

    def _open(self, sender: Process) -> Account:
        process = sender.address.process
        account = self._processes.get(process)
        if account is None:
            package = self._packages.get(process.package_id)
            if package is None:
                package = Account(limits.MAX_PACKAGE_ABROAD_MESSAGES, limits.MAX_PACKAGE_ABROAD_BYTES)
                self._packages[process.package_id] = package
            account = Account(limits.MAX_ABROAD_MESSAGES, limits.MAX_ABROAD_BYTES, package)
            self._processes[process] = account
        sender.abroad = account
        return account
