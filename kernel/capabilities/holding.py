"""What one process holds, and how much of that others may fill (G17, G20)."""

from __future__ import annotations

from kernel.contract import limits
from kernel.contract.address import PackageId
from kernel.contract.capability import Capability


def cost(capability: Capability) -> int:
    """Return the bytes that a capability with canonical params counts in every account."""
    return len(capability.params) + limits.CAPABILITY_OVERHEAD_BYTES


class HoldingAccount:
    """A count of capabilities of some kind, and of their bytes."""

    __slots__ = ("bytes", "count")

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0

    def add(self, capability: Capability) -> None:
        """Count one more."""
        self.count += 1
        self.bytes += cost(capability)

    def remove(self, capability: Capability) -> None:
        """Count one less."""
        self.count -= 1
        self.bytes -= cost(capability)

    def has_room(self, capability: Capability, count: int, size: int) -> bool:
        """Return whether one more fits into `count` capabilities and `size` bytes."""
        return self.count < count and self.bytes + cost(capability) <= size


class Holding:
    """The capabilities of one process; what it was given unasked counts against the package of its issuer."""

    __slots__ = ("_given", "_listed", "_saved", "held")

    def __init__(self) -> None:
        self.held: dict[Capability, bool] = {}
        """The capabilities, each with whether it was given; changed here alone."""
        self._saved = HoldingAccount()
        self._given: dict[PackageId, HoldingAccount] = {}
        self._listed: tuple[tuple[Capability, ...], tuple[Capability, ...]] | None = None

    def __contains__(self, capability: Capability) -> bool:
        return capability in self.held

    def __bool__(self) -> bool:
        return bool(self.held)

    def is_given(self, capability: Capability) -> bool:
        """Return whether the capability is held, and only because another process gave it."""
        return self.held.get(capability, False)

    def has_room(self, capability: Capability, *, given: bool) -> bool:
        """Return whether one more fits."""
        if not given:
            return self._saved.has_room(capability, limits.MAX_HELD_CAPABILITIES, limits.MAX_HELD_BYTES)
        account = self._given.get(capability.issuer.process.package_id) or HoldingAccount()
        return account.has_room(capability, limits.MAX_GIVEN_CAPABILITIES, limits.MAX_GIVEN_BYTES)

    def add(self, capability: Capability, *, given: bool) -> None:
        """Hold a capability that is not held."""
        self._listed = None
        self.held[capability] = given
        self._account(capability, given).add(capability)

    def remove(self, capability: Capability) -> bool:
        """Remove a capability that is held; return whether it was given."""
        self._listed = None
        given = self.held.pop(capability)
        account = self._account(capability, given)
        account.remove(capability)
        if given and not account.count:
            del self._given[capability.issuer.process.package_id]
        return given

    def _account(self, capability: Capability, given: bool) -> HoldingAccount:
        return self._given.setdefault(capability.issuer.process.package_id, HoldingAccount()) if given else self._saved

    def all(self) -> tuple[Capability, ...]:
        """Return all that are held now."""
        return tuple(self.held)

    def listed(self) -> tuple[tuple[Capability, ...], tuple[Capability, ...]]:
        """Return those that were not given and those that were, each in a fixed order; the same object until that
        changes."""
        if self._listed is None:
            ordered = sorted(self.held.items())
            saved, given = ([each for each, gift in ordered if gift is which] for which in (False, True))
            self._listed = tuple(saved), tuple(given)
        return self._listed
