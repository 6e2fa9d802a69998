"""What has left the node and is still worth something (G21), with nothing remembered of issuers that nobody killed."""

from __future__ import annotations

import pytest

from kernel.capabilities.revocations import Revocations
from kernel.contract import limits
from kernel.contract.address import ProcessId

A, B = ProcessId("a", "tests", "sys"), ProcessId("b", "tests", "sys")
OTHER = ProcessId("a", "other", "sys")


def child(number: int) -> ProcessId:
    return ProcessId(f"child{number}", "tests", "sys")


@pytest.fixture
def revocations() -> Revocations:
    return Revocations()


def test_g21_what_was_issued_before_a_revocation_is_worth_nothing_and_what_after_is(revocations: Revocations) -> None:
    before = revocations.issue()
    assert revocations.is_valid(A, before)
    assert revocations.revoke(A)
    assert not revocations.is_valid(A, before)
    assert revocations.is_valid(A, revocations.issue())


@pytest.mark.parametrize("least", [0, 1, 1000])
def test_g21_a_revocation_of_everything_is_of_what_left_under_numbers_that_are_not_known_too(
    revocations: Revocations, least: int
) -> None:
    before = revocations.issue()
    revocations.revoke_everything(least)
    assert not any(revocations.is_valid(each, number) for each in (A, OTHER) for number in (before, least))
    assert revocations.is_valid(A, revocations.issue())
    assert revocations.everything >= max(before, least)


def test_g21_a_revocation_touches_no_other_issuer(revocations: Revocations) -> None:
    before = revocations.issue()
    revocations.revoke(A)
    assert revocations.is_valid(B, before)


def test_g21_revoking_what_never_left_changes_nothing(revocations: Revocations) -> None:
    assert not revocations.revoke(A)
    revocations.issue()
    assert revocations.revoke(A)
    assert not revocations.revoke(A)


def test_g21_however_many_issuers_there_are_everybody_can_still_issue(
    revocations: Revocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_REVOKED", 10)
    for number in range(100):
        issued = revocations.issue()
        assert revocations.is_valid(child(number), issued)
        revocations.revoke(child(number))
        assert not revocations.is_valid(child(number), issued)
    assert len(revocations.snapshot().issuers) == 10


def test_g21_many_revocations_of_one_package_cost_the_others_nothing(
    revocations: Revocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_REVOKED", 2)
    early = revocations.issue()
    for number in range(9):
        revocations.issue()
        revocations.revoke(child(number))
    assert revocations.is_valid(OTHER, early)
    assert not revocations.is_valid(A, early)  # of the package that revoked so much
    assert revocations.is_valid(A, revocations.issue())


def test_g21_too_many_packages_are_merged_into_one_revocation_of_all(
    revocations: Revocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_REVOKED_PACKAGES", 2)
    early = revocations.issue()
    numbers = []
    for number in range(4):
        numbers.append(revocations.issue())
        revocations.revoke(ProcessId("a", f"package{number}", "sys"))
    assert len(revocations.snapshot().issuers) == 2
    assert not any(revocations.is_valid(ProcessId("a", f"package{each}", "sys"), numbers[each]) for each in range(4))
    assert not revocations.is_valid(OTHER, early)


def test_g21_revocations_survive_a_reboot(revocations: Revocations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_REVOKED", 1)
    numbers = []
    for process in (A, B, OTHER):
        numbers.append(revocations.issue())
        revocations.revoke(process)
    again = Revocations()
    again.restore(revocations.snapshot())
    assert again.snapshot() == revocations.snapshot()
    assert not any(again.is_valid(process, number) for process, number in zip((A, B, OTHER), numbers, strict=True))
    assert again.is_valid(A, again.issue())


def test_g21_what_left_just_before_a_reboot_can_still_be_revoked(revocations: Revocations) -> None:
    snapshot = revocations.snapshot()
    left = revocations.issue()  # changes nothing that would be kept
    again = Revocations()
    again.restore(snapshot)
    assert again.is_valid(A, left)
    assert again.revoke(A)
    assert not again.is_valid(A, left)
