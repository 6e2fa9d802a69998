"""Which records are a node's own: what is older or forged changes nothing, and of two copies one stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from net.base.limits import COPY_SECONDS, RENEWAL_SECONDS, RENEWALS_AT_ONCE
from net.names.directory import SignedRecord, sign_record
from net.names.own_records import Finding, OwnRecords
from tests.net.world import identity_of, record_of

ANN = identity_of("ann.test")
FORMER = identity_of("ann.test", "former")
THIEF = identity_of("ann.test", "thief")
KEYS = (ANN.public_key, FORMER.public_key)


def own(sequence: int | None = 5, epoch: int = 0, *signed: SignedRecord) -> OwnRecords:
    """Those of a node that has booted after record `sequence`, and has signed these since."""
    records = OwnRecords(KEYS, sequence, epoch, keeps_sequence=True)
    for each in signed:
        records.sign(each.record.sequence, each.body, 0.0)
    return records


def copys(sequence: int, epoch: int = 0) -> SignedRecord:
    """A record that another copy of the node has signed."""
    return sign_record(replace(record_of(ANN, sequence, port=9).record, epoch=epoch), ANN)


@pytest.mark.parametrize("sequence", [1, 4, 5])
def test_a_record_of_an_earlier_boot_says_nothing(sequence: int) -> None:
    assert own().judge(record_of(ANN, sequence)) is Finding.NOTHING
    records = own(5, 0, record_of(ANN, 6))
    assert records.judge(record_of(ANN, 6)) is Finding.NOTHING
    assert records.judge(record_of(ANN, sequence)) is Finding.NOTHING


@pytest.mark.parametrize("shown", [copys(6), copys(60), copys(5, epoch=1), copys(4, epoch=9)])
def test_at_a_boot_a_record_that_the_node_does_not_remember_shows_that_its_store_is_older(shown: SignedRecord) -> None:
    records = own()
    assert records.judge(shown) is Finding.OUTDATED
    records.raise_epoch(9)
    assert records.judge(shown) is Finding.NOTHING
    assert not records.is_wanted(shown.record)


def test_after_its_own_grant_a_higher_record_is_of_a_copy_that_came_later() -> None:
    records = own(5, 0, record_of(ANN, 6))
    records.judge(record_of(ANN, 6))
    records.sign(7, record_of(ANN, 7).body, 1.0)
    assert records.judge(copys(6)) is Finding.NOTHING
    assert records.judge(record_of(ANN, 7)) is Finding.NOTHING
    assert records.judge(copys(7)) is Finding.NOTHING
    assert records.judge(copys(8)) is Finding.SUPERSEDED


def test_two_copies_may_have_signed_the_same_number() -> None:
    records = own(5, 0, record_of(ANN, 6), record_of(ANN, 7))
    records.judge(record_of(ANN, 6))
    assert records.judge(copys(7)) is Finding.SUPERSEDED


def test_a_record_of_another_key_is_no_copys_unless_the_nodes_key_has_agreed() -> None:
    records = own(5, 0, record_of(ANN, 6))
    records.judge(record_of(ANN, 6))
    stolen = record_of(THIEF, 99)
    assert records.judge(stolen) is Finding.NOTHING
    assert records.judge(replace(stolen, change_signature=THIEF.sign(b"x", b""))) is Finding.NOTHING
    assert records.judge(sign_record(stolen.record, THIEF, ANN)) is Finding.SUPERSEDED


def test_a_store_from_before_a_change_of_the_key_is_an_older_one() -> None:
    assert own().judge(record_of(FORMER, 6)) is Finding.OUTDATED


def test_a_store_that_never_kept_a_number_goes_by_the_epoch_alone() -> None:
    assert own(None).judge(copys(6)) is Finding.NOTHING
    assert own(None).judge(copys(6, epoch=1)) is Finding.OUTDATED


def test_without_numbers_that_are_kept_nothing_is_found() -> None:
    records = OwnRecords(KEYS)
    records.sign(1, record_of(ANN, 1).body, 0.0)
    records.judge(record_of(ANN, 1))
    assert records.judge(copys(8)) is Finding.NOTHING


def test_a_boot_registers_under_a_number_of_its_own() -> None:
    records = own()
    assert not records.is_wanted(record_of(ANN, 5).record)
    assert records.is_wanted(record_of(ANN, 6).record)


def test_revocations_renew_the_record_a_few_times_at_once_and_then_at_a_pace() -> None:
    records, now, renewed = own(), 0.0, 0
    while now < 100 * RENEWAL_SECONDS:
        due = records.revoke(0, now)
        if due > now:
            assert due - now <= RENEWAL_SECONDS
            now = due
        records.renew(now)
        renewed += 1
        now += 1.0
    assert renewed <= RENEWALS_AT_ONCE + 101


def test_a_copys_number_waits_for_an_hour_after_the_last_record_and_never_falls() -> None:
    records = own()
    records.sign(6, b"", 100.0)
    assert records.set_copy(7, 200.0) == 100.0 + COPY_SECONDS
    assert records.set_copy(7, 300.0) is None
    assert records.set_copy(3, 300.0) is None
    assert records.set_copy(8, 2 * COPY_SECONDS) == 2 * COPY_SECONDS
    assert records.copy == 8
