"""Looks into SQLite's write-ahead log for commits that are lost.

SQLite takes the log up to the first frame whose checksum is wrong, and forgets the rest: that is right after a crash,
and silent about a flipped bit. Every commit is synced before the next one begins, so a crash can tear the frames of one
commit only: if more than one is missing at the end, the log was damaged.

Source: https://www.sqlite.org/fileformat2.html, section 4, "The Write-Ahead Log".
"""

from __future__ import annotations

import struct

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC = 0x377F0682
"""The last bit says whether checksums read the bytes as big-endian numbers."""
_U32 = 0xFFFFFFFF


class DamagedLog(ValueError):
    """The log's header is not as it was written."""


def commits_untrusted(wal: bytes) -> list[int]:
    """Return the numbers of the frames, counted from 1, that end a commit; their checksums are not looked at.

    Where a disk may tear what lies beside a write, SQLite fills up the sector after a commit with its last frame once
    more: such frames belong to it. Every commit of ours has several pages, so none is a single frame by itself.
    A header of zeros is what a power cut leaves of a log that was cut to nothing and begun anew: its length is on the
    disk, and none of it was synced. Raises DamagedLog.
    """
    if len(wal) < _HEADER.size or not any(wal[: _HEADER.size]):
        return []
    magic, _, page_size, _, *salts, first, second = _HEADER.unpack_from(wal)
    order = ">" if magic & 1 else "<"
    if magic & ~1 != _MAGIC or _checksum(wal[:24], order) != (first, second):
        raise DamagedLog("the header of its log is damaged")
    ends, size, had_ended = [], _FRAME.size + page_size, False
    for number, position in enumerate(range(_HEADER.size, len(wal) - size + 1, size), 1):
        _, pages, *frame_salts, _, _ = _FRAME.unpack_from(wal, position)
        ended = frame_salts == salts and pages != 0
        if ended and not had_ended:
            ends.append(number)
        had_ended = ended
    return ends


def lost(ends: list[int], taken: int) -> bool:
    """Whether durable commits are lost if SQLite has taken the first `taken` frames of the log."""
    return sum(end > taken for end in ends) > 1


def _checksum(data: bytes, order: str) -> tuple[int, int]:
    first = second = 0
    numbers = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(numbers[::2], numbers[1::2], strict=True):
        first = (first + even + second) & _U32
        second = (second + odd + first) & _U32
    return first, second
