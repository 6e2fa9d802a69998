"""The key file: protected, or openly not; whole, or not there; one clear error for each failure."""

import stat
from pathlib import Path

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.errors import KeyFileDamaged, KeyFileError, KeyFileMissing, WrongPassword
from net.keyfile import (
    CHEAP,
    decode_key_file_untrusted,
    encode_key_file,
    read_key_file,
    write_key_file,
)
from tests.net.world import entropy_of, identity_of

IDENTITY = identity_of("ann.test")
PROTECTED = encode_key_file(IDENTITY, "secret", entropy_of("file"), CHEAP)


def test_a_protected_file_opens_with_its_password_alone() -> None:
    identity = decode_key_file_untrusted(PROTECTED, "secret")
    assert (identity.name, identity.seed) == (IDENTITY.name, IDENTITY.seed)
    for password in ("Secret", "", None):
        with pytest.raises(WrongPassword):
            decode_key_file_untrusted(PROTECTED, password)


def test_a_protected_file_does_not_contain_the_seed() -> None:
    assert IDENTITY.seed not in PROTECTED


def test_an_unprotected_file_says_so_and_needs_no_password() -> None:
    data = encode_key_file(IDENTITY, None, entropy_of("file"))
    assert b"unprotected" in data
    assert decode_key_file_untrusted(data, None).seed == IDENTITY.seed
    assert decode_key_file_untrusted(data, "not needed").seed == IDENTITY.seed


def test_the_file_on_disk_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_key_file(path, PROTECTED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_file(path, "secret").seed == IDENTITY.seed
    assert list(tmp_path.iterdir()) == [path]


def test_writing_replaces_a_file_and_what_an_interrupted_write_left(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")
    (tmp_path / "key.new").write_bytes(b"half of")
    write_key_file(path, PROTECTED)
    assert path.read_bytes() == PROTECTED


def test_a_missing_file_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(KeyFileMissing, match="no node key file"):
        read_key_file(tmp_path / "key", None)


def test_a_wrong_password_names_the_file(tmp_path: Path) -> None:
    write_key_file(tmp_path / "key", PROTECTED)
    with pytest.raises(WrongPassword, match="key: wrong password"):
        read_key_file(tmp_path / "key", "wrong")


def test_a_folder_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(KeyFileDamaged, match="cannot write"):
        write_key_file(tmp_path / "missing" / "key", PROTECTED)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        bytes(5000),
        cbor2.dumps(["another magic", "ann.test", "unprotected", None, bytes(32)]),
        cbor2.dumps(["nectar node key 1", "ann.test", "unprotected", None, bytes(31)]),
        cbor2.dumps(["nectar node key 1", "NO NAME", "unprotected", None, bytes(32)]),
        cbor2.dumps(["nectar node key 1", "ann.test", "password", [bytes(16), 1, 1 << 40], bytes(72)]),
        cbor2.dumps(["nectar node key 1", "ann.test", "password", [bytes(15), 1, 8192], bytes(72)]),
        cbor2.dumps(["nectar node key 1", "ann.test", "password", [bytes(16), 99, 8192], bytes(72)]),
        cbor2.dumps(["nectar node key 1", "ann.test", "password", [bytes(16), 1, 8192], bytes(5)]),
    ],
)
def test_what_is_no_key_file_is_damaged(data: bytes) -> None:
    with pytest.raises(KeyFileDamaged):
        decode_key_file_untrusted(data, "secret")


@settings(deadline=None)
@given(position=st.integers(0, len(PROTECTED) - 1), byte=st.integers(0, 255))
def test_one_changed_byte_never_gives_another_key_nor_another_error(position: int, byte: int) -> None:
    changed = PROTECTED[:position] + bytes([byte]) + PROTECTED[position + 1 :]
    try:
        identity = decode_key_file_untrusted(changed, "secret")
    except KeyFileError:
        return
    assert identity.seed == IDENTITY.seed
