"""Which process holds which capability (G17 to G21).

Only the kernel's own code calls `grant`: nothing that a process can send or name makes a capability out of nothing.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from kernel.capabilities.holding import Holding, HoldingAccount, cost
from kernel.capabilities.revocations import Revocations, Revoked
from kernel.contract import limits
from kernel.contract.address import OUR_NODE, Address, PackageId, ProcessId
from kernel.contract.capability import MESSAGING, NETWORK, Capability, canonical, canonical_untrusted

KERNEL_PROCESS = ProcessId("kernel", "distro", "sys")

Listed = tuple[tuple[Capability, ...], tuple[Capability, ...]]
"""What a process holds, as the store keeps it: what was not given unasked, and what was."""
Held = dict[ProcessId, Listed]
"""What each process holds."""


class Grants:
    """The capabilities that the processes of one node hold.

    What a process saves, or its user grants it, counts against the process and its package. What others give it, at a
    spawn or through the kernel process, it has not asked for: that counts against the package of the capability's
    issuer, for each holder and over all of them. So no process can fill a place that another needs, however many
    children it spawns: those are of its own package. A gift of a child whose name the kernel made up ends with the
    child, for no process will have that name again.

    All that is held, received or compared is in the one spelling of `canonical`; what comes in here is brought into it,
    and what cannot be is not a capability.
    """

    def __init__(self, our: str) -> None:
        self._changed: set[ProcessId] = set()
        """Holders that hold something else than when `take_changes` was called last."""
        self._revoked = False
        """Whether anything was revoked since then."""
        self._our = our
        self._held: dict[ProcessId, Holding] = {}
        self._received: dict[ProcessId, OrderedDict[Capability, None]] = {}
        """Capabilities that came with the latest messages, and may be saved."""
        self._received_bytes: dict[ProcessId, int] = {}
        self._with: dict[Address, dict[ProcessId, int]] = {}
        """For each issuer, how many of its capabilities each process holds or has received."""
        self._saved: dict[PackageId, HoldingAccount] = {}
        """By package: what its processes hold, except what `grant_bounded` gave them."""
        self._given: dict[PackageId, HoldingAccount] = {}
        """By the issuer's package: what `grant_bounded` gave to all processes together."""
        self._revocations = Revocations()
        self._network = Capability(Address(our, KERNEL_PROCESS), NETWORK)

    @property
    def network(self) -> Capability:
        """The capability to use the network (G19)."""
        return self._network

    # --- coming and going -------------------------------------------------------------------------------------------

    def grant(self, holder: ProcessId, capabilities: Iterable[Capability]) -> bool:
        """Let `holder` hold these. Return False if not all of them fit into what `limits` allow, or are capabilities;
        those are left out."""
        wanted = list(capabilities)
        named = list(self._named(wanted))
        kept = [capability for capability in named if self._hold(holder, capability, given=False)]
        return len(kept) == len(wanted)

    def save(self, holder: ProcessId, capabilities: Iterable[Capability]) -> bool:
        """Let `holder` hold these at its own request, all or none."""
        return self._all_or_none(holder, list(capabilities), given=False)

    def grant_bounded(self, holder: ProcessId, capabilities: Iterable[Capability]) -> bool:
        """Give these to `holder`, which has not asked for them, all or none. Return False if `limits` do not allow
        their issuers' packages to give that much more to `holder`, or to all processes together."""
        return self._all_or_none(holder, list(capabilities), given=True)

    def _all_or_none(self, holder: ProcessId, wanted: list[Capability], *, given: bool) -> bool:
        named = list(self._named(wanted))
        if len(named) < len(wanted):
            return False
        added: list[Capability] = []
        for capability in named:
            known = self.holds(holder, capability)
            if not self._hold(holder, capability, given=given):
                for each in added:
                    self._release(holder, each)
                return False
            if not known:
                added.append(capability)
        return True

    def _hold(self, holder: ProcessId, capability: Capability, *, given: bool) -> bool:
        """Let `holder` hold one more; return False if its account is full."""
        holding = self._held.get(holder)
        if holding is not None and capability in holding:
            if given or not holding.is_given(capability):
                return True
        elif holding is None:
            holding = Holding()
        whole, most = self._account(holder, capability, given)
        if not (holding.has_room(capability, given=given) and whole.bytes + cost(capability) <= most):
            return capability in holding  # held as a gift
        if capability in holding:
            self._release(holder, capability)
        self._add(holder, capability, given=given)
        return True

    def _account(self, holder: ProcessId, capability: Capability, given: bool) -> tuple[HoldingAccount, float]:
        if given:
            package = capability.issuer.process.package_id
            # What the system issues goes to every process, and is bounded for each holder.
            most = math.inf if package == KERNEL_PROCESS.package_id else limits.MAX_PACKAGE_GIVEN_BYTES
            return self._given.get(package) or HoldingAccount(), most
        return self._saved.get(holder.package_id) or HoldingAccount(), limits.MAX_PACKAGE_HELD_BYTES

    def _add(self, holder: ProcessId, capability: Capability, *, given: bool) -> None:
        self._changed.add(holder)
        self._held.setdefault(holder, Holding()).add(capability, given=given)
        accounts, package = self._accounts(holder, capability, given)
        accounts.setdefault(package, HoldingAccount()).add(capability)
        self._count(capability.issuer, holder, 1)

    def _release(self, holder: ProcessId, capability: Capability) -> None:
        """Take one capability from `holder`."""
        self._changed.add(holder)
        holding = self._held[holder]
        accounts, package = self._accounts(holder, capability, holding.remove(capability))
        accounts[package].remove(capability)
        if not accounts[package].count:
            del accounts[package]
        if not holding:
            del self._held[holder]
        self._count(capability.issuer, holder, -1)

    def _accounts(
        self, holder: ProcessId, capability: Capability, given: bool
    ) -> tuple[dict[PackageId, HoldingAccount], PackageId]:
        return (self._given, capability.issuer.process.package_id) if given else (self._saved, holder.package_id)

    def _count(self, issuer: Address, holder: ProcessId, change: int) -> None:
        holders = self._with.setdefault(issuer, {})
        holders[holder] = holders.get(holder, 0) + change
        if not holders[holder]:
            del holders[holder]
            if not holders:
                del self._with[issuer]

    def drop(self, holder: ProcessId, capabilities: Iterable[Capability]) -> None:
        """Take these from `holder`."""
        for capability in self._named(capabilities):
            if self.holds(holder, capability):
                self._release(holder, capability)

    def forget(self, holder: ProcessId) -> None:
        """Forget a process that is gone for good: what it held, and what it issued if its name was made up by the
        kernel."""
        if holder in self._held:
            for capability in self._held[holder].all():
                self._release(holder, capability)
        for capability in list(self._received.get(holder, ())):
            self._unreceive(holder, capability)
        if holder.process.isdecimal():
            self._withdraw(Address(self._our, holder))

    def revoke(self, issuer: Address) -> None:
        """Make all that a killed process issued worthless, here and on other nodes (G21)."""
        if self._revocations.revoke(issuer.process):
            self._revoked = True
        self._withdraw(issuer)

    def _withdraw(self, issuer: Address) -> None:
        """Take what `issuer` has issued from all holders."""
        for holder in list(self._with.get(issuer, ())):
            held = self._held.get(holder)
            for capability in held.all() if held is not None else ():
                if capability.issuer == issuer:
                    self._release(holder, capability)
            for capability in list(self._received.get(holder, ())):
                if capability.issuer == issuer:
                    self._unreceive(holder, capability)

    # --- who holds what ---------------------------------------------------------------------------------------------

    def of(self, holder: ProcessId) -> tuple[Capability, ...]:
        """Return what `holder` holds, in a fixed order."""
        holding = self._held.get(holder)
        if holding is None:
            return ()
        saved, given = holding.listed()
        return tuple(sorted(saved + given)) if given else saved

    def holds(self, holder: ProcessId, capability: Capability) -> bool:
        """Return whether `holder` holds this one; its params are canonical."""
        holding = self._held.get(holder)
        return holding is not None and capability in holding.held

    def is_held(self, capability: Capability) -> bool:
        """Return whether any process holds this one; its params are canonical."""
        return any(self.holds(holder, capability) for holder in self._with.get(capability.issuer, ()))

    def may_message(self, holder: ProcessId, target: Address) -> bool:
        """Return whether `holder` holds (target, "messaging") (G18)."""
        return self.holds(holder, Capability(target, MESSAGING))

    def may_use_network(self, holder: ProcessId) -> bool:
        """Return whether `holder` may send to and receive from other nodes (G19)."""
        holding = self._held.get(holder)
        return holding is not None and self._network in holding.held

    def attachable(self, sender: Address, capabilities: tuple[Capability, ...]) -> tuple[Capability, ...]:
        """Return those of `capabilities` that `sender` issues itself or holds (G20), canonical, with this node's name
        for `our`."""
        return tuple(
            each for each in self._named(capabilities) if each.issuer == sender or self.holds(sender.process, each)
        )

    def receive(self, holder: ProcessId, capabilities: Iterable[Capability]) -> None:
        """Note that `holder` is handed a message with these, which are canonical: it may save them (G20)."""
        received = self._received.setdefault(holder, OrderedDict())
        for capability in capabilities:
            if capability in received:
                received.move_to_end(capability)
                continue
            received[capability] = None
            self._received_bytes[holder] = self._received_bytes.get(holder, 0) + cost(capability)
            self._count(capability.issuer, holder, 1)
        while (
            len(received) > limits.MAX_RECEIVED_CAPABILITIES or self._received_bytes[holder] > limits.MAX_RECEIVED_BYTES
        ):
            self._unreceive(holder, next(iter(received)))

    def _unreceive(self, holder: ProcessId, capability: Capability) -> None:
        received = self._received[holder]
        del received[capability]
        self._received_bytes[holder] -= cost(capability)
        self._count(capability.issuer, holder, -1)
        if not received:
            del self._received[holder], self._received_bytes[holder]

    def savable(self, holder: Address, capabilities: tuple[Capability, ...]) -> tuple[Capability, ...]:
        """Return those of `capabilities` that `holder` may save: it issues them, has received them, or holds them
        (G20)."""
        received = self._received.get(holder.process, ())
        return tuple(
            each
            for each in self._named(capabilities)
            if each.issuer == holder or each in received or self.holds(holder.process, each)
        )

    def local(self, capability: Capability) -> Capability:
        """Return the capability with this node's name where its issuer says `our` (G1)."""
        issuer = capability.issuer
        return capability if issuer.node != OUR_NODE else capability._replace(issuer=Address(self._our, issuer.process))

    def _named(self, capabilities: Iterable[Capability]) -> Iterator[Capability]:
        """Yield those that are capabilities, canonical and with this node's name for `our`."""
        for capability in capabilities:
            try:
                yield canonical_untrusted(self.local(capability))
            except ValueError:
                continue

    # --- what other nodes hold --------------------------------------------------------------------------------------

    def issue(self) -> int:
        """Return the number under which a capability leaves the node now: a later revocation makes it stale."""
        return self._revocations.issue()

    def is_issue(self, issuer: ProcessId, number: int) -> bool:
        """Return whether a capability that left under this number is still valid."""
        return self._revocations.is_valid(issuer, number)

    @property
    def epoch(self) -> int:
        """The number up to which all that has left the node is void, whatever its issuer."""
        return self._revocations.everything

    def revoke_everything(self, least: int) -> None:
        """Make worthless all that other nodes have from this one, also what it does not know of, if that left under
        `least` or a lower number (G21)."""
        self._revocations.revoke_everything(least)
        self._revoked = True

    def void(self, capabilities: Iterable[Capability]) -> None:
        """Take these from all who hold them or may save them: the node that issued them has revoked them."""
        for capability in capabilities:
            for holder in list(self._with.get(capability.issuer, ())):
                if self.holds(holder, capability):
                    self._release(holder, capability)
                if capability in self._received.get(holder, ()):
                    self._unreceive(holder, capability)

    # --- the store (G21) --------------------------------------------------------------------------------------------

    @property
    def has_changed(self) -> bool:
        """Whether `take_changes` returns any."""
        return bool(self._changed) or self._revoked

    def take_changes(self) -> tuple[set[ProcessId], Revoked | None]:
        """Return the holders that hold something else than when this was called last, and all revocations if there are
        more."""
        changed, self._changed = self._changed, set()
        revoked, self._revoked = self._revocations.snapshot() if self._revoked else None, False
        return changed, revoked

    def listed(self, holder: ProcessId) -> Listed:
        """Return what a process holds, as the store keeps it."""
        holding = self._held.get(holder)
        return holding.listed() if holding is not None else ((), ())

    def holders(self, capability: Capability) -> tuple[ProcessId, ...]:
        """Return the processes that hold a capability, whose params are canonical."""
        return tuple(each for each in self._with.get(capability.issuer, ()) if self.holds(each, capability))

    def restore(self, held: Held, revoked: Revoked) -> None:
        """Continue where a snapshot was taken, before any process runs."""
        for holder, (saved, given) in held.items():
            for capabilities, is_gift in ((saved, False), (given, True)):
                for capability in capabilities:
                    if not self.holds(holder, capability):
                        self._add(holder, canonical(capability), given=is_gift)
        self._revocations.restore(revoked)
        self._changed.clear()
