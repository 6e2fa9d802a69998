"""First come, first served; and who may change what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from net.directory import sign_record
from net.errors import (
    BadNameRecord,
    NameTaken,
    RecordInvalid,
    RegistrarFull,
    RegistrationRefused,
    StaleSequence,
)
from net.registrar import Registrar
from tests.net.world import REGISTRAR, identity_of, record_of

ANN = identity_of("ann.test")
THIEF = identity_of("ann.test", "thief")


def test_a_name_is_granted_to_the_first() -> None:
    registrar = Registrar(REGISTRAR)
    granted = registrar.register_untrusted(record_of(ANN).encode())
    assert granted.granted_by(REGISTRAR.public_key)
    assert registrar.find("ann.test") == granted.record
    with pytest.raises(NameTaken):
        registrar.register_untrusted(record_of(THIEF, sequence=99).encode())
    assert registrar.find("ann.test") == granted.record


def test_a_change_needs_a_higher_sequence() -> None:
    registrar = Registrar(REGISTRAR)
    registrar.register_untrusted(record_of(ANN, sequence=5).encode())
    for sequence in (4, 5):
        with pytest.raises(StaleSequence):
            registrar.register_untrusted(record_of(ANN, sequence=sequence, port=1).encode())
    changed = registrar.register_untrusted(record_of(ANN, sequence=6, port=1).encode())
    assert registrar.find("ann.test") == changed.record


def test_the_same_record_is_granted_again() -> None:
    registrar = Registrar(REGISTRAR)
    data = record_of(ANN).encode()
    assert registrar.register_untrusted(data) == registrar.register_untrusted(data)


def test_a_changed_key_needs_the_old_keys_signature() -> None:
    registrar = Registrar(REGISTRAR)
    registrar.register_untrusted(record_of(ANN).encode())
    new = identity_of("ann.test", "new")
    record = record_of(new, sequence=2).record
    with pytest.raises(NameTaken):
        registrar.register_untrusted(sign_record(record, new, THIEF).encode())
    registrar.register_untrusted(sign_record(record, new, ANN).encode())
    found = registrar.find("ann.test")
    assert found is not None
    assert found.public_key == new.public_key


def test_the_registrars_own_name_is_not_for_others() -> None:
    registrar = Registrar(REGISTRAR)
    with pytest.raises(NameTaken):
        registrar.register_untrusted(record_of(identity_of(REGISTRAR.name, "thief")).encode())


def test_names_are_not_granted_without_end() -> None:
    registrar = Registrar(REGISTRAR, max_names=1)
    registrar.register_untrusted(record_of(ANN).encode())
    with pytest.raises(RegistrarFull):
        registrar.register_untrusted(record_of(identity_of("bob.test")).encode())
    registrar.register_untrusted(record_of(ANN, sequence=2).encode())


def test_what_was_granted_survives_in_bytes() -> None:
    registrar = Registrar(REGISTRAR)
    registrar.register_untrusted(record_of(ANN).encode())
    again = Registrar(REGISTRAR, registrar.records())
    assert again.signed("ann.test") == registrar.signed("ann.test")


def test_a_store_with_a_record_that_was_not_granted_is_not_taken() -> None:
    with pytest.raises(BadNameRecord, match="not granted"):
        Registrar(REGISTRAR, [record_of(ANN).encode()])


def test_every_refusal_has_its_own_code() -> None:
    codes = [kind.code for kind in (RecordInvalid, NameTaken, StaleSequence, RegistrarFull)]
    assert codes == [1, 2, 3, 4]


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise_anything_but_a_refusal(data: bytes) -> None:
    with pytest.raises(RegistrationRefused):
        Registrar(REGISTRAR).register_untrusted(data)
