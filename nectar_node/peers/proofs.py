"""The signatures of what other nodes issued, kept to be passed on (G20).

What came lately is kept for each node that sent it, so that one that sends much evicts only its own. What a process of
this node holds is kept as long as it is held.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from kernel.contract.capability import Capability

MAX_PEER_PROOFS = 1024
"""Capabilities that came from one node and that no process here holds; those not used for longest go first."""
MAX_PEER_BYTES = 1 << 20
"""See MAX_PEER_PROOFS, counted in bytes."""
MAX_BYTES = 64 << 20
"""The same from all nodes; then the one that has sent most loses first."""
_OVERHEAD_BYTES = 256
"""Added to the length of each capability's params: its address, its signature, its place here."""


class Proof(NamedTuple):
    """What a capability's signature covers beside itself, and the signature."""

    issue: int
    signature: bytes


class _Recent:
    """What came from one node."""

    __slots__ = ("bytes", "proofs")

    def __init__(self) -> None:
        self.proofs: OrderedDict[Capability, Proof] = OrderedDict()
        self.bytes = 0


class Proofs:
    """See the module's text."""

    def __init__(self, is_held: Callable[[Capability], bool]) -> None:
        """`is_held`: whether a process of this node holds a capability."""
        self._is_held = is_held
        self._held: dict[Capability, Proof] = {}
        self._recent: dict[str, _Recent] = {}
        self._from: dict[Capability, str] = {}
        """Which node's recent ones a capability is among."""
        self._bytes = 0
        self.version = 0
        """Counts up when what is held gets another proof, so that the store has to be written anew."""

    def __len__(self) -> int:
        return len(self._held) + len(self._from)

    def get(self, capability: Capability) -> Proof | None:
        """The proof of `capability`, if it is kept; it counts as used."""
        node = self._from.get(capability)
        if node is None:
            return self._held.get(capability)
        proofs = self._recent[node].proofs
        proofs.move_to_end(capability)
        return proofs[capability]

    def keep(self, node: str, capability: Capability, proof: Proof) -> None:
        """`node` has sent this one, which is verified. What was revoked and issued again comes with another proof; one
        that is older than what is kept may be worth nothing any more, and takes the place of none."""
        before = self._peek(capability)
        if before is not None and before.issue > proof.issue:
            return
        if before != proof and self._is_held(capability):
            self.version += 1
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
        recent = self._recent[node]
        capability, proof = recent.proofs.popitem(last=False)
        recent.bytes -= _cost(capability)
        self._bytes -= _cost(capability)
        del self._from[capability]
        if not recent.proofs:
            del self._recent[node]
        if self._is_held(capability):
            self._held[capability] = proof

    def of_held(self, held: Iterable[Capability]) -> dict[Capability, Proof]:
        """The proofs of those that are held now, which are `held`; what is held no longer is given up."""
        kept = {capability: proof for capability in held if (proof := self._peek(capability)) is not None}
        self._held = {capability: proof for capability, proof in kept.items() if capability not in self._from}
        return kept

    def _peek(self, capability: Capability) -> Proof | None:
        node = self._from.get(capability)
        return self._held.get(capability) if node is None else self._recent[node].proofs[capability]

    def restore(self, proofs: dict[Capability, Proof]) -> None:
        """Continue where the proofs of what is held were kept."""
        self._held.update(proofs)


def _cost(capability: Capability) -> int:
    return len(capability.params) + _OVERHEAD_BYTES
