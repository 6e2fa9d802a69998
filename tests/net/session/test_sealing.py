"""Records: in order, unchanged, or not at all; and their framing, however the stream is cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from net.base.errors import BadRecord
from net.base.limits import MAX_PLAINTEXT_BYTES
from net.session.sealing import Opener, Sealer, Splitter

KEY = bytes(range(32))


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


def test_records_open_in_the_order_in_which_they_were_sealed() -> None:
    sealer, opener = Sealer(KEY), Opener(KEY)
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
