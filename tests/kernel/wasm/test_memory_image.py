"""A module that is compiled without its memory's contents, which are written into the compiled code, is the same."""

from __future__ import annotations

import random

import pytest
import wasmtime

from kernel.wasm.binary import memory_image
from kernel.wasm.binary.memory_image import SplitModule, split_untrusted
from kernel.wasm.compiling.compiler import Compiler, Mode
from tests.kernel.wasm.component_texts import number

PAGE = 1 << 16
FUEL = 1_000_000
TEXT = "y" * (PAGE // 4)
"""As many bytes as it takes for a page to be worth splitting."""
LAST = f'(data (i32.const 4096) "{TEXT}")'
MEMORY = '(memory (export "memory") 1)'
COPY = "(memory.init {} (i32.const 8) (i32.const {}) (i32.const {}))"


def module(*parts: str) -> bytes:
    return bytes(wasmtime.wat2wasm(f"(module {' '.join(parts)})"))


def run(*body: str) -> str:
    return f'(func (export "run") {" ".join(body)})'


SPLIT = {
    "one segment": [MEMORY, LAST],
    "segments over one another, in their order": [
        MEMORY,
        LAST,
        '(data (i32.const 5000) "abcdef")',
        '(data (i32.const 5003) "XY")',
        '(data (i32.const 4999) "--")',
    ],
    "empty segments, also at the end": [MEMORY, LAST, '(data (i32.const 0) "")', '(data (i32.const 65536) "")'],
    "up to the last byte": [MEMORY, LAST, '(data (i32.const 65534) "az")'],
    "zeros at both ends": [MEMORY, '(data (i32.const 0) "\\00\\00\\00")', LAST, '(data (i32.const 65535) "\\00")'],
    "a start function that reads and writes": [
        MEMORY,
        LAST,
        "(func $start (i32.store (i32.const 0) (i32.load (i32.const 4096)))",
        "(i32.store (i32.const 4096) (i32.const 7))) (start $start)",
    ],
    "a start function that traps": [MEMORY, LAST, "(func $start unreachable) (start $start)"],
    "nothing copied from a segment that is gone": [MEMORY, LAST, run(COPY.format(0, 0, 0))],
    "a byte copied from a segment that is gone": [MEMORY, LAST, run(COPY.format(0, 0, 1))],
    "a byte copied from another one": [MEMORY, LAST, '(data (i32.const 1) "abc")', run(COPY.format(1, 0, 1))],
    "a start function that copies from a segment": [
        MEMORY,
        LAST,
        f"(func $start {COPY.format(0, 0, 1)}) (start $start)",
    ],
    "segments that are dropped": [MEMORY, LAST, '(data (i32.const 1) "a")', run("(data.drop 0) (data.drop 1)")],
    "a memory that grows to its maximum": [
        '(memory (export "memory") 1 2)',
        LAST,
        run("(drop (memory.grow (i32.const 1))) (drop (memory.grow (i32.const 1)))"),
    ],
    "an element segment out of bounds": [MEMORY, LAST, "(table 1 funcref) (func $f) (elem (i32.const 1) $f)"],
    "a memory that nobody sees, read": [
        f"(memory 1) {LAST}",
        '(func (export "run") (if (i32.ne (i32.load (i32.const 4096)) (i32.const 0x79797979)) (then unreachable)))',
    ],
}
WHOLE = {
    "a passive segment": [MEMORY, LAST, '(data "abc")'],
    "a place that a global has": ['(import "a" "b" (global $g i32))', MEMORY, LAST, '(data (global.get $g) "a")'],
    "a place that is a sum": [MEMORY, LAST, '(data (i32.add (i32.const 1) (i32.const 2)) "a")'],
    "a segment out of bounds": [MEMORY, LAST, '(data (i32.const 65535) "ab")'],
    "an empty segment out of bounds": [MEMORY, LAST, '(data (i32.const 65537) "")'],
    "a place below 0": [MEMORY, LAST, '(data (i32.const -1) "a")'],
    "an imported memory": ['(import "a" "b" (memory 1))', LAST],
    "an imported memory beside its own": ['(import "a" "b" (memory 1)) (memory 1)', LAST],
    "two memories": [MEMORY, "(memory 1)", LAST],
    "a memory of 64 bits": [f'(memory i64 1) (data (i64.const 0) "{TEXT}")'],
    "a shared memory": ["(memory 1 1 shared)", LAST],
    "far less data than memory": ["(memory 3)", LAST],
    "no memory": ["(func)"],
    "no data": [MEMORY],
}


@pytest.fixture(autouse=True)
def small_modules_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_image, "_WORTH_BYTES", 0)


def rejoined(compiler: Compiler, split: SplitModule) -> wasmtime.Module:
    compiled = split.written_into(bytes(compiler._compile_here(split.shared).serialize()))
    assert compiled is not None
    return compiler.load(b"".join(compiled))


def behaviour(compiler: Compiler, compiled: wasmtime.Module) -> list[object]:
    """What a module does, its fuel and its memory afterwards."""
    store = wasmtime.Store(compiler.engine)
    by_fuel = compiler.mode.startswith("fuel")
    if by_fuel:
        store.set_fuel(FUEL)
    else:
        store.set_epoch_deadline(1000)
    seen: list[object] = []
    try:
        exports = wasmtime.Instance(store, compiled, []).exports(store)
        function, memory = exports.get("run"), exports.get("memory")
        if memory is not None:
            assert isinstance(memory, wasmtime.Memory)
            seen.append(bytes(memory.read(store)))
        if function is not None:
            assert isinstance(function, wasmtime.Func)
            function(store)
        if memory is not None:
            assert isinstance(memory, wasmtime.Memory)
            seen.append(bytes(memory.read(store)))
    except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
        seen.append(type(error))
        seen.append(error.trap_code if isinstance(error, wasmtime.Trap) else str(error))
    return [*seen, store.get_fuel() if by_fuel else None]


@pytest.mark.parametrize("mode", ["epoch mapped", "fuel mapped"])
@pytest.mark.parametrize("parts", SPLIT.values(), ids=SPLIT)
def test_a_module_that_was_split_does_what_it_did(parts: list[str], mode: Mode) -> None:
    wasm, compiler = module(*parts), Compiler(mode)
    split = split_untrusted(wasm)
    assert split is not None
    assert behaviour(compiler, rejoined(compiler, split)) == behaviour(compiler, compiler._compile_here(wasm))


@pytest.mark.parametrize("parts", WHOLE.values(), ids=WHOLE)
def test_a_module_that_is_not_of_the_simple_kind_is_not_split(parts: list[str]) -> None:
    assert split_untrusted(module(*parts)) is None


def test_modules_that_differ_in_their_data_alone_share_all_else() -> None:
    more = '(data (i32.const 9) "a")'
    one, other = (split_untrusted(module(MEMORY, LAST, *segments)) for segments in ([], [more, more]))
    assert one is not None
    assert other is not None
    assert one.digest == other.digest
    assert one.shared == other.shared
    assert one.image != other.image


@pytest.mark.parametrize(
    "other", [[MEMORY, LAST, "(func)"], ["(memory 1 2)", LAST], [MEMORY, LAST, LAST, run("(data.drop 0)")]]
)
def test_modules_that_differ_otherwise_share_nothing(other: list[str]) -> None:
    splits = split_untrusted(module(MEMORY, LAST, run("(data.drop 0)"))), split_untrusted(module(*other))
    assert splits[0] is not None
    assert splits[1] is not None
    assert splits[0].placeholder[:64] != splits[1].placeholder[:64]


def test_compiled_code_that_has_not_the_placeholder_exactly_once_is_not_written_to() -> None:
    split = split_untrusted(module(MEMORY, LAST))
    assert split is not None
    placed = split.placeholder
    assert placed[0] == placed[-1] == 1
    written = split.written_into(b"before" + placed + b"after")
    assert written is not None
    assert b"".join(written) == b"before" + split.image + b"after"
    for wrong in (b"", b"before", placed[:-1], placed[1:], placed + placed, placed + placed[:64], placed[:64] + placed):
        assert split.written_into(wrong) is None


def test_a_damaged_module_is_as_valid_split_as_it_is_whole() -> None:
    wasm = module(MEMORY, LAST, '(data (i32.const 4200) "abcdef")', run("(data.drop 1)"))
    compiler, chance = Compiler("epoch mapped"), random.Random(1)
    places = [*range(8, 80), *range(len(wasm) - 30, len(wasm))]
    valid = 0
    for _ in range(600):
        damaged = bytearray(wasm)
        for _ in range(chance.randint(1, 2)):
            damaged[chance.choice(places)] = chance.choice((chance.randrange(256), 0, 1, 2, 0x41, 0x80))
        split = split_untrusted(bytes(damaged))
        if split is None:
            continue
        fits = wasmtime_takes(compiler, bytes(damaged))
        assert wasmtime_takes(compiler, split.shared) == fits, damaged.hex()
        if fits and valid < 20:
            valid += 1
            whole = behaviour(compiler, compiler._compile_here(bytes(damaged)))
            assert behaviour(compiler, rejoined(compiler, split)) == whole, damaged.hex()
    assert valid == 20


def wasmtime_takes(compiler: Compiler, wasm: bytes) -> bool:
    try:
        wasmtime.Module.validate(compiler.engine, wasm)
    except wasmtime.WasmtimeError:
        return False
    return True


def data_module(segment: bytes) -> bytes:
    """A module with a memory and a data section of one segment."""
    memory, data = b"\x01\x00\x01", b"\x01" + segment
    return b"\0asm\x01\0\0\0" + b"\x05" + number(len(memory)) + memory + b"\x0b" + number(len(data)) + data


def test_a_data_section_with_more_in_it_is_left_to_the_compiler() -> None:
    segment = b"\0\x41\0\x0b" + number(len(TEXT)) + TEXT.encode()
    assert split_untrusted(data_module(segment)) is not None
    assert split_untrusted(data_module(segment + b"\0")) is None


@pytest.mark.parametrize(
    "at", [b"\x80\x80\x80\x80\x80\x00", b"\xff\xff\xff\xff\x4f", b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x10"]
)
def test_a_place_that_is_no_number_of_32_bits_is_left_to_the_compiler(at: bytes) -> None:
    wasm = data_module(b"\0\x41" + at + b"\x0b" + number(len(TEXT)) + TEXT.encode())
    assert split_untrusted(wasm) is None
    assert not wasmtime_takes(Compiler("epoch mapped"), wasm)
