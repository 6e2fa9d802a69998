"""Forgeries that the owner of a node can make, which its own node believes and no other may: capabilities in its store
(G20), and a record that claims a name."""

from __future__ import annotations

from enum import Enum

from kernel.contract.address import ProcessId
from kernel.contract.capability import Capability
from nectar_node.peers.grant_rows import GRANTS, REVOKED, decode_untrusted, encode
from nectar_node.peers.proofs import Proof
from nectar_node.storage.database import Contents
from nectar_node.storage.operations import Row
from net.names.directory import NEVER, Endpoint, NameRecord, SignedRecord, grant_record, sign_record
from net.names.identity import SIGNATURE_BYTES, Identity

_NOBODYS = Proof(1, bytes(SIGNATURE_BYTES))
"""Signed by no key."""


_NEWEST = 1 << 62
"""The sequence of a record that would take the place of any other of its name."""


def claim_name(identity: Identity, endpoint: Endpoint) -> SignedRecord:
    """Return a record for a name that may be another's, valid for ever: signed and granted by `identity` alone."""
    record = NameRecord(identity.name, identity.public_key, (endpoint,), (), _NEWEST, 1, NEVER)
    return grant_record(sign_record(record, identity), identity)


class Forgery(Enum):
    """The origin of the signature of a forged capability."""

    MADE_UP = "made up"
    OF_ANOTHER = "the signature of another one"
    """The signature of another capability of the same issuer."""
    RENEWED = "another number of issue"
    """The signature of the same capability, which was issued and revoked."""


def forged(store: Contents, holder: ProcessId, capability: Capability, how: Forgery) -> list[Row]:
    """Return rows for the store with which `holder` holds `capability`, which another node seems to have issued. If
    there is no signature to copy, one is made up. Raises DamagedGrants."""
    kept = decode_untrusted(store.get(GRANTS, {}), store.get(REVOKED, {}))
    saved, given = kept.held.get(holder, ((), ()))
    if capability not in (*saved, *given):
        saved = (*saved, capability)
    proofs = kept.proofs | {capability: _proof(kept.proofs, capability, how)}
    proven = {each: proofs[each] for each in (*saved, *given) if each in proofs}
    return [Row(GRANTS, str(holder), encode((saved, given), proven))]


def _proof(known: dict[Capability, Proof], capability: Capability, how: Forgery) -> Proof:
    if how is Forgery.RENEWED and (proof := known.get(capability)) is not None:
        return Proof(proof.issue + 1, proof.signature)
    others = (each for each in known if each.issuer == capability.issuer and each != capability)
    if how is Forgery.OF_ANOTHER and (other := next(others, None)) is not None:
        return known[other]
    return _NOBODYS
