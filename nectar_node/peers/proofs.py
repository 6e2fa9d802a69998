"""The signatures of what other nodes issued, kept to be passed on (G20).

Recent proofs are kept for each node that sent them, so that one that sends many evicts only its own. The proof of what
a process of this node holds is kept as long as it is held.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from kernel.contract.capability import Capability

MAX_PEER_PROOFS = 1024
"""Capabilities that came from one node and that no process here holds; the least recently used go first."""
MAX_PEER_BYTES = 1 << 20
"""Bytes of these."""
MAX_BYTES = 64 << 20
"""Bytes of these from all nodes; beyond that, the node that has sent most loses first."""
_OVERHEAD_BYTES = 256
"""Bytes that are added to the length of each capability's params: its address, its signature, its place here."""


class Proof(NamedTuple):
    """The number that a capability's signature covers beside the capability itself, and the signature."""

    issue: int
    signature: bytes


class _Recent:
    """What came from one node."""

    __slots__ = ("bytes", "proofs")

    def __init__(self) -> None:
        self.proofs: OrderedDict[Capability, Proof] = OrderedDict()
        self.bytes = 0


class Proofs:
    """The proofs of one node, recent and held."""

    def __init__(self, is_held: Callable[[Capability], bool]) -> None:
        """`is_held` tells whether a process of this node holds a capability."""
        self._is_held = is_held
        self._held: dict[Capability, Proof] = {}
        self._recent: dict[str, _Recent] = {}
        self._from: dict[Capability, str] = {}
        """The node among whose recent proofs a capability's is."""
        self._bytes = 0
        self._evicted: list[Capability] = []
        """Held capabilities whose proofs have ceased to be recent, since unheld ones were last forgotten."""
        self.changed: set[Capability] = set()
        """Held capabilities that have got another proof; whoever keeps the proofs empties it."""

    def __len__(self) -> int:
        return len(self._held) + len(self._from)

    def get(self, capability: Capability) -> Proof | None:
        """Return the proof of `capability`, if it is kept; it counts as used."""
        node = self._from.get(capability)
        if node is None:
            return self._held.get(capability)
        proofs = self._recent[node].proofs
        proofs.move_to_end(capability)
        return proofs[capability]

    def keep(self, node: str, capability: Capability, proof: Proof) -> None:
        """Keep a verified proof that `node` has sent.

        What was revoked and issued again comes with another proof. One that is older than the one kept may be worth
        nothing any more, and does not replace it.
        """
        before = self.peek(capability)
        if before is not None and before.issue > proof.issue:
            return
        if before != proof and self._is_held(capability):
            self.changed.add(capability)
        if capability in self._held:
            self._held[capability] = proof
            return
        known = self._from.setdefault(capability, node)
        recent = self._recent.setdefault(known, _Recent())
        if capability not in recent.proofs:
            recent.bytes += _cost(capability)
            self._bytes += _cost(capability)
        recent.proofs[capability] = proof
        recent.proofs.move_to_end(capability)
        while len(recent.proofs) > MAX_PEER_PROOFS or recent.bytes > MAX_PEER_BYTES:
            self._evict(known)
        while self._bytes > MAX_BYTES:
            self._evict(max(self._recent, key=lambda each: self._recent[each].bytes))

    def _evict(self, node: str) -> None:
        capability, proof = next(iter(self._recent[node].proofs.items()))
        self._forget_recent(capability)
        if self._is_held(capability):
            self._held[capability] = proof
            self._evicted.append(capability)

    def forget_unheld(self, released: Iterable[Capability]) -> None:
        """Drop the proofs among these, which somebody has held, that are of no use any more."""
        for capability in (*released, *self._evicted):
            if not self._is_held(capability):
                self._held.pop(capability, None)
        self._evicted.clear()

    def void(self, node: str, epoch: int) -> list[Capability]:
        """Forget what `node` has issued under the number `epoch` or a lower one, and return it."""
        proofs = [*self._held.items(), *(item for recent in self._recent.values() for item in recent.proofs.items())]
        gone = [each for each, proof in proofs if each.issuer.node == node and proof.issue <= epoch]
        for capability in gone:
            self._held.pop(capability, None)
            if capability in self._from:
                self._forget_recent(capability)
        return gone

    def _forget_recent(self, capability: Capability) -> None:
        node = self._from.pop(capability)
        recent = self._recent[node]
        del recent.proofs[capability]
        recent.bytes -= _cost(capability)
        self._bytes -= _cost(capability)
        if not recent.proofs:
            del self._recent[node]

    def peek(self, capability: Capability) -> Proof | None:
        """Return the proof of `capability`, if it is kept, without counting that as use."""
        node = self._from.get(capability)
        return self._held.get(capability) if node is None else self._recent[node].proofs[capability]

    def restore(self, proofs: dict[Capability, Proof]) -> None:
        """Restore the proofs of what is held."""
        self._held.update(proofs)


def _cost(capability: Capability) -> int:
    return len(capability.params) + _OVERHEAD_BYTES
