"""Segments: what is sealed comes out, what is cut off or changed is told, and nothing else escapes."""

from __future__ import annotations

import contextlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar_node.recording.errors import BadRecording
from nectar_node.recording.segments import (
    RECEIVED,
    SegmentHeader,
    SegmentSealer,
    entries_untrusted,
    entry,
    header_untrusted,
    open_untrusted,
    received_entry,
)

KEY = bytes(range(32))
HEADER = SegmentHeader("a.nec", 1, 1, "1", 0.0)


CIPHERTEXT = b"of the wire"


def _segment() -> bytes:
    sealer = SegmentSealer(KEY, HEADER, bytes(16))
    first = sealer.frame(entry(1, b"one") + entry(2, b""))
    second = sealer.frame(received_entry(3, b"three", len(CIPHERTEXT)))
    return b"".join((sealer.beginning, first, second))


def _read(data: bytes, *, last: bool = True, key: bytes = KEY, received: bytes = CIPHERTEXT) -> list[tuple[int, bytes]]:
    found = entries_untrusted(open_untrusted(data, key, last=last), BytesIO(received).read, last=last)
    return [(each.kind, each.body) for each in found]


def test_entries_come_out_as_they_were_written() -> None:
    assert _read(_segment(), last=False) == [(1, b"one"), (2, b""), (3, b"three" + CIPHERTEXT)]
    assert header_untrusted(_segment())[0] == HEADER


def test_all_is_sealed() -> None:
    assert CIPHERTEXT not in _segment()
    assert b"one" not in _segment()
    assert b"three" not in _segment()


def test_a_last_segment_that_is_cut_off_anywhere_ends_with_its_last_whole_frame() -> None:
    whole = _segment()
    for end in range(len(SegmentSealer(KEY, HEADER, bytes(16)).beginning), len(whole)):
        assert _read(whole[:end]) in ([], [(1, b"one"), (2, b"")])


@pytest.mark.parametrize("there", [0, 1, len(CIPHERTEXT) - 1])
def test_a_last_segment_ends_where_received_bytes_are_missing(there: int) -> None:
    assert _read(_segment(), received=CIPHERTEXT[:there]) == [(1, b"one"), (2, b"")]
    with pytest.raises(BadRecording, match="cut off"):
        _read(_segment(), received=CIPHERTEXT[:there], last=False)


@pytest.mark.parametrize("body", [b"", b"\xff", b"\xff\xff\xff\xff"])
def test_an_entry_that_asks_for_more_than_there_can_be_is_damage(body: bytes) -> None:
    sealer = SegmentSealer(KEY, HEADER, bytes(16))
    with pytest.raises(BadRecording, match="too long"):
        _read(sealer.beginning + sealer.frame(entry(3 | RECEIVED, body)))


def test_one_that_others_follow_must_be_whole() -> None:
    with pytest.raises(BadRecording, match="cut off"):
        _read(_segment()[:-1], last=False)


def test_each_changed_byte_behind_the_header_is_reported() -> None:
    whole = _segment()
    for at in range(len(SegmentSealer(KEY, HEADER, bytes(16)).beginning) - 16, len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(BadRecording):
            _read(bytes(changed), last=False)


def test_another_key_reads_nothing() -> None:
    with pytest.raises(BadRecording, match="another key"):
        _read(_segment(), key=bytes(32))


@given(st.binary(max_size=200), st.integers(0, 300))
def test_whatever_the_bytes_only_bad_recording_escapes(noise: bytes, at: int) -> None:
    whole = _segment()
    for data in (noise, whole[:at] + noise, whole[:at] + noise + whole[at:]):
        with contextlib.suppress(BadRecording):
            _read(data)
