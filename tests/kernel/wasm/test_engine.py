from __future__ import annotations

import os
import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from kernel.contract.errors import BadModule, KernelError
from kernel.contract.guest import GuestConfig, Poll
from kernel.wasm import engine as engine_module
from kernel.wasm.compiling import code_cache as code_cache_module
from kernel.wasm.compiling.compiler import CompileBudget, Compiler
from kernel.wasm.compiling.core_modules import CoreModules
from kernel.wasm.engine import Engine, check_recursion, self_check
from kernel.wasm.fiber import Fiber
from tests.kernel.wasm.component_texts import guest_component
from tests.kernel.wasm.guests import GUESTS, MEMORY, NECTAR, OUR, poll, receiver, start, wat

REALLOC = '(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))'
MEMORY_EXPORT = '(memory (export "memory") 1)'
PARTS = 2
"""What is compiled for a program: itself, and the adapter between it and the host."""
INIT = '(func (export "init") (param i32 i32))'


def assembled(*parts: str) -> bytes:
    return bytes(wasmtime.wat2wasm(f"(module {' '.join(parts)})"))


def test_the_installed_wasmtime_passes_the_self_check() -> None:
    self_check()


def test_python_recurses_to_its_limit_in_a_host_function_on_the_main_thread(engine: Engine) -> None:
    assert threading.current_thread() is threading.main_thread()
    check_recursion(engine)


def test_python_recurses_to_its_limit_in_a_host_function_on_a_workers_thread(engine: Engine) -> None:
    with ThreadPoolExecutor(1) as workers:
        workers.submit(check_recursion, engine).result()
        workers.submit(self_check).result()


@pytest.mark.parametrize("way", ["_recurse", "_recurse_through_c"])
def test_a_python_that_stops_too_early_or_not_with_a_recursion_error_is_noticed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def too_early(effects: Any) -> None:
        raise RecursionError

    def other(effects: Any) -> None:
        effects.depth = sys.getrecursionlimit()
        raise MemoryError

    for broken in (too_early, other):
        monkeypatch.setattr(engine_module, way, broken)
        with pytest.raises(KernelError, match="this Python does not recurse as expected on a guest's stack"):
            check_recursion(engine)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        (['(import "env" "f" (func))'], "it imports the function 'f' of 'env', which this node does not offer"),
        ([f'(import "{NECTAR.module}" "fly" (func))'], "the function 'fly'"),
        ([f'(import "{NECTAR.module}" "receive" (global i32))'], "the global 'receive'"),
        (['(import "nectar:process/standard@0.9.0" "receive" (func (param i32)))'], "standard@0.9.0"),
        (['(import "wasi:cli/exit@0.2.0" "exit" (func (param i32)))'], "wasi:cli/exit@0.2.0"),
        ([f'(import "{NECTAR.module}" "receive" (func (param i64)))'], "receive"),
        ([f'(import "{NECTAR.module}" "clear-state" (func (param i64)))'], "clear-state"),
        (['(import "wasi_snapshot_preview1" "fly" (func))'], "fly"),
        (['(import "wasi_snapshot_preview1" "fd_write" (func))'], "fd_write"),
        (
            [
                f'(import "{NECTAR.module}" "receive" (func (param i32)))',
                '(import "kinode:process/standard@1.0.0" "receive" (func (param i32)))',
            ],
            "two versions",
        ),
    ],
)
def test_an_import_that_is_not_offered_is_named(engine: Engine, parts: list[str], reason: str) -> None:
    with pytest.raises(BadModule, match=reason) as caught:
        engine.load(assembled(*parts, MEMORY_EXPORT, REALLOC, INIT))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([REALLOC, INIT], "no memory"),
        ([MEMORY_EXPORT, INIT], "'cabi_realloc'"),
        ([MEMORY_EXPORT, REALLOC], "'init'"),
        ([MEMORY_EXPORT, REALLOC, '(func (export "init"))'], "'init' has the wrong type"),
        ([MEMORY_EXPORT, REALLOC, '(global (export "init") i32 (i32.const 0))'], "no function of the name 'init'"),
        ([MEMORY_EXPORT, REALLOC, INIT, '(func (export "_initialize") (param i32))'], "'_initialize' has the wrong"),
    ],
)
def test_a_missing_or_wrong_export_is_named(engine: Engine, parts: list[str], reason: str) -> None:
    with pytest.raises(BadModule, match=reason):
        engine.load(assembled(*parts))


@pytest.mark.parametrize(
    "parts",
    [
        ['(memory (export "memory") i64 1)', REALLOC, INIT],
        [MEMORY_EXPORT, "(memory 1)", REALLOC, INIT],
        ['(memory (export "memory") 1 2 shared)', REALLOC, INIT],
    ],
)
def test_memories_that_are_not_bounded_are_refused(engine: Engine, parts: list[str]) -> None:
    with pytest.raises(BadModule, match="the core module is not valid"):
        engine.load(assembled(*parts))


def test_code_that_does_not_validate_is_refused(engine: Engine) -> None:
    wasm = bytearray((GUESTS / "echo.wasm").read_bytes())
    wasm[-20:] = bytes(20)
    with pytest.raises(BadModule):
        engine.load(bytes(wasm))


def test_a_program_starts_any_number_of_guests(engine: Engine) -> None:
    program = engine.load(receiver())
    guests = [program.start(GuestConfig(OUR, MEMORY)) for _ in range(20)]
    assert all(isinstance(guest, Fiber) and poll(guest) is Poll.RECEIVE for guest in guests)


def test_a_drive_that_is_no_folder_is_refused(real: Engine, tmp_path: Path) -> None:
    program = real.load((GUESTS / "output.wasm").read_bytes())
    with pytest.raises(BadModule, match="is not a folder"):
        program.start(GuestConfig(OUR, MEMORY, drive=str(tmp_path / "missing")))


def test_a_folder_of_the_host_is_no_drive_of_a_replayable_run(replayable: Engine, tmp_path: Path) -> None:
    program = replayable.load((GUESTS / "output.wasm").read_bytes())
    with pytest.raises(ValueError, match="a tree of files"):
        program.start(GuestConfig(OUR, MEMORY, drive=str(tmp_path)))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever something is compiled."""
    times: list[int] = []
    compile_ = CoreModules._compile

    def counting(self: CoreModules, compiler: Compiler, code: bytes, budget: CompileBudget) -> bytes:
        times.append(len(code))
        return compile_(self, compiler, code, budget)

    monkeypatch.setattr(CoreModules, "_compile", counting)
    return times


@pytest.mark.parametrize("is_replayable", [False, True])
def test_compiled_code_is_taken_from_the_cache(tmp_path: Path, compiled: list[int], is_replayable: bool) -> None:
    for _ in range(2):
        assert poll(start(Engine(tmp_path, is_replayable), receiver())) is Poll.RECEIVE
    assert len(compiled) == PARTS


def test_the_two_modes_have_entries_of_their_own(tmp_path: Path, compiled: list[int]) -> None:
    for is_replayable in (False, True):
        assert poll(start(Engine(tmp_path, is_replayable), receiver())) is Poll.RECEIVE
    assert len(compiled) == 2 * PARTS


def test_another_version_of_wasmtime_compiles_anew(
    tmp_path: Path, compiled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    Engine(tmp_path, False).load(receiver())
    monkeypatch.setattr(code_cache_module, "version", lambda _package: "51.0.0")
    Engine(tmp_path, False).load(receiver())
    assert len(compiled) == 2 * PARTS


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_a_damaged_entry_is_compiled_anew_and_replaced(tmp_path: Path, compiled: list[int], damage: str) -> None:
    Engine(tmp_path, False).load(receiver())
    entries = {*tmp_path.iterdir()}
    for entry in entries:
        code = bytearray(entry.read_bytes())
        code[len(code) // 2] ^= 1
        entry.write_bytes({"flip": bytes(code), "truncate": bytes(code[:-1]), "empty": b""}[damage])
    for _ in range(2):
        assert poll(start(Engine(tmp_path, False), receiver())) is Poll.RECEIVE
    assert len(compiled) == 2 * PARTS
    assert {*tmp_path.iterdir()} == entries


def test_what_was_used_least_recently_leaves_a_full_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(tmp_path, False)
    engine.load(receiver())
    for number, entry in enumerate(sorted(tmp_path.iterdir())):
        os.utime(entry, ns=(number, number))
    old = {*tmp_path.iterdir()}
    monkeypatch.setattr(code_cache_module, "MAX_BYTES", 1)
    Engine(tmp_path, False).load(wat("(nop)"))
    assert not old & {*tmp_path.iterdir()}
    assert poll(start(Engine(tmp_path, False), receiver())) is Poll.RECEIVE


def test_an_entry_that_is_used_stays_in_a_full_cache(
    tmp_path: Path, compiled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    Engine(tmp_path, False).load(receiver())
    used = {*tmp_path.iterdir()}
    Engine(tmp_path, False).load(wat("(nop)"))
    for number, entry in enumerate(sorted(tmp_path.iterdir(), key=lambda path: path not in used)):
        os.utime(entry, ns=(number, number))
    Engine(tmp_path, False).load(receiver())
    size = sum(entry.stat().st_size for entry in tmp_path.iterdir())
    monkeypatch.setattr(code_cache_module, "MAX_BYTES", size)
    Engine(tmp_path, False).load(wat("(drop (i32.const 1))"))
    before = len(compiled)
    assert poll(start(Engine(tmp_path, False), receiver())) is Poll.RECEIVE
    assert len(compiled) == before


def test_a_core_module_that_two_components_share_is_compiled_once(tmp_path: Path, compiled: list[int]) -> None:
    for body in ("(nop)", "(drop (i32.const 1))"):
        Engine(tmp_path, False).load(guest_component("", (), body))
    assert len(compiled) == len(set(compiled))


def test_a_large_program_is_told_of_while_it_is_compiled(tmp_path: Path) -> None:
    engine, told = Engine(tmp_path, False), list[str]()
    large = wat("(nop)", extra='(data (i32.const 0) "' + "x" * (1 << 20) + '")')
    engine.load(large, told.append)
    Engine(tmp_path, False).load(large, told.append)
    assert told == [f"compiles core module 1 of 1, 0 % of {len(large):,} bytes are done"]


def test_nobody_else_may_enter_the_cache(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "cache"
    Engine(folder, False).load(receiver())
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_a_cache_that_cannot_be_written_costs_only_the_cache(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert poll(start(Engine(blocked / "cache", False), receiver())) is Poll.RECEIVE


def test_floats_are_the_same_in_every_replayable_run() -> None:
    # 0/0 has no fixed sign or payload unless it is made canonical.
    body = "(f64.store (i32.const 64) (f64.div (f64.const 0) (f64.const 0))) (call $receive (i32.const 2048))"
    engine = Engine(None, replayable=True)
    guest = start(engine, wat(body, "receive"))
    poll(guest)
    assert guest.memory[64:72].tobytes() == bytes.fromhex("000000000000f87f")
