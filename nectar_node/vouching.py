"""Capabilities between nodes (G20): signed when they leave, verified when they come.

On the wire a capability is [issuer, params, issue, signature]: the issuer's node signs the first three with its key.
`issue` is a number that the issuing kernel counts up when it kills the issuer (G21), so a revoked capability is worth
nothing on whatever node it lies. Another node's capability keeps the signature that it came with, and leaves with it.

A signature of a third node is verified with that node's key. While its record is being looked up, the message waits,
and with it all later ones between the same two processes (G4). They wait within the credit of the peer that sent them,
since none of them is acknowledged before the kernel has it; nothing else waits for them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import cbor2

from kernel.address import Address, ProcessId
from kernel.capability import Capability, canonical
from kernel.errors import BadAddress
from kernel.grants import Grants
from kernel.json_text import is_json
from kernel.message import Envelope
from net.peers import Network

DOMAIN = b"nectar/1 capability"
MAX_CLAIMS = 64
"""Capabilities in one message between nodes: each costs a signature to verify."""
MAX_PROOFS = 65_536
"""Other nodes' capabilities whose signatures are kept, to be passed on; those not used for longest go first."""


class Claim(NamedTuple):
    """A capability as another node sent it: nothing of it is verified."""

    issuer: Address
    params: str
    issue: int
    signature: bytes


class _Proof(NamedTuple):
    issue: int
    signature: bytes


@dataclass(slots=True)
class _Held:
    envelope: Envelope
    claims: tuple[Claim, ...]
    receipt: object
    asked: set[str] = field(default_factory=set)
    """Names whose lookup has ended since it came."""


_Pair = tuple[Address, ProcessId]


class Vouching:
    """Signs, verifies, and holds back messages until that can be done."""

    def __init__(self, our: str, network: Network, grants: Grants, say: Callable[[str], None]) -> None:
        """`say`: a line for the log."""
        self._our = our
        self._network = network
        self._grants = grants
        self._say = say
        self._proofs: OrderedDict[Capability, _Proof] = OrderedDict()
        self._held: dict[_Pair, deque[_Held]] = {}
        self._looking: set[str] = set()
        """Names being looked up."""
        self._ready: deque[tuple[Envelope, object]] = deque()

    # --- leaving ----------------------------------------------------------------------------------------------------

    def sign(self, envelope: Envelope) -> tuple[Claim, ...]:
        """The capabilities of a message that leaves the node; those that cannot be proven are left out and logged."""
        claims = []
        for capability in envelope.message.capabilities[:MAX_CLAIMS]:
            claim = self._claim(canonical(capability))
            if claim is not None:
                claims.append(claim)
        if len(claims) < len(envelope.message.capabilities):
            self._say(f"left out a capability that cannot be proven to {envelope.target.node}")
        return tuple(claims)

    def _claim(self, capability: Capability) -> Claim | None:
        issuer, params = capability
        if issuer.node != self._our:
            proof = self._proofs.get(capability)
            if proof is None:
                return None
            self._proofs.move_to_end(capability)
            return Claim(issuer, params, *proof)
        issue = self._grants.issue(issuer.process)
        if issue is None:
            return None
        return Claim(issuer, params, issue, self._network.sign(DOMAIN, _statement(issuer, params, issue)))

    # --- coming -----------------------------------------------------------------------------------------------------

    def receive(self, envelope: Envelope, claims: tuple[Claim, ...], receipt: object, now: float) -> None:
        """A message with claims, or one that comes while another of the same two processes waits; `next` gives it."""
        pair = envelope.source, envelope.target.process
        self._held.setdefault(pair, deque()).append(_Held(envelope, claims, receipt))
        self._advance(pair, now)

    def waits(self, envelope: Envelope) -> bool:
        """Whether a message must take its turn behind others that wait."""
        return bool(self._held) and (envelope.source, envelope.target.process) in self._held

    def looked_up(self, name: str, now: float) -> None:
        """A lookup has ended, one way or another."""
        self._looking.discard(name)
        for pair in list(self._held):
            self._advance(pair, now, name)

    def next(self) -> tuple[Envelope, object] | None:
        """The next message that is verified, and its receipt."""
        return self._ready.popleft() if self._ready else None

    def _advance(self, pair: _Pair, now: float, looked_up: str | None = None) -> None:
        """Verify what can be verified. `looked_up`: this name is known by now, or will not be."""
        held = self._held[pair]
        while held:
            envelope, claims, receipt = held[0].envelope, held[0].claims, held[0].receipt
            if looked_up is not None:
                held[0].asked.add(looked_up)
            unknown = {claim.issuer.node for claim in claims if self._verdict(claim) is None} - held[0].asked
            if unknown:
                for name in sorted(unknown - self._looking):
                    self._looking.add(name)
                    self._network.look_up(name, now)
                return
            held.popleft()
            verified = tuple(self._keep(claim) for claim in claims if self._verdict(claim))
            if len(verified) < len(claims):
                self._say(f"{envelope.source} (claim) attached a capability that is not proven; it was left out")
            self._ready.append((envelope._replace(message=envelope.message._replace(capabilities=verified)), receipt))
        del self._held[pair]

    def _verdict(self, claim: Claim) -> bool | None:
        """Whether a claim is proven; None: its issuer's key is not known."""
        issuer, params, issue, signature = claim
        if issuer.node == self._our and not self._grants.is_issue(issuer.process, issue):
            return False
        return self._network.vouched_untrusted(issuer.node, DOMAIN, _statement(issuer, params, issue), signature)

    def _keep(self, claim: Claim) -> Capability:
        capability = Capability(claim.issuer, claim.params)
        if claim.issuer.node != self._our:
            self._proofs[capability] = _Proof(claim.issue, claim.signature)
            self._proofs.move_to_end(capability)
            if len(self._proofs) > MAX_PROOFS:
                self._proofs.popitem(last=False)
        return capability

    # --- the store (G21) --------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Who holds what, with the proofs of what other nodes issued."""
        held, issues = self._grants.snapshot()
        kept = {capability for each in held.values() for capability in each}
        return cbor2.dumps(
            [
                [[str(holder), [[str(each.issuer), each.params] for each in has]] for holder, has in held.items()],
                [[str(process), number] for process, number in issues.items()],
                [[str(each.issuer), each.params, *self._proofs[each]] for each in kept if each in self._proofs],
            ]
        )

    def restore_untrusted(self, data: bytes) -> bool:
        """Continue where a snapshot was taken; False: these bytes are none, and nothing has changed."""
        try:
            held, issues, proofs = cbor2.loads(data)
            held = {ProcessId.parse(holder): tuple(_capability(*each) for each in has) for holder, has in held}
            issues = {ProcessId.parse(process): int(number) for process, number in issues}
            proofs = {_capability(*each[:2]): _Proof(int(each[2]), bytes(each[3])) for each in proofs}
        except (cbor2.CBORError, BadAddress, ValueError, TypeError, AttributeError, IndexError, RecursionError):
            return False
        except (OverflowError, MemoryError):
            return False
        self._grants.restore(held, issues)
        self._proofs.update(proofs)
        return True


def _statement(issuer: Address, params: str, issue: int) -> bytes:
    return cbor2.dumps([str(issuer), params, issue])


def _capability(issuer: str, params: str) -> Capability:
    capability = Capability(Address.parse(issuer), params)
    if not isinstance(params, str) or not is_json(params):
        raise ValueError("the params are no JSON text")
    return canonical(capability)
