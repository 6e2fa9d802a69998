"""What the owner of a node can make up, and its own node believes, but no other must: capabilities in its store (G20),
and a record that says that a name is its own."""

from __future__ import annotations

from enum import Enum

from kernel.capabilities.grants import Grants
from kernel.contract.address import ProcessId
from kernel.contract.capability import Capability
from nectar_node.peers.grant_file import GrantFile, decode_untrusted
from nectar_node.peers.proofs import Proof, Proofs
from net.names.directory import NEVER, Endpoint, NameRecord, SignedRecord, grant_record, sign_record
from net.names.identity import SIGNATURE_BYTES, Identity

_NO_NODE = ""
"""Whose store it is does not matter: issuers are said in full there."""
_NOBODYS = Proof(1, bytes(SIGNATURE_BYTES))
"""Signed by no key."""


_NEWEST = 1 << 62
"""The sequence of a record that would take the place of any other of its name."""


def claim_name(identity: Identity, endpoint: Endpoint) -> SignedRecord:
    """A record for a name that may be another's, for ever: signed, and granted, by nobody but `identity` itself."""
    record = NameRecord(identity.name, identity.public_key, (endpoint,), (), _NEWEST, 1, NEVER)
    return grant_record(sign_record(record, identity), identity)


class Forgery(Enum):
    """Where the signature of a capability comes from that nobody has issued."""

    MADE_UP = "made up"
    OF_ANOTHER = "the signature of another one"
    """Of the same issuer."""
    RENEWED = "another number of issue"
    """The same capability was issued, and revoked."""


def forged(store: bytes | None, holder: ProcessId, capability: Capability, how: Forgery) -> bytes:
    """A store as it was, but that `holder` holds `capability` in it, which another node is said to have issued. Where
    there is no signature to take, it is made up. Raises DamagedStore."""
    grants = Grants(_NO_NODE)
    proofs = Proofs(grants.is_held)
    known: dict[Capability, Proof] = {}
    if store is not None:
        held, revoked, known = decode_untrusted(store)
        grants.restore(held, revoked)
    grants.grant(holder, [capability])
    proofs.restore(known | {capability: _proof(known, capability, how)})
    return GrantFile(_NO_NODE, grants, proofs).encode()


def _proof(known: dict[Capability, Proof], capability: Capability, how: Forgery) -> Proof:
    if how is Forgery.RENEWED and (proof := known.get(capability)) is not None:
        return Proof(proof.issue + 1, proof.signature)
    others = (each for each in known if each.issuer == capability.issuer and each != capability)
    if how is Forgery.OF_ANOTHER and (other := next(others, None)) is not None:
        return known[other]
    return _NOBODYS
