"""Name records and the two directories: only what is signed is believed."""

from dataclasses import replace

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from net.base.errors import BadNameRecord, ForgedNameRecord
from net.base.limits import CLOCK_SKEW_SECONDS, FIRST_RECORD_SECONDS, UNUSED_NAME_SECONDS
from net.names.directory import (
    Endpoint,
    HeldRecord,
    NameRecord,
    RecordTable,
    RegistrarDirectory,
    SignedRecord,
    decode_record_untrusted,
    decode_static_directory_untrusted,
    encode_static_directory,
    grant_record,
    sign_record,
)
from tests.net.world import GENESIS, REGISTRAR, identity_of, record_of

ANN = identity_of("ann.test")
BOB = identity_of("bob.test")
FULL = NameRecord(
    "ann.test", ANN.public_key, (Endpoint("::1", 1), Endpoint("host", 65535)), ("bob.test",), 7, 1234, 5678
)
GRANTED = grant_record(sign_record(FULL, ANN), REGISTRAR)


def test_a_record_survives_encoding() -> None:
    read = decode_record_untrusted(GRANTED.encode())
    assert read == GRANTED
    assert read.record == FULL
    assert read.granted_by(GENESIS.public_key)
    assert not read.granted_by(BOB.public_key)


def test_a_record_without_a_grant_is_granted_by_nobody() -> None:
    assert not decode_record_untrusted(sign_record(FULL, ANN).encode()).granted_by(GENESIS.public_key)


def test_the_old_keys_consent_is_for_this_record_alone() -> None:
    old = identity_of("ann.test", "old")
    signed = sign_record(FULL, ANN, old)
    assert signed.change_signed_by(old.public_key)
    assert not signed.change_signed_by(BOB.public_key)
    other = sign_record(replace(FULL, sequence=8), ANN)
    assert not replace(other, change_signature=signed.change_signature).change_signed_by(old.public_key)


def test_a_record_that_another_key_signed_is_bad() -> None:
    forged = replace(GRANTED, signature=BOB.sign(b"nectar/1 name record", GRANTED.body))
    with pytest.raises(ForgedNameRecord, match="own key"):
        decode_record_untrusted(forged.encode())


BODY: list[object] = [1, "ann.test", ANN.public_key, [["host", 1]], [], 1, 0, 9]


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, 2),
        (1, "ANN"),
        (1, None),
        (2, bytes(31)),
        (3, [["host", 0]]),
        (3, [["host", 65536]]),
        (3, [["", 1]]),
        (3, [["x" * 256, 1]]),
        (3, [["a b", 1]]),
        (3, [["host"]]),
        (3, [["host", 1]] * 9),
        (4, ["UPPER"]),
        (4, [1]),
        (5, -1),
        (5, 1 << 64),
        (6, "now"),
        (6, cbor2.CBORTag(2, b"\x01")),
        (7, -1),
        (7, None),
        (4, [[]] * 1000),
    ],
)
def test_malformed_records_are_bad_even_if_signed(index: int, value: object) -> None:
    fields = list(BODY)
    fields[index] = value
    body = cbor2.dumps(fields)
    signed = SignedRecord(FULL, body, ANN.sign(b"nectar/1 name record", body), None, None)
    with pytest.raises(BadNameRecord):
        decode_record_untrusted(signed.encode())


MARKED = replace(FULL, sequence=8, epoch=3, copy=12)


def granted(record: NameRecord) -> SignedRecord:
    """Signed by Ann, and granted."""
    return grant_record(sign_record(record, ANN), REGISTRAR)


def test_a_record_with_an_epoch_and_a_copy_survives_encoding_and_its_key_is_found() -> None:
    for record in (MARKED, replace(FULL, epoch=1), replace(FULL, copy=1)):
        assert decode_record_untrusted(granted(record).encode()).record == record
        assert granted(record).held().public_key() == ANN.public_key


def test_a_record_that_says_neither_is_as_it_was_before_there_were_any() -> None:
    assert len(cbor2.loads(GRANTED.body)) == 8
    assert len(cbor2.loads(granted(MARKED).body)) == 10


@pytest.mark.parametrize("marks", [[1], [1, -1], [-1, 1], [1 << 63, 0], ["1", 0], [1, None], [1, 1, 1]])
def test_malformed_marks_are_bad_even_if_signed(marks: list[object]) -> None:
    body = cbor2.dumps([*BODY, *marks])
    signed = SignedRecord(FULL, body, ANN.sign(b"nectar/1 name record", body), None, None)
    with pytest.raises(BadNameRecord):
        decode_record_untrusted(signed.encode())


def test_g21_a_record_of_a_lower_epoch_is_an_older_one_whatever_its_number() -> None:
    directory = RegistrarDirectory(GENESIS)
    directory.learn_untrusted(granted(MARKED).encode(), 0.0)
    for record in (replace(MARKED, sequence=9, epoch=2), replace(FULL, sequence=9)):
        assert directory.learn_untrusted(granted(record).encode(), 0.0) is None
        assert directory.find("ann.test") == MARKED
    assert directory.learn_untrusted(granted(replace(MARKED, sequence=9)).encode(), 0.0) is not None


def test_who_takes_a_name_that_was_free_begins_at_an_epoch_of_its_own() -> None:
    directory = RegistrarDirectory(GENESIS, [granted(MARKED).held()])
    later = MARKED.free_at + 1
    new = replace(FULL, public_key=BOB.public_key, sequence=1, issued_at=later, expires_at=later + 9)
    signed = grant_record(sign_record(new, BOB), REGISTRAR)
    assert directory.learn_untrusted(signed.encode(), float(later)) == signed.held()


def test_a_record_beyond_4096_bytes_is_bad() -> None:
    with pytest.raises(BadNameRecord, match="4096"):
        decode_record_untrusted(GRANTED.encode() + bytes(4096))


@given(position=st.integers(0, len(GRANTED.encode()) - 1), byte=st.integers(0, 255))
def test_one_changed_byte_never_changes_what_a_granted_record_says(position: int, byte: int) -> None:
    data = GRANTED.encode()
    changed = data[:position] + bytes([byte]) + data[position + 1 :]
    directory = RegistrarDirectory(GENESIS)
    try:
        directory.learn_untrusted(changed, 0.0)
    except BadNameRecord:
        assert directory.find("ann.test") is None
    else:
        assert directory.find("ann.test") == FULL


def test_a_cache_believes_the_registrar_alone() -> None:
    directory = RegistrarDirectory(GENESIS)
    with pytest.raises(BadNameRecord, match="not granted"):
        directory.learn_untrusted(grant_record(sign_record(FULL, ANN), BOB).encode(), 0.0)
    assert directory.find("ann.test") is None


def test_a_cache_keeps_the_record_with_the_highest_sequence() -> None:
    directory = RegistrarDirectory(GENESIS)
    newer = grant_record(record_of(ANN, sequence=9), REGISTRAR)
    assert directory.learn_untrusted(GRANTED.encode(), 0.0) == GRANTED.held()
    assert directory.learn_untrusted(newer.encode(), 0.0) == newer.held()
    assert directory.learn_untrusted(GRANTED.encode(), 0.0) is None
    assert directory.find("ann.test") == newer.record
    assert directory.signed("ann.test") == newer.encode()


def test_what_a_cache_holds_is_there_again_in_the_next_one() -> None:
    directory = RegistrarDirectory(GENESIS)
    directory.learn_untrusted(GRANTED.encode(), 0.0)
    assert RegistrarDirectory(GENESIS, directory.records()).find("ann.test") == FULL


def test_an_expired_record_is_unknown_and_an_older_one_does_not_take_its_place() -> None:
    directory = RegistrarDirectory(GENESIS, [GRANTED.held()])
    assert directory.next_expiry() == FULL.expires_at
    directory.expire(FULL.expires_at - 0.1)
    assert directory.find("ann.test") == FULL
    directory.expire(FULL.expires_at)
    assert (directory.find("ann.test"), directory.signed("ann.test")) == (None, None)
    assert directory.next_expiry() == FULL.free_at
    older = grant_record(record_of(ANN, sequence=FULL.sequence - 1), REGISTRAR)
    assert directory.learn_untrusted(older.encode(), 0.0) is None
    newer = grant_record(record_of(ANN, sequence=FULL.sequence + 1), REGISTRAR)
    assert directory.learn_untrusted(newer.encode(), 0.0) == newer.held()
    assert directory.find("ann.test") == newer.record


def test_a_record_has_not_expired_if_the_clock_that_said_so_is_set_back() -> None:
    directory = RegistrarDirectory(GENESIS, [GRANTED.held()])
    directory.expire(FULL.expires_at + 1e9)
    directory.expire(FULL.expires_at - 1.0)
    assert directory.find("ann.test") == FULL
    assert directory.next_expiry() == FULL.expires_at
    directory.expire(FULL.expires_at)
    assert directory.find("ann.test") is None


def test_a_record_that_has_expired_before_it_comes_is_not_learned() -> None:
    directory = RegistrarDirectory(GENESIS)
    assert directory.learn_untrusted(GRANTED.encode(), FULL.expires_at) is None
    assert directory.find("ann.test") is None


def test_a_cache_forgets_what_it_learned_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("net.names.directory.MAX_CACHED_RECORDS", 1)
    directory = RegistrarDirectory(GENESIS)
    for identity in (ANN, BOB):
        directory.learn_untrusted(grant_record(record_of(identity), REGISTRAR).encode(), 0.0)
    assert [record.name for record in directory.records()] == ["bob.test"]
    assert directory.find("ann.test") is None


def test_a_cache_knows_the_registrar_from_the_start_and_lets_nobody_change_that() -> None:
    directory = RegistrarDirectory(GENESIS)
    assert directory.find(GENESIS.name) == GENESIS.record()
    with pytest.raises(BadNameRecord, match="fixed"):
        directory.learn_untrusted(grant_record(record_of(REGISTRAR, 99), REGISTRAR).encode(), 0.0)


def test_a_static_directory_is_what_its_authority_signed() -> None:
    data = encode_static_directory([record_of(ANN), record_of(BOB)], REGISTRAR)
    directory = decode_static_directory_untrusted(data, REGISTRAR.public_key)
    assert directory.find("ann.test") == record_of(ANN).record
    assert directory.find("nobody.test") is None
    assert directory.genesis is None
    with pytest.raises(BadNameRecord, match="authority"):
        decode_static_directory_untrusted(data, ANN.public_key)


def test_a_static_directory_with_a_record_taken_out_is_bad() -> None:
    magic, records, signature = cbor2.loads(encode_static_directory([record_of(ANN), record_of(BOB)], REGISTRAR))
    with pytest.raises(BadNameRecord, match="authority"):
        decode_static_directory_untrusted(cbor2.dumps([magic, records[:1], signature]), REGISTRAR.public_key)


# --- names that change hands -----------------------------------------------------------------------------------------

THIEF = identity_of("ann.test", "thief")
FIRST = record_of(ANN, 57, seconds=FIRST_RECORD_SECONDS)
FREE_AT = FIRST_RECORD_SECONDS + UNUSED_NAME_SECONDS


def regranted(issued_at: int, sequence: int = 1) -> HeldRecord:
    """The record of who has got Ann's name after her."""
    return grant_record(record_of(THIEF, sequence, issued_at=issued_at, seconds=100), REGISTRAR).held()


def test_a_name_has_a_new_holder_whose_record_was_issued_when_it_was_free_whatever_its_number() -> None:
    directory = RegistrarDirectory(GENESIS, [grant_record(FIRST, REGISTRAR).held()])
    early, late = regranted(FREE_AT - 1), regranted(FREE_AT)
    assert directory.learn_untrusted(early.encoded, FREE_AT) is None
    assert directory.learn_untrusted(late.encoded, FREE_AT) == late
    record = directory.find("ann.test")
    assert record is not None
    assert record.public_key == THIEF.public_key


def test_and_who_had_it_before_does_not_get_it_back_with_an_old_record_of_a_higher_number() -> None:
    directory = RegistrarDirectory(GENESIS, [regranted(FREE_AT)])
    # By a clock that is days behind: by any other the old one has expired.
    assert directory.learn_untrusted(grant_record(FIRST, REGISTRAR).encode(), 0.0) is None
    record = directory.find("ann.test")
    assert record is not None
    assert record.public_key == THIEF.public_key


def test_a_node_believes_no_new_holder_while_the_name_is_not_free_by_its_own_clock() -> None:
    directory = RegistrarDirectory(GENESIS, [grant_record(FIRST, REGISTRAR).held()])
    new = regranted(FREE_AT)
    assert directory.learn_untrusted(new.encoded, FREE_AT - CLOCK_SKEW_SECONDS - 1) is None
    assert directory.learn_untrusted(new.encoded, FREE_AT - CLOCK_SKEW_SECONDS) == new


def test_a_record_of_a_free_name_is_forgotten() -> None:
    directory = RegistrarDirectory(GENESIS, [grant_record(FIRST, REGISTRAR).held()])
    directory.expire(FIRST_RECORD_SECONDS)
    assert directory.expire(FREE_AT - 1) == []
    assert directory.expire(FREE_AT) == ["ann.test"]
    assert directory.records() == []
    assert directory.next_expiry() is None


def test_a_static_directory_forgets_nothing() -> None:
    data = encode_static_directory([FIRST], REGISTRAR)
    directory = decode_static_directory_untrusted(data, REGISTRAR.public_key)
    assert directory.expire(FREE_AT + 1e9) == []
    directory.expire(0.0)
    assert directory.find("ann.test") == FIRST.record


def test_the_key_in_a_record_is_found_without_reading_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    long = identity_of(f"{'n' * 60}.{'n' * 60}.test")
    records = [GRANTED.held(), FIRST.held(), *(grant_record(record_of(who), REGISTRAR).held() for who in (BOB, long))]
    oddly_spelled = replace(FIRST, body=b"\x98\x08" + FIRST.body[1:]).held()
    assert oddly_spelled.public_key() == ANN.public_key
    monkeypatch.setattr(HeldRecord, "read", lambda _: None)
    assert [each.public_key() for each in records] == [each.public_key for each in (ANN, ANN, BOB, long)]


def test_only_the_records_that_were_asked_for_last_are_kept_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("net.names.directory.MAX_READ_RECORDS", 1)
    table = RecordTable([FIRST.held(), record_of(BOB).held()])
    for _ in range(2):
        assert (table.find("ann.test"), table.find("bob.test")) == (FIRST.record, record_of(BOB).record)
        assert list(table._read) == ["bob.test"]
