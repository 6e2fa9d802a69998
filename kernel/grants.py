"""Who holds which capability (G17 to G21).

Only the kernel's own code calls `grant`: nothing that a process can send or name makes a capability out of nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from kernel import limits
from kernel.address import Address, ProcessId
from kernel.capability import MESSAGING, NETWORK, Capability, canonical

KERNEL_PROCESS = ProcessId("kernel", "distro", "sys")


class Grants:
    """The capabilities that the processes of one node hold."""

    def __init__(self, our: str) -> None:
        self._held: dict[ProcessId, set[Capability]] = {}
        self._network = Capability(Address(our, KERNEL_PROCESS), NETWORK)

    @property
    def network(self) -> Capability:
        """The capability to use the network (G19)."""
        return self._network

    def grant(self, holder: ProcessId, capabilities: Iterable[Capability]) -> None:
        """Let `holder` hold these."""
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
        self._held.get(holder, set()).difference_update(
            canonical(capability) for capability in capabilities if is_json(capability)
        )

    def forget(self, holder: ProcessId) -> None:
        """A process is gone for good: what it held goes with it."""
        self._held.pop(holder, None)

    def revoke(self, issuer: Address) -> None:
        """A process was killed: what it issued is worth nothing any more (G21)."""
        for held in self._held.values():
            held.difference_update([capability for capability in held if capability.issuer == issuer])

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
        """Those of `capabilities` that `sender` issues itself or holds (G20)."""
        held = self._held.get(sender.process, ())
        return tuple(
            capability
            for capability in capabilities
            if is_json(capability) and (capability.issuer == sender or canonical(capability) in held)
        )


def is_json(capability: Capability) -> bool:
    """Whether the params of a capability that a guest passed are JSON at all."""
    try:
        canonical(capability)
    except (ValueError, RecursionError):
        return False
    return True
