"""The bytes of the capability store (G21): written without loss, encoded once, and one error for whatever else."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nectar_node.peers.grant_file import DamagedGrants, GrantFile, decode_untrusted

from kernel.capabilities.grants import Grants
from kernel.contract import limits
from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from nectar_node.peers.proofs import Proof, Proofs

OUR = "our.nec"
A, B = ProcessId("a", "tests", "sys"), ProcessId("b", "tests", "sys")
OWN = Capability(Address(OUR, A), '{"door":1}')
FOREIGN = Capability(Address("ann.nec", A), '"key"')
PROOF = Proof(3, bytes(64))


class Store:
    """A node's grants and proofs, and their file."""

    def __init__(self) -> None:
        self.grants = Grants(OUR)
        self.proofs = Proofs(self.grants.is_held)
        self.file = GrantFile(OUR, self.grants, self.proofs)


@pytest.fixture
def store() -> Store:
    store = Store()
    store.proofs.keep("bob.nec", FOREIGN, PROOF)
    store.grants.save(A, [OWN, FOREIGN])
    store.grants.grant_bounded(B, [OWN])
    store.grants.issue()
    store.grants.revoke(Address(OUR, B))
    return store


def test_g21_the_store_crosses_without_loss(store: Store) -> None:
    held, revoked, proofs = decode_untrusted(store.file.encode())
    assert (held, revoked) == store.grants.snapshot()
    assert held == {A: ((FOREIGN, OWN), ()), B: ((), (OWN,))}
    assert revoked.issuers == ((B, 1),)
    assert proofs == {FOREIGN: PROOF}


def test_g21_what_has_changed_since_is_in_the_next_file(store: Store) -> None:
    store.file.encode()
    store.grants.drop(A, [FOREIGN])
    store.grants.forget(B)
    assert decode_untrusted(store.file.encode())[0] == {A: ((OWN,), ())}
    assert decode_untrusted(store.file.encode())[2] == {}


def test_what_has_not_changed_is_not_encoded_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.file.encode()
    store.grants.drop(B, [OWN])
    encoded, original = [], cbor2.dumps

    def dumps(value: object) -> bytes:
        encoded.append(value)
        return original(value)

    monkeypatch.setattr(cbor2, "dumps", dumps)
    store.file.encode()
    assert not [value for value in encoded if isinstance(value, list) and value[0] == str(A)]


GOOD = [2, [], [1, 0, [], []], []]
HELD = [str(Address("ann.nec", A)), '"key"']


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, 1),
        (1, None),
        (1, [["no id", [], []]]),
        (1, [[str(A), []]]),
        (1, [[str(A), [["ann.nec@a:tests:sys"]], []]]),
        (1, [[str(A), [["ann.nec@a:tests:sys", "1e999"]], []]]),
        (1, [[str(A), [["ann.nec@a:tests:sys", 7]], []]]),
        (1, [[str(A), [["ann.nec@a:tests:sys", "1" * limits.MAX_PARAMS_BYTES + "1"]], []]]),
        (1, [[7, [], []]]),
        (2, [1, 0, []]),
        (2, ["1", 0, [], []]),
        (2, [1, -1, [], []]),
        (2, [1, 0, [["tests:sys", None]], []]),
        (2, [1, 0, [], [["a:tests:sys", cbor2.CBORTag(2, b"1")]]]),
        (3, [[*HELD, 1]]),
        (3, [[*HELD, 1, "text"]]),
        (3, [[*HELD, cbor2.CBORTag(35, "a"), bytes(64)]]),
    ],
)
def test_a_damaged_store_is_one_error(index: int, value: object) -> None:
    decode_untrusted(cbor2.dumps(GOOD))
    fields = list(GOOD)
    fields[index] = value
    with pytest.raises(DamagedGrants):
        decode_untrusted(cbor2.dumps(fields))


@given(st.binary(max_size=100), st.integers(0, 400), st.integers(0, 255))
def test_whatever_the_bytes_only_damaged_store_escapes(data: bytes, index: int, byte: int) -> None:
    store = Store()
    store.grants.save(A, [OWN, FOREIGN])
    changed = bytearray(store.file.encode())
    changed[index % len(changed)] = byte
    for each in (data, bytes(changed)):
        try:
            decode_untrusted(each)
        except DamagedGrants:
            assert True
