"""Signatures of other nodes' capabilities: what is held keeps its proof, and nobody evicts another's (G20)."""

from __future__ import annotations

import pytest

from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from nectar_node.peers import proofs as module
from nectar_node.peers.proofs import Proof, Proofs

ISSUER = Address("ann.test", ProcessId("vault", "tests", "sys"))
PROOF = Proof(1, bytes(64))


def key(number: int) -> Capability:
    return Capability(ISSUER, str(number))


@pytest.fixture
def held() -> set[Capability]:
    return set()


@pytest.fixture
def proofs(held: set[Capability]) -> Proofs:
    return Proofs(held.__contains__)


def known(proofs: Proofs, count: int) -> list[int]:
    return [number for number in range(count) if proofs.get(key(number)) is not None]


def test_g20_of_what_one_node_sends_the_latest_is_kept(proofs: Proofs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PEER_PROOFS", 2)
    for number in range(3):
        proofs.keep("bob.test", key(number), PROOF)
    assert known(proofs, 3) == [1, 2]


def test_g20_what_one_node_sends_is_bounded_in_bytes(proofs: Proofs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PEER_BYTES", 2 * 257)
    for number in range(3):
        proofs.keep("bob.test", key(number), PROOF)
    assert known(proofs, 3) == [1, 2]


def test_g20_a_node_that_sends_much_evicts_only_its_own(proofs: Proofs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PEER_PROOFS", 2)
    proofs.keep("bob.test", key(0), PROOF)
    for number in range(1, 10):
        proofs.keep("mal.test", key(number), PROOF)
    assert known(proofs, 10) == [0, 8, 9]


def test_g20_beyond_the_bound_of_all_the_node_that_sent_most_loses_first(
    proofs: Proofs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 3 * 257)
    proofs.keep("bob.test", key(0), PROOF)
    for number in range(1, 10):
        proofs.keep("mal.test", key(number), PROOF)
    assert known(proofs, 10) == [0, 8, 9]


def test_g20_what_is_held_keeps_its_proof(
    proofs: Proofs, held: set[Capability], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PEER_PROOFS", 1)
    held.add(key(0))
    for number in range(3):
        proofs.keep("bob.test", key(number), PROOF)
    assert known(proofs, 3) == [0, 2]
    proofs.keep("bob.test", key(0), Proof(2, bytes(64)))
    assert proofs.get(key(0)) == Proof(2, bytes(64))
    assert proofs.peek(key(0)) == Proof(2, bytes(64))


def test_what_is_held_no_longer_is_given_up(
    proofs: Proofs, held: set[Capability], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PEER_PROOFS", 1)
    held.add(key(0))
    for number in range(2):
        proofs.keep("bob.test", key(number), PROOF)
    held.clear()
    assert known(proofs, 2) == [0, 1]
    proofs.forget_unheld(())
    assert known(proofs, 2) == [1]
    assert len(proofs) == 1


def test_what_is_used_is_not_the_first_to_go(proofs: Proofs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PEER_PROOFS", 2)
    proofs.keep("bob.test", key(0), PROOF)
    proofs.keep("bob.test", key(1), PROOF)
    proofs.get(key(0))
    proofs.keep("bob.test", key(2), PROOF)
    assert known(proofs, 3) == [0, 2]


def test_g21_the_proofs_of_what_is_held_survive_a_reboot(proofs: Proofs, held: set[Capability]) -> None:
    held.add(key(0))
    proofs.keep("bob.test", key(0), PROOF)
    again = Proofs(held.__contains__)
    kept = proofs.peek(key(0))
    assert kept is not None
    again.restore({key(0): kept})
    assert again.get(key(0)) == PROOF


@pytest.mark.parametrize("anew", [False, True], ids=["of this boot", "of the last one"])
def test_g21_another_proof_of_what_is_held_is_a_change_to_be_kept(
    proofs: Proofs, held: set[Capability], anew: bool
) -> None:
    proofs.keep("bob.test", key(1), PROOF)
    held.add(key(1))
    if anew:
        proofs = Proofs(held.__contains__)
        proofs.restore({key(1): PROOF})
    proofs.keep("bob.test", key(1), PROOF)
    assert proofs.changed == set()
    proofs.keep("bob.test", key(1), Proof(2, bytes(64)))
    assert proofs.changed == {key(1)}


def test_g20_another_proof_counts_if_it_is_newer_and_of_what_is_held(proofs: Proofs) -> None:
    proofs.keep("bob.test", key(1), PROOF)
    assert proofs.changed == set()
    proofs.keep("bob.test", key(1), Proof(2, bytes(64)))
    proofs.keep("eve.test", key(1), PROOF)
    assert proofs.get(key(1)) == Proof(2, bytes(64))
