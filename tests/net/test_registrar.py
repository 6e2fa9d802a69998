"""First come, first served; who may change what; and nothing is granted that is not on the disk."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from net.directory import HeldRecord, SignedRecord, decode_record_untrusted, sign_record
from net.errors import (
    BadSignature,
    ForeignKey,
    NameTaken,
    RecordExpired,
    RecordFromTheFuture,
    RecordInvalid,
    RecordNotKept,
    RegistrarFull,
    RegistrationRefused,
    StaleSequence,
)
from net.identity import Identity
from net.limits import CLOCK_SKEW_SECONDS, RECORD_SECONDS
from net.registrar import Registrar
from tests.net.world import REGISTRAR, identity_of, record_of

ANN = identity_of("ann.test")
NEW = identity_of("ann.test", "new")
THIEF = identity_of("ann.test", "thief")


def apply(registrar: Registrar, signed: SignedRecord, applicant: Identity, at: float = 0.0) -> HeldRecord:
    """Ask for a grant, as who has proven to be `applicant`."""
    return registrar.register_untrusted(signed.encode(), applicant.name, applicant.public_key.__eq__, at)


def register(registrar: Registrar, signed: SignedRecord, applicant: Identity = ANN, at: float = 0.0) -> HeldRecord:
    """The same, and the disk keeps it."""
    granted = apply(registrar, signed, applicant, at)
    registrar.settle(granted, kept=True)
    return granted


def with_ann(sequence: int = 1) -> Registrar:
    """A registrar at which Ann has her name."""
    registrar = Registrar(REGISTRAR)
    register(registrar, record_of(ANN, sequence))
    return registrar


def lasting(identity: Identity, issued_at: int, expires_at: int, sequence: int = 1) -> SignedRecord:
    """A record with these times."""
    record = replace(record_of(identity, sequence).record, issued_at=issued_at, expires_at=expires_at)
    return sign_record(record, identity)


def test_a_name_is_granted_to_the_first() -> None:
    registrar = Registrar(REGISTRAR)
    granted = register(registrar, record_of(ANN))
    assert decode_record_untrusted(granted.encoded).granted_by(REGISTRAR.public_key)
    assert registrar.find("ann.test") == record_of(ANN).record
    with pytest.raises(NameTaken):
        apply(registrar, record_of(THIEF, sequence=99), THIEF)
    assert registrar.find("ann.test") == record_of(ANN).record


def test_a_grant_is_not_seen_before_it_is_kept_but_nobody_else_gets_the_name() -> None:
    registrar = Registrar(REGISTRAR)
    granted = apply(registrar, record_of(ANN), ANN)
    assert (registrar.find("ann.test"), registrar.signed("ann.test"), registrar.records()) == (None, None, [])
    with pytest.raises(NameTaken):
        apply(registrar, record_of(THIEF, sequence=2), THIEF)
    registrar.settle(granted, kept=True)
    assert registrar.signed("ann.test") == granted.encoded


def test_a_grant_that_the_disk_does_not_keep_was_never_given() -> None:
    registrar = Registrar(REGISTRAR)
    registrar.settle(apply(registrar, record_of(ANN), ANN), kept=False)
    assert registrar.find("ann.test") is None
    register(registrar, record_of(THIEF), THIEF)


def test_a_change_needs_a_higher_sequence() -> None:
    registrar = with_ann(sequence=5)
    for sequence in (4, 5):
        with pytest.raises(StaleSequence):
            apply(registrar, record_of(ANN, sequence, port=1), ANN)
    register(registrar, record_of(ANN, sequence=6, port=1))
    assert registrar.find("ann.test") == record_of(ANN, sequence=6, port=1).record


def test_a_change_of_what_is_not_kept_yet_needs_a_higher_sequence_too() -> None:
    registrar = Registrar(REGISTRAR)
    first = apply(registrar, record_of(ANN, sequence=5), ANN)
    with pytest.raises(StaleSequence):
        apply(registrar, record_of(ANN, sequence=5, port=1), ANN)
    second = apply(registrar, record_of(ANN, sequence=6), ANN)
    registrar.settle(first, kept=False)
    assert registrar.find("ann.test") is None
    registrar.settle(second, kept=True)
    assert registrar.signed("ann.test") == second.encoded


def test_the_same_record_is_granted_again() -> None:
    registrar = with_ann()
    assert apply(registrar, record_of(ANN), ANN).encoded == registrar.signed("ann.test")


def test_a_changed_key_needs_the_old_keys_signature() -> None:
    registrar = with_ann()
    record = record_of(NEW, sequence=2).record
    with pytest.raises(NameTaken):
        apply(registrar, sign_record(record, NEW), NEW)
    with pytest.raises(ForeignKey):
        apply(registrar, sign_record(record, NEW, THIEF), NEW)
    register(registrar, sign_record(record, NEW, ANN), NEW)
    found = registrar.find("ann.test")
    assert found is not None
    assert found.public_key == NEW.public_key
    with pytest.raises(NameTaken):
        apply(registrar, record_of(ANN, sequence=3), ANN)


def test_nobody_registers_a_record_that_is_not_his_own() -> None:
    for applicant in (identity_of("bob.test"), THIEF):
        with pytest.raises(ForeignKey):
            apply(Registrar(REGISTRAR), record_of(ANN), applicant)


def test_a_record_with_a_bad_signature_is_told_from_a_malformed_one() -> None:
    signed = replace(record_of(ANN), signature=THIEF.sign(b"nectar/1 name record", record_of(ANN).body))
    with pytest.raises(BadSignature):
        apply(Registrar(REGISTRAR), signed, ANN)
    with pytest.raises(RecordInvalid):
        Registrar(REGISTRAR).register_untrusted(b"junk", "ann.test", ANN.public_key.__eq__, 0.0)


def test_a_record_that_has_expired_is_not_granted() -> None:
    with pytest.raises(RecordExpired):
        apply(Registrar(REGISTRAR), lasting(ANN, 0, 100), ANN, at=100.0)
    apply(Registrar(REGISTRAR), lasting(ANN, 0, 100), ANN, at=99.9)


@pytest.mark.parametrize(
    ("issued_at", "expires_at"),
    [(CLOCK_SKEW_SECONDS + 101, RECORD_SECONDS), (100, CLOCK_SKEW_SECONDS + RECORD_SECONDS + 101)],
)
def test_a_record_from_too_far_in_the_future_is_not_granted(issued_at: int, expires_at: int) -> None:
    with pytest.raises(RecordFromTheFuture):
        apply(Registrar(REGISTRAR), lasting(ANN, issued_at, expires_at), ANN, at=100.0)
    apply(Registrar(REGISTRAR), lasting(ANN, issued_at - 1, expires_at - 1), ANN, at=100.0)


def test_an_expired_name_stays_with_its_key() -> None:
    registrar = with_ann()
    registrar.expire(RECORD_SECONDS)
    assert (registrar.find("ann.test"), registrar.signed("ann.test")) == (None, None)
    now = RECORD_SECONDS
    with pytest.raises(NameTaken):
        apply(registrar, lasting(THIEF, now, now + 10, 2), THIEF, at=now)
    register(registrar, lasting(ANN, now, now + 10, 2), at=now)
    assert registrar.find("ann.test") is not None


def test_the_registrars_own_name_is_not_for_others() -> None:
    thief = identity_of(REGISTRAR.name, "thief")
    with pytest.raises(NameTaken):
        apply(Registrar(REGISTRAR), record_of(thief), thief)


def test_names_are_not_granted_without_end() -> None:
    registrar = Registrar(REGISTRAR, max_names=1)
    bob = identity_of("bob.test")
    first = apply(registrar, record_of(ANN), ANN)
    with pytest.raises(RegistrarFull):
        apply(registrar, record_of(bob), bob)
    registrar.settle(first, kept=True)
    with pytest.raises(RegistrarFull):
        apply(registrar, record_of(bob), bob)
    register(registrar, record_of(ANN, sequence=2))


def test_what_was_granted_is_there_again_at_the_next_boot() -> None:
    registrar = with_ann()
    again = Registrar(REGISTRAR, registrar.records())
    assert again.signed("ann.test") == registrar.signed("ann.test")
    with pytest.raises(NameTaken):
        apply(again, record_of(THIEF, sequence=2), THIEF)


def test_every_refusal_has_its_own_code() -> None:
    kinds = (RecordInvalid, NameTaken, StaleSequence, RegistrarFull, BadSignature, ForeignKey)
    later = (RecordExpired, RecordFromTheFuture, RecordNotKept)
    assert [kind.code for kind in (*kinds, *later)] == list(range(1, 10))


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise_anything_but_a_refusal(data: bytes) -> None:
    with pytest.raises(RegistrationRefused):
        Registrar(REGISTRAR).register_untrusted(data, "ann.test", ANN.public_key.__eq__, 0.0)
