"""Bytes that a node has in memory for the pages of its packages: bounded for each, for all, and by the node's budget.

Pure.
"""

from __future__ import annotations

from kernel.contract.address import PackageId
from kernel.contract.message import Buffer
from nectar_node.contract.memory_budget import HolderAccount, MemoryBudget


class _Share:
    __slots__ = ("account", "used")

    def __init__(self, account: HolderAccount) -> None:
        self.account = account
        self.used = 0


class PackageBytes:
    """Bytes of one kind, such as those that wait for browsers."""

    def __init__(self, memory: MemoryBudget, of_one: int, of_all: int) -> None:
        """`of_one`, `of_all`: how many one package, and all together, may have of this kind. `memory` bounds those of
        all kinds, with all else that waits in the node.
        """
        self._memory = memory
        self._of_one = of_one
        self._of_all = of_all
        self._shares: dict[PackageId, _Share] = {}
        self.used = 0
        """Bytes of all packages."""

    def may_add(self, package: PackageId, size: int) -> bool:
        """Whether a package may have so many more."""
        share = self._shares.get(package)
        used, account = (0, self._memory.of_web(package)) if share is None else (share.used, share.account)
        return used + size <= self._of_one and self.used + size <= self._of_all and account.may_add(size)

    def add(self, package: PackageId, size: int) -> None:
        """Count so many more, whether they may be or not."""
        if size:
            share = self._shares.get(package)
            if share is None:
                share = self._shares[package] = _Share(self._memory.of_web(package))
            share.used += size
            share.account.add(size)
            self.used += size

    def take(self, package: PackageId, size: int) -> bool:
        """Count so many more; False: they may not be, and are not counted."""
        may = self.may_add(package, size)
        if may:
            self.add(package, size)
        return may

    def remove(self, package: PackageId, size: int) -> None:
        """Count so many less."""
        if size:
            share = self._shares[package]
            share.used -= size
            share.account.remove(size)
            self.used -= size
            if not share.used:
                del self._shares[package]


class HeldBodies:
    """Bodies that are on their way to browsers: each counts once, however many browsers take it or a part of it."""

    def __init__(self, memory: MemoryBudget, of_one: int, of_all: int) -> None:
        """The arguments are those of `PackageBytes`."""
        self._bytes = PackageBytes(memory, of_one, of_all)
        self._held: dict[object, int] = {}
        """The keys of bodies, by who holds them."""
        self._bodies: dict[int, _HeldBody] = {}
        """By the ids of the objects that hold the bytes, which are there as long as they are here."""

    def __len__(self) -> int:
        return len(self._held)

    @property
    def used(self) -> int:
        """Bytes of all bodies."""
        return self._bytes.used

    def hold(self, holder: object, package: PackageId, body: Buffer) -> bool:
        """Count a body as long as its holder has it, who has no other; False: there are too many bytes already."""
        whole = body.obj if isinstance(body, memoryview) else body
        held = self._bodies.get(id(whole))
        if held is None:
            size = len(whole)  # type: ignore[arg-type]
            if not self._bytes.take(package, size):
                return False
            held = self._bodies[id(whole)] = _HeldBody(package, whole, size)
        held.holders += 1
        self._held[holder] = id(whole)
        return True

    def release(self, holder: object) -> None:
        """Count no longer what a holder has, if it has anything."""
        key = self._held.pop(holder, None)
        if key is not None:
            held = self._bodies[key]
            held.holders -= 1
            if not held.holders:
                del self._bodies[key]
                self._bytes.remove(held.package, held.size)


class _HeldBody:
    __slots__ = ("holders", "package", "size", "whole")

    def __init__(self, package: PackageId, whole: object, size: int) -> None:
        self.package = package
        self.whole = whole
        self.size = size
        self.holders = 0
