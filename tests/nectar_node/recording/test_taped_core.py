"""What a node has sent is told by a checksum that no other bytes have."""

from __future__ import annotations

import os

import pytest

from nectar_node.recording.taped_core import LONG_BYTES, summary
from net.base.ciphers import Cipher
from net.session.sealing import Sealer

KEY = bytes(range(32))
SIZES = 60_000, 1, 3000


def _records(plaintext: bytes, cipher: Cipher) -> memoryview:
    """Return a row of records of `SIZES`, as a core makes them."""
    memory, sealer, at = memoryview(bytearray(len(plaintext) + 18 * len(SIZES))), Sealer(KEY, cipher), 0
    for size in SIZES:
        part, plaintext = plaintext[:size], plaintext[size:]
        memory[at + 2 : at + 2 + size] = part
        at = sealer.seal(memory, at, size)
    return memory


@pytest.mark.parametrize("cipher", list(Cipher))
def test_a_row_of_records_has_another_checksum_when_any_byte_of_what_was_said_is_another(cipher: Cipher) -> None:
    said = os.urandom(sum(SIZES))
    whole = summary([_records(said, cipher)])
    assert whole == summary([_records(said, cipher)])
    for at in (0, 255, 256, 30_000, SIZES[0] - 1, SIZES[0], SIZES[0] + 1, len(said) - 1):
        other = bytearray(said)
        other[at] ^= 1
        assert summary([_records(bytes(other), cipher)]) != whole


@pytest.mark.parametrize("size", [1, LONG_BYTES, LONG_BYTES + 1, 70_000])
@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_bytes_of_others_have_another_checksum_when_any_of_them_is_another(size: int, kind: type) -> None:
    data = bytes([255, 255]) + os.urandom(size)  # no row of records
    whole = summary([kind(data)])
    for at in {0, size // 2, size - 1, size + 1}:
        other = bytearray(data)
        other[at] ^= 1
        assert summary([kind(bytes(other))]) != whole


def test_a_relayed_row_of_records_is_told_by_all_of_its_bytes() -> None:
    data = bytearray(_records(os.urandom(sum(SIZES)), next(iter(Cipher))))
    whole = summary([bytes(data)])
    data[1000] ^= 1
    assert summary([bytes(data)]) != whole
