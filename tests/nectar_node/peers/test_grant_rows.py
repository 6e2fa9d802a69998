"""The rows of who holds what (G21): what has changed is written without loss, and one error comes of whatever else."""

from __future__ import annotations

from collections.abc import Iterable

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.capabilities.grants import Grants
from kernel.capabilities.revocations import Revoked
from kernel.contract import limits
from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from nectar_node.peers.grant_rows import (
    GRANTS,
    REVOKED,
    DamagedGrants,
    GrantRows,
    KeptGrants,
    decode_file_untrusted,
    decode_untrusted,
    encode,
    rows_of,
)
from nectar_node.peers.proofs import Proof, Proofs
from nectar_node.storage.operations import Row

OUR = "our.nec"
A, B = ProcessId("a", "tests", "sys"), ProcessId("b", "tests", "sys")
OWN = Capability(Address(OUR, A), '{"door":1}')
FOREIGN = Capability(Address("ann.nec", A), '"key"')
PROOF = Proof(3, bytes(64))


class Node:
    """A node's grants and proofs, and what is in its store of them."""

    def __init__(self) -> None:
        self.grants = Grants(OUR)
        self.proofs = Proofs(self.grants.is_held)
        self.rows = GrantRows(self.grants, self.proofs)
        self.store: dict[str, dict[str, bytes]] = {GRANTS: {}, REVOKED: {}}

    def keep(self) -> set[str]:
        """Write what has changed; return the keys of these rows."""
        rows = self.rows.changes()
        for kind, key, value in rows:
            if value is None:
                self.store[kind].pop(key, None)
            else:
                self.store[kind][key] = value
        return {row.key for row in rows}

    def kept(self) -> KeptGrants:
        return decode_untrusted(self.store[GRANTS], self.store[REVOKED])


@pytest.fixture
def node() -> Node:
    node = Node()
    node.proofs.keep("bob.nec", FOREIGN, PROOF)
    node.grants.save(A, [OWN, FOREIGN])
    node.grants.grant_bounded(B, [OWN])
    node.grants.issue()
    node.grants.revoke(Address(OUR, B))
    return node


def test_g21_grants_cross_without_loss(node: Node) -> None:
    node.keep()
    held, revoked, proofs = node.kept()
    assert held == {A: ((FOREIGN, OWN), ()), B: ((), (OWN,))}
    assert revoked.issuers == ((B, 1),)
    assert proofs == {FOREIGN: PROOF}


def test_g21_who_holds_nothing_any_more_has_no_row(node: Node) -> None:
    node.keep()
    node.grants.drop(A, [FOREIGN])
    node.grants.forget(B)
    node.keep()
    assert node.kept().held == {A: ((OWN,), ())}
    assert node.kept().proofs == {}
    assert node.store[GRANTS].keys() == {str(A)}


def test_only_what_has_changed_is_written(node: Node) -> None:
    node.keep()
    assert not node.rows.has_changed
    node.grants.drop(B, [OWN])
    assert node.rows.has_changed
    assert node.keep() == {str(B)}
    assert not node.rows.has_changed
    assert node.keep() == set()


def test_g21_another_proof_of_what_is_held_is_written_with_each_holder(node: Node) -> None:
    node.grants.grant(B, [FOREIGN])
    node.keep()
    newer = Proof(4, bytes(64))
    node.proofs.keep("bob.nec", FOREIGN, newer)
    assert node.rows.has_changed
    assert node.keep() == {str(A), str(B)}
    assert node.kept().proofs == {FOREIGN: newer}


def test_g21_a_revocation_is_written_alone(node: Node) -> None:
    node.keep()
    node.grants.issue()
    node.grants.revoke(Address(OUR, ProcessId("c", "tests", "sys")))
    assert [row.kind for row in node.rows.changes()] == [REVOKED]


def test_what_was_kept_is_written_whole(node: Node) -> None:
    node.keep()
    kept = node.kept()
    assert decode_untrusted(*tables(rows_of(kept))) == kept


def tables(rows: Iterable[Row]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    known: dict[str, dict[str, bytes]] = {GRANTS: {}, REVOKED: {}}
    for kind, key, value in rows:
        assert value is not None
        known[kind][key] = value
    return known[GRANTS], known[REVOKED]


# --- what is damaged ------------------------------------------------------------------------------------------------

HELD = [str(Address("ann.nec", A)), '"key"']
GOOD_HOLDER = [[HELD], [], [[*HELD, 1, bytes(64)]]]
GOOD_REVOKED = [1, 0, [["tests:sys", 1]], [["a:tests:sys", 1]]]
BAD_LISTS: list[object] = [
    None,
    [["ann.nec@a:tests:sys"]],
    [["ann.nec@a:tests:sys", "1e999"]],
    [["ann.nec@a:tests:sys", 7]],
    [["ann.nec@a:tests:sys", "1" * limits.MAX_PARAMS_BYTES + "1"]],
]
BAD_HOLDERS: list[object] = [
    None,
    [[], []],
    *([each, [], []] for each in BAD_LISTS),
    *([[], each, []] for each in BAD_LISTS),
    *([[], [], [each]] for each in ([*HELD, 1], [*HELD, 1, "text"], [*HELD, cbor2.CBORTag(35, "a"), bytes(64)])),
]
BAD_REVOKED: list[object] = [
    [1, 0, []],
    ["1", 0, [], []],
    [1, -1, [], []],
    [1, 1 << 64, [], []],
    [1, 0, [["tests:sys", None]], []],
    [1, 0, [], [["a:tests:sys", cbor2.CBORTag(2, b"1")]]],
]


def test_what_is_whole_is_read() -> None:
    kept = decode_untrusted({str(A): cbor2.dumps(GOOD_HOLDER)}, {"all": cbor2.dumps(GOOD_REVOKED)})
    assert kept.held == {A: ((FOREIGN,), ())}
    assert kept.proofs == {FOREIGN: Proof(1, bytes(64))}
    assert kept.revoked == Revoked(1, 0, ((A.package_id, 1),), ((A, 1),))


@pytest.mark.parametrize("value", BAD_HOLDERS)
def test_a_damaged_holder_is_one_error(value: object) -> None:
    with pytest.raises(DamagedGrants):
        decode_untrusted({str(A): cbor2.dumps(value)}, {})


def test_a_holder_without_a_name_is_one_error() -> None:
    with pytest.raises(DamagedGrants):
        decode_untrusted({"no id": cbor2.dumps(GOOD_HOLDER)}, {})


@pytest.mark.parametrize("value", BAD_REVOKED)
def test_damaged_revocations_are_one_error(value: object) -> None:
    with pytest.raises(DamagedGrants):
        decode_untrusted({}, {"all": cbor2.dumps(value)})


@given(st.binary(max_size=100), st.integers(0, 400), st.integers(0, 255))
def test_whatever_the_bytes_only_damaged_grants_escapes(data: bytes, index: int, byte: int) -> None:
    changed = bytearray(encode(((OWN, FOREIGN), ()), {FOREIGN: PROOF}))
    changed[index % len(changed)] = byte
    for each in (data, bytes(changed)):
        for grants, revoked in (({str(A): each}, {}), ({}, {"all": each})):
            try:
                decode_untrusted(grants, revoked)
            except DamagedGrants:
                assert True


# --- the former file ------------------------------------------------------------------------------------------------

GOOD_FILE = [2, [[str(A), [HELD], []]], GOOD_REVOKED, [[*HELD, 1, bytes(64)]]]


def test_g21_the_former_file_holds_what_the_rows_do() -> None:
    rows = decode_untrusted({str(A): cbor2.dumps(GOOD_HOLDER)}, {"all": cbor2.dumps(GOOD_REVOKED)})
    assert decode_file_untrusted(cbor2.dumps(GOOD_FILE)) == rows


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, 1),
        (1, None),
        (1, [["no id", [], []]]),
        (1, [[str(A), []]]),
        (1, [[7, [], []]]),
        *((1, [[str(A), each, []]]) for each in BAD_LISTS),
        *((2, each) for each in BAD_REVOKED),
        (3, [[*HELD, 1]]),
    ],
)
def test_a_damaged_former_file_is_one_error(index: int, value: object) -> None:
    fields: list[object] = list(GOOD_FILE)
    fields[index] = value
    with pytest.raises(DamagedGrants):
        decode_file_untrusted(cbor2.dumps(fields))


@given(st.binary(max_size=100), st.integers(0, 400), st.integers(0, 255))
def test_whatever_the_bytes_of_the_former_file_only_damaged_grants_escapes(data: bytes, index: int, byte: int) -> None:
    changed = bytearray(cbor2.dumps(GOOD_FILE))
    changed[index % len(changed)] = byte
    for each in (data, bytes(changed)):
        try:
            decode_file_untrusted(each)
        except DamagedGrants:
            assert True
