"""Who holds which capability (G17 to G21).

Only the kernel's own code calls `grant`: nothing that a process can send or name makes a capability out of nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from kernel import limits
from kernel.address import OUR_NODE, Address, ProcessId
from kernel.capability import MESSAGING, NETWORK, Capability, canonical
from kernel.json_text import is_json

KERNEL_PROCESS = ProcessId("kernel", "distro", "sys")


class Grants:
    """The capabilities that the processes of one node hold."""

    def __init__(self, our: str) -> None:
        self.version = 0
        """Goes up with every change: whoever keeps the store on disk looks at it."""
        self._our = our
        self._held: dict[ProcessId, set[Capability]] = {}
        self._received: dict[ProcessId, OrderedDict[Capability, None]] = {}
        """What came with the latest messages, and may be saved."""
        self._issues: dict[ProcessId, int] = {}
        self._network = Capability(Address(our, KERNEL_PROCESS), NETWORK)

    @property
    def network(self) -> Capability:
        """The capability to use the network (G19)."""
        return self._network

    def grant(self, holder: ProcessId, capabilities: Iterable[Capability]) -> None:
        """Let `holder` hold these."""
        self.version += 1
        self._held.setdefault(holder, set()).update(canonical(capability) for capability in capabilities)

    def grant_bounded(self, holder: ProcessId, capabilities: Iterable[Capability]) -> bool:
        """The same at a guest's wish: False, and nothing changes, if `holder` would hold more than `limits` allow."""
        wanted = {canonical(capability) for capability in capabilities}
        if len(self._held.get(holder, set()) | wanted) > limits.MAX_HELD_CAPABILITIES:
            return False
        self.grant(holder, wanted)
        return True

    def drop(self, holder: ProcessId, capabilities: Iterable[Capability]) -> None:
        """Let `holder` hold these no longer."""
        self.version += 1
        self._held.get(holder, set()).difference_update(
            canonical(self.local(capability)) for capability in capabilities if is_json(capability.params)
        )

    def forget(self, holder: ProcessId) -> None:
        """A process is gone for good: what it held goes with it."""
        self.version += 1
        self._held.pop(holder, None)
        self._received.pop(holder, None)

    def revoke(self, issuer: Address) -> None:
        """A process was killed: what it issued is worth nothing any more, here or on other nodes (G21)."""
        self.version += 1
        if issuer.process in self._issues:
            self._issues[issuer.process] += 1
        for held in self._held.values():
            held.difference_update([capability for capability in held if capability.issuer == issuer])
        for received in self._received.values():
            for capability in [each for each in received if each.issuer == issuer]:
                del received[capability]

    def of(self, holder: ProcessId) -> tuple[Capability, ...]:
        """What `holder` holds, in a fixed order."""
        return tuple(sorted(self._held.get(holder, ())))

    def may_message(self, holder: ProcessId, target: Address) -> bool:
        """Whether `holder` holds (target, "messaging") (G18)."""
        return Capability(target, MESSAGING) in self._held.get(holder, ())

    def may_use_network(self, holder: ProcessId) -> bool:
        """Whether `holder` may send to and receive from other nodes (G19)."""
        return self._network in self._held.get(holder, ())

    def attachable(self, sender: Address, capabilities: tuple[Capability, ...]) -> tuple[Capability, ...]:
        """Those of `capabilities` that `sender` issues itself or holds (G20), with `our` as this node's name."""
        held = self._held.get(sender.process, ())
        named = [self.local(capability) for capability in capabilities if is_json(capability.params)]
        return tuple(capability for capability in named if capability.issuer == sender or canonical(capability) in held)

    def receive(self, holder: ProcessId, capabilities: Iterable[Capability]) -> None:
        """`holder` is handed a message with these: it may save them (G20)."""
        received = self._received.setdefault(holder, OrderedDict())
        for capability in capabilities:
            received[canonical(capability)] = None
        while len(received) > limits.MAX_RECEIVED_CAPABILITIES:
            received.popitem(last=False)

    def savable(self, holder: Address, capabilities: tuple[Capability, ...]) -> tuple[Capability, ...]:
        """Those of `capabilities` that `holder` may save: it issues them, has received them, or holds them (G20)."""
        received = self._received.get(holder.process, ())
        kept = self.attachable(holder, capabilities)
        named = (self.local(capability) for capability in capabilities if is_json(capability.params))
        return (*kept, *(each for each in named if each not in kept and canonical(each) in received))

    def local(self, capability: Capability) -> Capability:
        """The same with this node's name where its issuer says `our` (G1)."""
        issuer = capability.issuer
        return capability if issuer.node != OUR_NODE else capability._replace(issuer=Address(self._our, issuer.process))

    # --- what other nodes hold ---

    def issue(self, issuer: ProcessId) -> int | None:
        """The number under which a capability of this issuer leaves the node now: a later revocation makes it stale.
        None: too many processes of this node have issued any."""
        if issuer not in self._issues:
            if len(self._issues) >= limits.MAX_ISSUERS:
                return None
            self._issues[issuer] = 1
            self.version += 1
        return self._issues[issuer]

    def is_issue(self, issuer: ProcessId, number: int) -> bool:
        """Whether a capability that left under this number is still worth something."""
        return self._issues.get(issuer) == number

    # --- the store (G21) ---

    def snapshot(self) -> tuple[dict[ProcessId, tuple[Capability, ...]], dict[ProcessId, int]]:
        """Who holds what, and the issue numbers: what survives a reboot."""
        return {holder: self.of(holder) for holder, held in self._held.items() if held}, dict(self._issues)

    def restore(self, held: dict[ProcessId, tuple[Capability, ...]], issues: dict[ProcessId, int]) -> None:
        """Continue where a snapshot was taken, before any process runs."""
        for holder, capabilities in held.items():
            self.grant(holder, capabilities)
        self._issues.update(issues)
