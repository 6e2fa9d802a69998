"""What people are told of a trap: a sentence, and the functions and lines that a debug file knows."""

from __future__ import annotations

import hashlib
from random import Random

import pytest

from kernel.contract.guest import End, Frame, GuestConfig, Print
from kernel.contract.limits import MAX_FRAMES, MAX_SAID_CHARACTERS, MAX_SAID_LINES
from kernel.wasm.binary.debug_file import MAX_INLINED
from kernel.wasm.engine import Engine
from kernel.wasm.fiber import Fiber
from kernel.wasm.traps import describe, last_words
from tests.kernel.wasm.guests import GUESTS, MEMORY, OUR, arrival, poll
from tests.seeds import seeds

CRASHING = GUESTS / "crashing"
ZIG = [("element", "crash.zig", 26), ("lookUp", "crash.zig", 22), ("handle", "crash.zig", 16), ("init", "crash.zig", 9)]
C = [("element", "crash.c", 8), ("look_up", "crash.c", 13), ("handle", "crash.c", 17), ("nectar_main", "crash.c", 26)]


def test_a_message_of_wasmtime_becomes_one_line() -> None:
    message = """error while executing at wasm backtrace:
    0:     0x91 - nectar_adapter!settle
    1:     0x1f - guest.wasm!do_it
    2:     0x2f - guest.wasm!init

Caused by:
    0: memory fault at wasm address 0x100000000 in linear memory of size 0x10000
    1: wasm trap: out of bounds memory access"""
    assert describe(message).sentence == "wasm trap: out of bounds memory access in function do_it"
    assert describe(message).frames == (Frame("do_it"), Frame("init"))


def test_a_functions_name_cannot_write_to_the_terminal() -> None:
    assert describe("  0: 0x1f - guest.wasm!\x1b[2Jname\ntrap").sentence == "trap in function ?[2Jname"
    assert len(describe("  0: 0x1f - guest.wasm!" + "x" * 10_000 + "\ntrap").sentence) < 150
    assert len(describe("  0: 0x1f - guest.wasm!x\n" + "x" * 10_000).sentence) == 500


def test_so_many_frames_are_told_and_no_more() -> None:
    message = "\n".join(f"  {number}: 0x1f - guest.wasm!f{number}" for number in range(1000))
    assert describe(message + "\ntrap").frames == tuple(Frame(f"f{number}") for number in range(MAX_FRAMES))


def test_what_it_printed_last_is_kept_within_bounds() -> None:
    assert last_words([Print(0, "a\x1b\nb"), Print(1, "quiet"), Print(0, "c")]) == ("a?", "b", "c")
    many = last_words([Print(0, f"line {number}") for number in range(1000)])
    assert (len(many), many[-1]) == (MAX_SAID_LINES, "line 999")
    assert sum(map(len, last_words([Print(0, "x" * 65536)] * 10))) <= MAX_SAID_CHARACTERS


def crash(engine: Engine, name: str, body: bytes, debug: bytes | None) -> End:
    """How this guest ends that has got a request."""
    asked = list[str]()
    wasm = (CRASHING / f"{name}.wasm").read_bytes()

    def read(digest: str) -> bytes | None:
        asked.append(digest)
        return debug

    config = GuestConfig(OUR, MEMORY, debug=read)
    guest = engine.load(wasm).start(config)
    assert isinstance(guest, Fiber)
    poll(guest)
    assert asked == []
    guest.resume(arrival(body))
    poll(guest)
    assert asked == [hashlib.sha256(wasm).hexdigest()]
    assert guest.end is not None
    return guest.end


def debug_file(name: str) -> bytes:
    return (CRASHING / f"{name}.wasm.debug").read_bytes()


def test_a_panic_in_zig_is_told_with_its_text_and_the_lines_of_all_calls_also_inlined_ones(engine: Engine) -> None:
    end = crash(engine, "zig", b"bounds", debug_file("zig"))
    assert end.said == ("index out of bounds: index 6, len 6",)
    files = [frame.file for frame in end.frames]
    assert files[:3] == ["sdk/zig/nectar.zig", "std/debug.zig", "std/debug.zig"]
    assert list(map(tuple, end.frames[3:7])) == ZIG
    assert end.frames[7].file == "sdk/zig/start.zig"
    assert list(map(tuple, crash(engine, "zig", b"trap", debug_file("zig")).frames[:3])) == [
        ("lookUp", "crash.zig", 21),
        *ZIG[2:],
    ]


def test_a_memory_fault_and_a_sentence_in_c_are_told_with_the_lines_of_all_calls(engine: Engine) -> None:
    end = crash(engine, "c", b"memory", debug_file("c"))
    assert end.trap == "wasm trap: out of bounds memory access in function element"
    assert list(map(tuple, end.frames[:4])) == C
    end = crash(engine, "c", b"abort", debug_file("c"))
    assert end.said == ("five bytes are too many",)
    assert list(map(tuple, end.frames[1:4])) == [("look_up", "crash.c", 12), *C[2:]]


def test_without_a_debug_file_and_with_that_of_another_build_what_is_known_is_told(engine: Engine) -> None:
    other = debug_file("zig")[:8] + bytes(32) + debug_file("zig")[40:]
    for debug in (None, b"", other, debug_file("c")):
        end = crash(engine, "zig", b"bounds", debug)
        assert end.trap is not None
        assert end.trap.startswith("wasm trap: wasm `unreachable` instruction executed in function <wasm function ")
        assert end.frames
        assert not any(frame.file for frame in end.frames)


@pytest.mark.parametrize("seed", seeds(1, 80))
def test_a_hostile_debug_file_gives_wrong_names_at_most(replayable: Engine, seed: int) -> None:
    chance, good = Random(seed), debug_file("c")
    for _ in range(10):
        data = bytearray(good)
        for _ in range(chance.choice((1, 10, 1000))):
            data[chance.randrange(40, len(data))] = chance.choice((0, 1, 0x1B, 0x7F, 0xFF, chance.randrange(256)))
        end = crash(replayable, "c", b"memory", bytes(data[: chance.choice((len(data), chance.randrange(len(data))))]))
        assert len(end.frames) <= MAX_FRAMES, seed
        assert MAX_INLINED < MAX_FRAMES
        assert all(len(text) <= 120 and text.isprintable() for frame in end.frames for text in frame[:2]), seed
