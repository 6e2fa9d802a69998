"""Records: in order, unchanged, or not at all; and their framing, however the stream is cut."""

from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from net.base.ciphers import Cipher
from net.base.errors import BadRecord
from net.base.limits import MAX_PLAINTEXT_BYTES, RECORDS_PER_KEY
from net.session.sealing import Opener, Sealer, Splitter
from tests.net.independent import Cipher as Independent

KEY = bytes(range(32))
both_ciphers = pytest.mark.parametrize("cipher", Cipher, ids=lambda cipher: cipher.value)


def sealed(sealer: Sealer, plaintext: bytes) -> bytes:
    """The record without its length."""
    buffer = bytearray(2) + plaintext + bytes(16)
    end = sealer.seal(memoryview(buffer), 0, len(plaintext))
    assert end == len(buffer)
    assert int.from_bytes(buffer[:2], "big") == len(plaintext) + 16
    return bytes(buffer[2:])


def opened(opener: Opener, record: bytes) -> bytes:
    """Its plaintext."""
    into = bytearray(MAX_PLAINTEXT_BYTES)
    return bytes(into[: opener.open_untrusted(record, memoryview(into))])


@both_ciphers
def test_records_open_in_the_order_in_which_they_were_sealed(cipher: Cipher) -> None:
    sealer, opener = Sealer(KEY, cipher), Opener(KEY, cipher)
    for plaintext in (b"one", b"two", bytes(MAX_PLAINTEXT_BYTES)):
        assert opened(opener, sealed(sealer, plaintext)) == plaintext


@pytest.mark.parametrize(("before", "then"), [([], 1), ([0], 0), ([0, 1], 0)])
def test_a_lost_or_repeated_record_does_not_open(before: list[int], then: int) -> None:
    sealer, opener = Sealer(KEY), Opener(KEY)
    records = [sealed(sealer, b"one"), sealed(sealer, b"two")]
    for index in before:
        opened(opener, records[index])
    with pytest.raises(BadRecord):
        opened(opener, records[then])


def test_a_key_of_aes_gcm_encrypts_no_more_records_than_its_limit_allows() -> None:
    """Both sides take the next key after as many records, as Noise makes it; nothing but the key changes."""
    aes, limit = Cipher.AES_GCM, 3
    sealer, opener = Sealer(KEY, aes, limit), Opener(KEY, aes, limit)
    independent, key = Independent(KEY, aes=True), KEY
    independent.per_key = limit
    keys: list[bytes] = []
    for number in range(4 * limit + 1):
        record = sealed(sealer, b"text")
        assert record == independent.seal(b"text")
        assert opened(opener, record) == b"text"
        if number % limit == 0 and number:
            key = AESGCM(key).encrypt(aes.nonce.pack((1 << 64) - 1), bytes(32), b"")[:32]
        assert AESGCM(key).decrypt(aes.nonce.pack(number), record, b"") == b"text"
        keys.append(key)
    assert max(map(keys.count, keys)) == limit
    assert len(set(keys)) == 5


def test_the_limit_of_a_key_keeps_within_what_tls_allows() -> None:
    """RFC 8446, section 5.5: 2^24.5 records of 2^14 bytes, in blocks of 16 bytes, and one for each tag."""
    blocks = -(-MAX_PLAINTEXT_BYTES // 16) + 1
    assert Cipher.AES_GCM.records_per_key == RECORDS_PER_KEY
    assert RECORDS_PER_KEY * blocks <= 2**34 < 2**24.5 * (2**14 // 16)
    assert Cipher.CHACHA20_POLY1305.records_per_key is None


def test_a_side_that_keeps_its_key_too_long_is_not_understood() -> None:
    sealer, opener = Sealer(KEY, Cipher.AES_GCM, 3), Opener(KEY, Cipher.AES_GCM, 2)
    for _ in range(2):
        opened(opener, sealed(sealer, b"text"))
    with pytest.raises(BadRecord):
        opened(opener, sealed(sealer, b"text"))


@given(pieces=st.lists(st.binary(max_size=50), max_size=8), cuts=st.lists(st.integers(0, 300), max_size=10))
def test_the_splitter_gives_the_same_pieces_however_the_stream_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(len(piece).to_bytes(2, "big") + piece for piece in pieces)
    bounds = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    splitter = Splitter()
    found: list[bytes] = []
    for begin, end in pairwise(bounds):
        found.extend(bytes(piece) for piece in splitter.split(stream[begin:end]))
    assert found == pieces
    assert splitter.held == 0


def test_the_splitter_keeps_at_most_one_piece_and_tells_its_length() -> None:
    splitter = Splitter()
    assert list(splitter.split(b"\xff")) == []
    assert splitter.expected() is None
    assert list(splitter.split(b"\xff" + bytes(1000))) == []
    assert (splitter.expected(), splitter.held) == (65535, 1002)
