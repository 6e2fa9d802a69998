"""Debug files: what is written is found again, and whatever else is read costs nothing."""

from __future__ import annotations

import struct

import pytest

from kernel.contract.errors import BadModule
from kernel.wasm.binary.debug_file import (
    MAGIC,
    MAX_BYTES,
    MAX_INLINED,
    MAX_TEXT,
    CodePlace,
    DebugFile,
    Scope,
    Stretch,
    write,
)

DIGEST = bytes(range(32))
OUTER = Scope("outer")
INNER = Scope("inner", OUTER, "main.zig", 7)
WRITTEN = write(
    DIGEST,
    [
        Stretch(100, OUTER, "main.zig", 5),
        Stretch(110, INNER, "lib.zig", 70),
        Stretch(115, INNER, "lib.zig", 70),
        Stretch(120, OUTER, "main.zig", 8),
        Stretch(130, None),
    ],
)


def test_each_offset_has_the_calls_that_its_code_comes_from_the_innermost_first() -> None:
    found = DebugFile(WRITTEN, DIGEST.hex())
    assert found.places(99) == found.places(130) == found.places(1 << 40) == []
    assert found.places(100) == found.places(109) == [CodePlace("outer", "main.zig", 5)]
    assert found.places(117) == [CodePlace("inner", "lib.zig", 70), CodePlace("outer", "main.zig", 7)]
    assert found.places(129) == [CodePlace("outer", "main.zig", 8)]


def test_the_same_stretches_are_the_same_bytes_and_repeated_ones_take_no_room() -> None:
    again = [Stretch(100, Scope("outer"), "main.zig", 5), Stretch(101, Scope("outer"), "main.zig", 5)]
    assert write(DIGEST, again) == write(DIGEST, again[:1])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "cut off"),
        (WRITTEN[:-60], "cut off"),
        (b"nectdbg2" + WRITTEN[8:], "unknown format"),
        (MAGIC + bytes(32) + WRITTEN[40:], "another build"),
        (WRITTEN[:40] + b"\xff" * 16 + WRITTEN[56:], "cut off"),
        (WRITTEN + bytes(MAX_BYTES), "more than"),
    ],
)
def test_what_is_no_debug_file_of_this_program_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(BadModule, match=problem):
        DebugFile(data, DIGEST.hex())


def test_a_scope_within_itself_and_a_name_without_end_are_cut() -> None:
    header = struct.pack("<8s32s4I", MAGIC, DIGEST, 1, 1, 1, 1)
    itself = struct.pack("<2I", 0, 0) + struct.pack("<3I", 0, 0, 1) + struct.pack("<4I", 0, 0, 0, 1)
    data = header + itself + struct.pack("<2I", 0, 1 << 31) + b"x" * 10_000
    assert DebugFile(data, DIGEST.hex()).places(0) == [CodePlace("x" * MAX_TEXT, "x" * MAX_TEXT, 1)]
    scope = None
    for number in range(100):
        scope = Scope(f"f{number}", scope)
    assert len(DebugFile(write(DIGEST, [Stretch(0, scope)]), DIGEST.hex()).places(0)) == MAX_INLINED
