"""Which of the capabilities that have left this node are still valid (G21).

A capability leaves under the current number of revocations. Killing a process makes worthless all of its that left
under that number or a lower one, so nothing has to be remembered of issuers that were never killed.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from kernel.contract import limits
from kernel.contract.address import PackageId, ProcessId


class Revoked(NamedTuple):
    """All revocations, as the store keeps them."""

    number: int
    """The number under which capabilities leave now."""
    everything: int
    """Every capability that left under this number or a lower one is worthless, whatever its issuer."""
    packages: tuple[tuple[PackageId, int], ...]
    """The same bound for all processes of a package."""
    issuers: tuple[tuple[ProcessId, int], ...]
    """The same bound for one process."""


class Revocations:
    """The revocations of one node, bounded: what is too much for a package is merged into one revocation of all that
    the package issued so far, so that killing many processes costs no other package anything."""

    def __init__(self) -> None:
        self.number = 1
        """The number under which capabilities leave now."""
        self._left = False
        """Whether any may have left under that number."""
        self._everything = 0
        self._packages: OrderedDict[PackageId, int] = OrderedDict()
        self._issuers: OrderedDict[PackageId, OrderedDict[ProcessId, int]] = OrderedDict()

    def issue(self) -> int:
        """Return the number under which a capability leaves now."""
        self._left = True
        return self.number

    def is_valid(self, issuer: ProcessId, number: int) -> bool:
        """Return whether a capability that left under `number` is still valid."""
        return number > self._threshold(issuer)

    def _threshold(self, issuer: ProcessId) -> int:
        package = issuer.package_id
        issuers = self._issuers.get(package)
        own = issuers.get(issuer, 0) if issuers is not None else 0
        return max(self._everything, self._packages.get(package, 0), own)

    def revoke(self, issuer: ProcessId) -> bool:
        """Make worthless all that `issuer` has issued so far; return False if it is so already."""
        last = self.number if self._left else self.number - 1
        if self._threshold(issuer) >= last:
            return False
        if self._left:
            self.number += 1
            self._left = False
        issuers = self._issuers.setdefault(issuer.package_id, OrderedDict())
        issuers[issuer] = last
        issuers.move_to_end(issuer)
        self._issuers.move_to_end(issuer.package_id)
        self._merge(issuer.package_id, issuers)
        return True

    @property
    def everything(self) -> int:
        """The number up to which all that has left is void, whatever its issuer."""
        return self._everything

    def revoke_everything(self, least: int) -> None:
        """Make worthless all that has left so far, also what this node does not know of, if it left under `least` or a
        lower number."""
        self._everything = max(self._everything, self.number, least)
        self.number, self._left = self._everything + 1, False
        self._packages.clear()
        self._issuers.clear()

    def _merge(self, package: PackageId, issuers: OrderedDict[ProcessId, int]) -> None:
        if len(issuers) > limits.MAX_REVOKED:
            self._packages[package] = max(self._packages.get(package, 0), issuers.popitem(last=False)[1])
        if len(self._issuers) > limits.MAX_REVOKED_PACKAGES:
            oldest, theirs = self._issuers.popitem(last=False)
            self._everything = max(self._everything, self._packages.pop(oldest, 0), *theirs.values())

    def snapshot(self) -> Revoked:
        """Return what survives a reboot."""
        issuers = tuple(item for each in self._issuers.values() for item in each.items())
        return Revoked(self.number, self._everything, tuple(self._packages.items()), issuers)

    def restore(self, revoked: Revoked) -> None:
        """Continue where a snapshot was taken."""
        self.number, self._everything = revoked.number, revoked.everything
        self._left = True
        self._packages.update(revoked.packages)
        for issuer, number in revoked.issuers:
            self._issuers.setdefault(issuer.package_id, OrderedDict())[issuer] = number
