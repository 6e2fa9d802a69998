"""The key file: protected, or openly not; whole, or not there; one clear error for each failure."""

import errno
import os
import stat
from pathlib import Path

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.base.errors import KeyFileDamaged, KeyFileError, KeyFileExists, KeyFileMissing, WrongPassword
from net.names.keyfile import (
    Keys,
    create_key_file,
    decode_key_file_untrusted,
    read_key_file,
    seal,
    unlock_key_file,
    write_key_file,
)
from tests.cheap_keys import CHEAP
from tests.net.world import entropy_of, identity_of
from tests.seeds import examples

IDENTITY = identity_of("ann.test")
FORMER = identity_of("ann.test", "former")
KEYS = Keys(IDENTITY, None)
PROTECTED = seal(KEYS, b"secret", entropy_of("file"), CHEAP)
OPEN = seal(KEYS, None, entropy_of("file"))
CHANGING = seal(Keys(IDENTITY, FORMER), b"secret", entropy_of("file"), CHEAP)


def secrets(keys: Keys) -> tuple[str, bytes, bytes | None]:
    return keys.identity.name, keys.identity.seed, keys.previous.seed if keys.previous is not None else None


def test_a_protected_file_opens_with_its_password_alone() -> None:
    read = decode_key_file_untrusted(PROTECTED.encode())
    assert secrets(read.unlock(b"secret")) == ("ann.test", IDENTITY.seed, None)
    for password in (b"Secret", b"", None):
        with pytest.raises(WrongPassword):
            read.unlock(password)


def test_a_protected_file_does_not_contain_a_secret() -> None:
    assert IDENTITY.seed not in CHANGING.encode()
    assert FORMER.seed not in CHANGING.encode()
    assert repr(IDENTITY.seed) not in repr(OPEN)


def test_name_and_public_key_can_be_read_without_the_password() -> None:
    read = decode_key_file_untrusted(CHANGING.encode())
    assert (read.name, read.key.public_key) == ("ann.test", IDENTITY.public_key)
    assert read.protection is not None
    assert read.previous is not None
    assert read.previous.public_key == FORMER.public_key


def test_an_unprotected_file_says_so_and_needs_no_password() -> None:
    read = decode_key_file_untrusted(OPEN.encode())
    assert read.protection is None
    assert secrets(read.unlock(None)) == secrets(read.unlock(b"not needed")) == ("ann.test", IDENTITY.seed, None)


def test_a_former_key_lies_beside_the_new_one_until_it_is_dropped_without_the_password() -> None:
    read = decode_key_file_untrusted(CHANGING.encode())
    assert secrets(read.unlock(b"secret")) == ("ann.test", IDENTITY.seed, FORMER.seed)
    dropped = decode_key_file_untrusted(read.without_previous().encode())
    assert secrets(dropped.unlock(b"secret")) == ("ann.test", IDENTITY.seed, None)


def test_a_public_key_that_is_not_that_of_the_secret_is_damage() -> None:
    magic, name, protection, (_, box), previous = cbor2.loads(PROTECTED.encode())
    forged = cbor2.dumps([magic, name, protection, [FORMER.public_key, box], previous])
    with pytest.raises(KeyFileDamaged, match="public key"):
        decode_key_file_untrusted(forged).unlock(b"secret")


def test_the_file_on_disk_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_key_file(path, PROTECTED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert unlock_key_file(path, b"secret").identity.seed == IDENTITY.seed
    assert list(tmp_path.iterdir()) == [path]


def test_writing_replaces_a_file_and_what_an_interrupted_write_left(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")
    (tmp_path / "key.new").write_bytes(b"half of")
    write_key_file(path, PROTECTED)
    assert read_key_file(path) == PROTECTED
    assert list(tmp_path.iterdir()) == [path]


def test_creating_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "key"
    create_key_file(path, PROTECTED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(KeyFileExists, match="already"):
        create_key_file(path, OPEN)
    assert read_key_file(path) == PROTECTED
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_is_interrupted_before_its_end_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    write_key_file(path, PROTECTED)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write_key_file(path, OPEN)
    assert read_key_file(path) == PROTECTED


def test_a_missing_file_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(KeyFileMissing, match="no node key file"):
        read_key_file(tmp_path / "key")


def test_a_wrong_password_names_the_file(tmp_path: Path) -> None:
    write_key_file(tmp_path / "key", PROTECTED)
    with pytest.raises(WrongPassword, match="key: wrong password"):
        unlock_key_file(tmp_path / "key", b"wrong")


def test_a_full_disk_is_one_error_and_leaves_no_part_of_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileDamaged, match=r"cannot write .* No space left on device"):
        create_key_file(tmp_path / "key", PROTECTED)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(KeyFileDamaged, match="cannot write"):
        write_key_file(tmp_path / "missing" / "key", PROTECTED)


OPEN_KEY = [IDENTITY.public_key, IDENTITY.seed]
MAGIC = "nectar node key 2"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        bytes(5000),
        cbor2.dumps(["another magic", "ann.test", None, OPEN_KEY, None]),
        cbor2.dumps([MAGIC, "ANN", None, OPEN_KEY, None]),
        cbor2.dumps([MAGIC, "ann.test", None, [IDENTITY.public_key, bytes(31)], None]),
        cbor2.dumps([MAGIC, "ann.test", None, [bytes(31), IDENTITY.seed], None]),
        cbor2.dumps([MAGIC, "ann.test", None, OPEN_KEY, OPEN_KEY[:1]]),
        cbor2.dumps([MAGIC, "ann.test", None, OPEN_KEY]),
        cbor2.dumps([MAGIC, "ann.test", [bytes(16), 1, 1 << 40], [bytes(32), bytes(72)], None]),
        cbor2.dumps([MAGIC, "ann.test", [bytes(16), 1 << 40, 8192], [bytes(32), bytes(72)], None]),
        cbor2.dumps([MAGIC, "ann.test", [bytes(15), 1, 8192], [bytes(32), bytes(72)], None]),
        cbor2.dumps([MAGIC, "ann.test", [bytes(16), 1, 8192], [bytes(32), bytes(32)], None]),
    ],
)
def test_what_is_no_key_file_is_damaged(data: bytes) -> None:
    with pytest.raises(KeyFileDamaged):
        decode_key_file_untrusted(data)


@settings(max_examples=examples(100))
@given(position=st.integers(0, len(CHANGING.encode()) - 1), byte=st.integers(0, 255))
def test_one_changed_byte_never_gives_another_key(position: int, byte: int) -> None:
    data = CHANGING.encode()
    changed = data[:position] + bytes([byte]) + data[position + 1 :]
    try:
        keys = decode_key_file_untrusted(changed).unlock(b"secret")
    except KeyFileError:
        return
    assert secrets(keys)[1:] == (IDENTITY.seed, FORMER.seed)
