"""A store whose owner has changed its capabilities: what is forged, and what stays."""

from __future__ import annotations

import pytest

from kernel.capabilities.grants import Grants
from kernel.contract.address import Address
from kernel.contract.capability import Capability
from nectar_node.peers.grant_rows import GRANTS, REVOKED, DamagedGrants, GrantRows, KeptGrants, decode_untrusted
from nectar_node.peers.proofs import Proof, Proofs
from nectar_node.storage.database import Contents
from nectar_node.storage.operations import Row
from testnet.hostile.forgery import Forgery, forged

HOLDER = Address.parse("b.nec@guest:handoff:sys").process
DOOR = Address.parse("a.nec@door:handoff:sys")
WANTED, OTHER = Capability(DOOR, '{"door":1}'), Capability(DOOR, '{"door":2}')
OURS = Capability(Address.parse("b.nec@door:handoff:sys"), '{"door":3}')
KILLED = Address.parse("b.nec@killed:handoff:sys")
REAL = Proof(7, b"r" * 64)


def store(*held: Capability, proofs: dict[Capability, Proof]) -> Contents:
    grants = Grants("b.nec")
    grants.grant(HOLDER, held)
    grants.issue()
    grants.revoke(KILLED)
    kept = Proofs(grants.is_held)
    kept.restore(proofs)
    return written({}, GrantRows(grants, kept).changes())


def written(contents: Contents, rows: list[Row]) -> Contents:
    """What a store holds after these rows were written."""
    tables = {kind: dict(table) for kind, table in contents.items()}
    for kind, key, value in rows:
        assert value is not None
        tables.setdefault(kind, {})[key] = value
    return tables


def forged_in(contents: Contents, how: Forgery) -> KeptGrants:
    """What the store holds when `WANTED` was forged in it."""
    after = written(contents, forged(contents, HOLDER, WANTED, how))
    return decode_untrusted(after.get(GRANTS, {}), after.get(REVOKED, {}))


def test_in_an_empty_store_the_holder_holds_what_nobody_has_signed() -> None:
    held, _, proofs = forged_in({}, Forgery.MADE_UP)
    assert held == {HOLDER: ((WANTED,), ())}
    assert proofs == {WANTED: Proof(1, bytes(64))}


def test_what_was_there_is_there_still() -> None:
    before = store(OTHER, OURS, proofs={OTHER: REAL})
    held, revoked, proofs = forged_in(before, Forgery.MADE_UP)
    assert set(held[HOLDER][0]) == {OTHER, OURS, WANTED}
    assert revoked == decode_untrusted(before[GRANTS], before[REVOKED]).revoked
    assert revoked.issuers == ((KILLED.process, 1),)
    assert proofs[OTHER] == REAL


def test_the_signature_is_that_of_another_capability_of_the_issuer() -> None:
    assert forged_in(store(OTHER, proofs={OTHER: REAL}), Forgery.OF_ANOTHER).proofs[WANTED] == REAL


@pytest.mark.parametrize("also", [(), (OTHER,)])
def test_the_signature_is_its_own_with_another_number(also: tuple[Capability, ...]) -> None:
    before = store(WANTED, *also, proofs={WANTED: REAL})
    assert forged_in(before, Forgery.RENEWED).proofs[WANTED] == Proof(8, REAL.signature)


def test_what_is_no_store_is_not_changed() -> None:
    with pytest.raises(DamagedGrants):
        forged({GRANTS: {str(HOLDER): b"no row"}}, HOLDER, WANTED, Forgery.MADE_UP)
