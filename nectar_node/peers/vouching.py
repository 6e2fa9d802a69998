"""Capabilities between nodes (G20): signed when they leave, verified when they come.

On the wire a capability is [issuer, params, issue, signature]: the issuer's node signs the first three with its key.
`issue` is a number that the issuing kernel counts up when it kills a process (G21), so a revoked capability is worth
nothing on any node. Another node's capability keeps the signature that it came with, and leaves with it.

A signature of a third node is verified with that node's key. While its record is being looked up, the message waits,
and with it all later ones between the same two processes (G4). They wait within the credit of the peer that sent them,
since none of them is acknowledged before the kernel has it; nothing else waits for them. Nothing is looked up or
verified for a process that could not have the message; a signature is verified once, when the message goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import cbor2

from kernel.capabilities.grants import Grants
from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.message import Envelope, is_claim, marked
from nectar_node.peers.grant_rows import GrantRows, KeptGrants
from nectar_node.peers.proofs import Proof, Proofs
from net.base.node_names import is_node_name
from net.names.directory import HeldRecord
from net.peering.network import Network

DOMAIN = b"nectar/1 capability"
MAX_CLAIMS = 64
"""Capabilities in one message between nodes: each costs a signature to verify."""
MAX_CLAIM_BYTES = 256 * 1024
"""Params of all capabilities in one message between nodes, in bytes."""
MAX_WAITING_CLAIMS = 256
"""Capabilities of one peer that wait for keys: one lookup may let all of them be verified at once, 60 microseconds
each. Beyond that, messages go on without theirs.
"""
FORGOTTEN_REVOCATIONS = 1 << 24
"""Revocations that a store may have forgotten while the clock was set back."""
MAX_LOOKUPS = 32
"""Names that are looked up at the same time because of one peer; capabilities of further issuers are not proven."""


class Claim(NamedTuple):
    """A capability as another node sent it: nothing of it is verified."""

    issuer: Address
    params: str
    issue: int
    signature: bytes


class _Held:
    """A message that waits, and the names that it waits for."""

    __slots__ = ("claims", "envelope", "missing", "receipt")

    def __init__(self, envelope: Envelope, claims: tuple[Claim, ...], receipt: object) -> None:
        self.envelope = envelope
        self.claims = claims
        self.receipt = receipt
        self.missing: set[str] | None = None
        """Names whose lookup has not ended; None: its turn has not come."""


_Pair = tuple[Address, ProcessId]


class _Lookup(NamedTuple):
    peer: str
    """The peer whose message began the lookup."""
    pairs: dict[_Pair, None]
    """Pairs of processes whose first message waits for it, in order."""


class Vouching:
    """Signs and verifies capabilities, and holds messages back until that can be done."""

    def __init__(
        self,
        our: str,
        network: Network,
        grants: Grants,
        log: Callable[[str], None],
        accepts: Callable[[ProcessId], bool],
    ) -> None:
        """`log`: a line for the log; `accepts`: whether a process is there and may have messages of other nodes."""
        self._our = our
        self._network = network
        self._grants = grants
        self._log = log
        self._accepts = accepts
        self._proofs = Proofs(grants.is_held)
        self.rows = GrantRows(grants, self._proofs)
        """What of all this is kept over a reboot (G21)."""
        self._held: dict[_Pair, deque[_Held]] = {}
        self._waiting: dict[str, int] = {}
        """Claims of each peer that are held."""
        self._lookups: dict[str, _Lookup] = {}
        """Lookups by the name that is being looked up."""
        self._asking: dict[str, int] = {}
        """How many lookups each peer has caused."""
        self._ready: deque[tuple[Envelope, object]] = deque()

    # --- sending ----------------------------------------------------------------------------------------------------

    def sign(self, envelope: Envelope) -> tuple[Claim, ...]:
        """Return the capabilities of a message that leaves the node, signed.

        Those that cannot be proven, and those that are too many or too long together, are left out and logged.
        """
        claims, left = [], MAX_CLAIM_BYTES
        capabilities = envelope.message.capabilities
        for capability in capabilities[:MAX_CLAIMS]:
            claim = self._claim(capability) if len(capability.params) <= left else None
            if claim is not None:
                left -= len(claim.params)
                claims.append(claim)
        if len(claims) < len(capabilities):
            self._log(f"left out a capability that cannot be proven to {envelope.target.node}, or is one too many")
        return tuple(claims)

    def _claim(self, capability: Capability) -> Claim | None:
        issuer, params = capability
        if issuer.node != self._our:
            proof = self._proofs.get(capability)
            if proof is None or self._is_void(issuer.node, proof.issue):
                return None
            return Claim(issuer, params, *proof)
        issue = self._grants.issue()
        return Claim(issuer, params, issue, self._network.sign(DOMAIN, _statement(issuer, params, issue)))

    # --- receiving --------------------------------------------------------------------------------------------------

    def receive(self, envelope: Envelope, claims: tuple[Claim, ...], receipt: object, now: float) -> None:
        """Take a message with claims, or one that comes while another of the same two processes waits; `next` returns
        it.
        """
        pair, peer = (envelope.source, envelope.target.process), envelope.source.node
        if not self._accepts(envelope.target.process):
            claims = ()
        waits = self.waits(envelope) or bool(self._unknown(claims))
        if waits and claims and self._waiting.get(peer, 0) + len(claims) > MAX_WAITING_CLAIMS:
            self._log(f"too many capabilities from {peer} wait for the keys of their issuers: some were left out")
            claims = ()
        self._held.setdefault(pair, deque()).append(_Held(envelope, claims, receipt))
        _count(self._waiting, peer, len(claims))
        if len(self._held[pair]) == 1:
            self._advance(pair, now)

    def waits(self, envelope: Envelope) -> bool:
        """Whether a message must take its turn behind others that wait."""
        return bool(self._held) and (envelope.source, envelope.target.process) in self._held

    def looked_up(self, name: str, now: float) -> None:
        """Go on with what waits for a name, whose lookup has ended, one way or another."""
        lookup = self._lookups.pop(name, None)
        if lookup is None:
            return
        _count(self._asking, lookup.peer, -1)
        for pair in lookup.pairs:
            missing = self._held[pair][0].missing
            assert missing is not None
            missing.discard(name)
            if not missing:
                self._advance(pair, now, name)

    def next(self) -> tuple[Envelope, object] | None:
        """Return the next message that is verified, and its receipt, or None."""
        return self._ready.popleft() if self._ready else None

    def _advance(self, pair: _Pair, now: float, looked_up: str = "") -> None:
        """Release messages that need not wait; `looked_up` is a name whose lookup has ended."""
        held = self._held[pair]
        while held:
            first = held[0]
            if first.missing is None:
                first.missing = self._look_up(pair, self._unknown(first.claims) - {looked_up}, now)
            if first.missing:
                return
            held.popleft()
            _count(self._waiting, pair[0].node, -len(first.claims))
            self._release(first)
        del self._held[pair]

    def _unknown(self, claims: tuple[Claim, ...]) -> set[str]:
        """Return the nodes whose keys are not known."""
        nodes = {claim.issuer.node for claim in claims} - {self._our}
        return {node for node in nodes if is_node_name(node) and self._network.record(node) is None}

    def _look_up(self, pair: _Pair, names: set[str], now: float) -> set[str]:
        """Look up `names`, and return those of them that are worth waiting for."""
        peer, missing = pair[0].node, set[str]()
        for name in sorted(names):
            if name not in self._lookups:
                if self._asking.get(peer, 0) >= MAX_LOOKUPS:
                    continue
                _count(self._asking, peer, 1)
                self._lookups[name] = _Lookup(peer, {})
                self._network.look_up(name, now)
            self._lookups[name].pairs[pair] = None
            missing.add(name)
        return missing

    def _release(self, held: _Held) -> None:
        """Hand a message on with the capabilities that are proven."""
        envelope, claims = held.envelope, held.claims
        if not self._accepts(envelope.target.process):
            claims = ()  # it has ended in the meantime
        verified = tuple(self._keep(envelope.source.node, claim) for claim in claims if self._is_proven(claim))
        if len(verified) < len(claims):
            source = marked(envelope.source, claim=is_claim(envelope.source, self._our))
            self._log(f"{source} attached a capability that is not proven; it was left out")
        self._ready.append((envelope._replace(message=envelope.message._replace(capabilities=verified)), held.receipt))

    def _is_proven(self, claim: Claim) -> bool:
        issuer, params, issue, signature = claim
        if issuer.node == self._our and not self._grants.is_issue(issuer.process, issue):
            return False
        if issuer.node != self._our and self._is_void(issuer.node, issue):
            return False
        statement = _statement(issuer, params, issue)
        return self._network.vouched_untrusted(issuer.node, DOMAIN, statement, signature) is True

    def _is_void(self, node: str, issue: int) -> bool:
        """Whether all that `node` has issued under that number is void, as far as this node has heard."""
        record = self._network.record(node)
        return record is not None and 0 < record.epoch >= issue

    def record_learned(self, held: HeldRecord) -> None:
        """Take what a node has revoked wholesale from the processes here, now that its record says so."""
        if len(self._proofs):
            record = held.read()
            if record.epoch:
                self._grants.void(self._proofs.void(record.name, record.epoch))

    def revoke_everything(self, epoch: int, unix: float) -> int:
        """Make void all that other nodes have from this one, whatever they have it by; return the revocation epoch.

        `epoch` is the highest that is known, `unix` the Unix time. Numbers of revocations count from 1, or from such a
        time in milliseconds, so the present one is above all that were used since; the margin is for a clock that is
        behind.
        """
        self._grants.revoke_everything(max(round(unix * 1000), epoch, self._grants.issue() + FORGOTTEN_REVOCATIONS))
        return self._grants.epoch

    def _keep(self, peer: str, claim: Claim) -> Capability:
        capability = Capability(claim.issuer, claim.params)
        if claim.issuer.node != self._our:
            self._proofs.keep(peer, capability, Proof(claim.issue, claim.signature))
        return capability

    def restore(self, kept: KeptGrants) -> None:
        """Continue with what earlier boots have kept, before any process runs (G21)."""
        self._grants.restore(kept.held, kept.revoked)
        self._proofs.restore(kept.proofs)
        self.rows.restore(kept)


def _count(counts: dict[str, int], key: str, change: int) -> None:
    """Change one of these counts; a count of zero is not kept."""
    count = counts.get(key, 0) + change
    if count:
        counts[key] = count
    else:
        counts.pop(key, None)


def _statement(issuer: Address, params: str, issue: int) -> bytes:
    return cbor2.dumps([str(issuer), params, issue])
