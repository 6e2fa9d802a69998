"""A store of capabilities that its owner has changed: what is forged, and what stays."""

from __future__ import annotations

import pytest
from nectar_node.peers.grant_file import DamagedGrants, GrantFile, decode_untrusted

from kernel.capabilities.grants import Grants
from kernel.contract.address import Address
from kernel.contract.capability import Capability
from nectar_node.peers.proofs import Proof, Proofs
from testnet.hostile.forgery import Forgery, forged

HOLDER = Address.parse("b.nec@guest:handoff:sys").process
DOOR = Address.parse("a.nec@door:handoff:sys")
WANTED, OTHER = Capability(DOOR, '{"door":1}'), Capability(DOOR, '{"door":2}')
OURS = Capability(Address.parse("b.nec@door:handoff:sys"), '{"door":3}')
REAL = Proof(7, b"r" * 64)


def store(*held: Capability, proofs: dict[Capability, Proof]) -> bytes:
    grants = Grants("b.nec")
    grants.grant(HOLDER, held)
    kept = Proofs(grants.is_held)
    kept.restore(proofs)
    return GrantFile("b.nec", grants, kept).encode()


def test_without_a_store_the_holder_holds_what_nobody_has_signed() -> None:
    held, _, proofs = decode_untrusted(forged(None, HOLDER, WANTED, Forgery.MADE_UP))
    assert held == {HOLDER: ((WANTED,), ())}
    assert proofs == {WANTED: Proof(1, bytes(64))}


def test_what_was_there_is_there_still() -> None:
    before = store(OTHER, OURS, proofs={OTHER: REAL})
    held, revoked, proofs = decode_untrusted(forged(before, HOLDER, WANTED, Forgery.MADE_UP))
    assert set(held[HOLDER][0]) == {OTHER, OURS, WANTED}
    assert revoked == decode_untrusted(before)[1]
    assert proofs[OTHER] == REAL


def test_the_signature_is_that_of_another_capability_of_the_issuer() -> None:
    before = store(OTHER, proofs={OTHER: REAL})
    assert decode_untrusted(forged(before, HOLDER, WANTED, Forgery.OF_ANOTHER))[2][WANTED] == REAL


def test_the_signature_is_its_own_with_another_number() -> None:
    before = store(WANTED, proofs={WANTED: REAL})
    renewed = decode_untrusted(forged(before, HOLDER, WANTED, Forgery.RENEWED))[2][WANTED]
    assert renewed == Proof(8, REAL.signature)


def test_what_is_no_store_is_not_changed() -> None:
    with pytest.raises(DamagedGrants):
        forged(b"no store", HOLDER, WANTED, Forgery.MADE_UP)
