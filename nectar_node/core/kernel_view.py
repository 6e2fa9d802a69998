"""What the node's parts ask about its processes and about other nodes, without having the whole core."""

from __future__ import annotations

from kernel.contract.address import ProcessId
from kernel.contract.capability import Capability
from kernel.contract.guest import Generation
from kernel.contract.message import ReplyTo
from kernel.router.kernel import Kernel
from net.peering.network import Network


class KernelView:
    """Questions to one node's kernel and network; they change nothing."""

    def __init__(self, our: str, kernel: Kernel, network: Network) -> None:
        self._our = our
        self._kernel = kernel
        self._network = network

    def holds(self, holder: ProcessId, wanted: Capability) -> bool:
        """Whether a process holds a capability; the node's user, who acts through system processes, holds all."""
        return self._kernel.is_system(holder) or self._kernel.grants.holds(holder, wanted)

    def generation(self, process: ProcessId) -> Generation:
        """Return which shapes a process knows; for the node's user, and a process that has ended, the first, whose
        errors say the most.
        """
        known = self._kernel.processes.get(process)
        return Generation.EARLY if known is None else known.launch.program.generation

    def awaited_until(self, reply_to: ReplyTo) -> float | None:
        """Return when a requester of this node gets Timeout; None: the request is not known here."""
        entry = self._kernel.outstanding.get(reply_to.id) if reply_to.address.node == self._our else None
        return None if entry is None else entry.deadline

    def has_room(self, process: ProcessId, size: int) -> bool:
        """Whether a process can take one more message of so many bytes; one that has ended takes all."""
        known = self._kernel.processes.get(process)
        return known is None or (known.mailbox.has_room() and known.mailbox.has_memory(size))

    def accepts(self, process: ProcessId) -> bool:
        """Whether a process exists and accepts messages of other nodes (G19).

        A process that is about to start is accepted: what it will hold is not known yet.
        """
        if process in self._kernel.starting:
            return True
        return process in self._kernel.processes and self._kernel.grants.may_use_network(process)

    def key_of(self, name: str) -> bytes | None:
        """Return the public key of a node, if its record is known here."""
        record = self._network.record(name)
        return None if record is None else record.public_key
