"""A large component starts with code that is compiled quickly, and optimised code takes its place for later starts."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime

from kernel.contract.errors import BadModule
from kernel.wasm.compiling import capi
from kernel.wasm.compiling.compiler import CompileBudget, Compiler, Mode, configuration
from kernel.wasm.compiling.core_modules import Core, CoreModules
from kernel.wasm.engine import Engine
from tests.kernel.wasm.compiling.test_core_modules import LARGE, interpreter
from tests.kernel.wasm.component_texts import INIT, trap_of, wat
from tests.kernel.wasm.modules import loops_over_locals, program
from tests.seeds import sample


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Mode, bool]]:
    """Grows by the mode in which each large module is compiled, and whether nobody waits for it."""
    modes: list[tuple[Mode, bool]] = []
    compile_ = CoreModules._compile

    def noting(self: CoreModules, compiler: Compiler, code: bytes, budget: CompileBudget) -> bytes:
        if len(code) > LARGE:
            modes.append((compiler.mode, budget.idle))
        return compile_(self, compiler, code, budget)

    monkeypatch.setattr(CoreModules, "_compile", noting)
    return modes


QUICK: tuple[Mode, bool] = ("epoch mapped quick", False)
OPTIMISED: tuple[Mode, bool] = ("epoch mapped", True)


def test_the_first_start_has_quick_code_and_the_next_one_optimised_code(
    tmp_path: Path, compiled: list[tuple[Mode, bool]]
) -> None:
    engine = Engine(tmp_path, False, quick_first=True)
    first = engine.load(interpreter("B"))
    engine.wait_for_optimised_code()
    assert compiled == [QUICK, OPTIMISED]
    assert engine.load(interpreter("B")) is not first
    for letter, ends in (("A", False), ("B", True)):  # with another memory, too
        assert (trap_of(engine, interpreter(letter)) is None) is ends
    engine.close()
    assert trap_of(Engine(tmp_path, False, quick_first=True), interpreter("B")) is None
    assert len(compiled) == 2


def test_quick_code_goes_when_there_is_optimised_code(tmp_path: Path) -> None:
    engine = Engine(tmp_path, False, quick_first=True)
    engine.load(interpreter("B"))
    engine.wait_for_optimised_code()
    large = [entry for entry in tmp_path.glob("*.code") if entry.stat().st_size > LARGE]
    assert len(large) == 2  # what all programs share, and this one
    engine.close()


def test_until_there_is_optimised_code_another_program_of_the_language_compiles_nothing(
    tmp_path: Path, compiled: list[tuple[Mode, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on, optimise = threading.Event(), CoreModules.optimise

    def held(self: CoreModules, quick: Compiler, compiler: Compiler, codes: list[bytes], budget: CompileBudget) -> None:
        may_go_on.wait()
        optimise(self, quick, compiler, codes, budget)

    monkeypatch.setattr(CoreModules, "optimise", held)
    engine = Engine(tmp_path, False, quick_first=True)
    first = engine.load(interpreter("B"))
    assert engine.load(interpreter("B")) is first
    assert trap_of(engine, interpreter("A")) is not None
    other = Engine(tmp_path, False, quick_first=True)
    assert trap_of(other, interpreter("B")) is None
    assert compiled == [QUICK]
    may_go_on.set()
    for each in (engine, other):
        each.close()


@pytest.mark.parametrize("has_cache", sample([True, False]))
def test_simulations_and_engines_that_keep_nothing_never_run_quick_code(
    tmp_path: Path, compiled: list[tuple[Mode, bool]], has_cache: bool
) -> None:
    assert trap_of(Engine(tmp_path if has_cache else None, True, quick_first=True), interpreter("B")) is None
    assert trap_of(Engine(None, False, quick_first=True), interpreter("B")) is None
    assert compiled == [("fuel mapped", False), ("epoch mapped", False)]


def test_what_is_compiled_in_the_background_gives_way_to_all_else_and_ends_when_it_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiler, budget = Compiler("epoch"), CompileBudget(idle=True)
    children, refused, began = list[int](), list[str](), CompileBudget.began

    def noting(self: CompileBudget, child: subprocess.Popen[bytes]) -> None:
        children.append(child.pid)
        began(self, child)

    monkeypatch.setattr(CompileBudget, "began", noting)

    def compile_() -> None:
        try:
            CoreModules(None).compiled(compiler, [Core(ENDLESS), Core(ENDLESS), Core(ENDLESS)], print, budget)
        except BadModule as error:
            refused.append(str(error))

    thread = threading.Thread(target=compile_)
    thread.start()
    try:
        assert _until(
            lambda: len(children) == 2 and all(os.sched_getscheduler(each) == os.SCHED_IDLE for each in children)
        )
    finally:
        budget.cancel()
        thread.join()
    assert len(refused) == 1
    assert len(children) == 2
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
    assert not compiler._refused  # it was not its fault


ENDLESS = program([loops_over_locals(1000)])
"""A minute of compiling."""


def _until(holds: Callable[[], object]) -> bool:
    """Wait until it holds, or a minute; return whether it does."""
    pause = threading.Event()
    return any(holds() or pause.wait(0.01) for _ in range(6000))


def recursing(calls: int, variables: int) -> bytes:
    """A component whose function calls itself so many times, and needs so many variables after each call."""
    names = [f"$v{number}" for number in range(variables)]
    declared = " ".join(f"(local {name} i32)" for name in names)
    sets = " ".join(
        f"(local.set {name} (i32.add (local.get 0) (i32.mul (local.get 0) (i32.const {number}))))"
        for number, name in enumerate(names, 3)
    )
    uses = " ".join(f"(global.set $sum (i32.xor (global.get $sum) (local.get {name})))" for name in names)
    return wat(f"""(core module $first (import "not" "offered" (func)))
  (core module $memory (memory (export "memory") 40) (data (i32.const 131072) "{"x" * LARGE}")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $mem))
  (alias core export $m "realloc" (core func $realloc))
  (core module $code (import "m" "memory" (memory 2)) (global $sum (mut i32) (i32.const 0))
    (func $down (param i32) {declared} {sets}
      (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1)))))
      {uses})
    (func (export "init") (param i32 i32) (call $down (i32.const {calls}))))
  (core instance $main (instantiate $code (with "m" (instance $m))))
  {INIT}""")


@pytest.mark.parametrize("variables", sample([12, 0, 40]))
def test_what_recurses_as_deep_as_optimised_code_allows_does_not_fail_with_quick_code(
    tmp_path: Path, compiled: list[tuple[Mode, bool]], variables: int
) -> None:
    engine = Engine(tmp_path, False, quick_first=True)
    code = recursing(_DEEP, variables)
    assert trap_of(engine, code) is None
    engine.wait_for_optimised_code()
    assert trap_of(engine, code) is None
    engine.close()
    assert compiled == [QUICK, OPTIMISED]


_DEEP = 10_800
"""Calls; optimised code reaches 10,900 of those with forty variables."""


def test_a_recursion_without_end_traps_with_quick_code_too(tmp_path: Path, compiled: list[tuple[Mode, bool]]) -> None:
    engine = Engine(tmp_path, False, quick_first=True)
    assert "call stack exhausted" in str(trap_of(engine, recursing(1 << 30, 4)))
    engine.close()
    assert compiled[0] == QUICK


_WORK = """(module (memory 1) (table 2 funcref) (elem (i32.const 0) $one $two)
  (func $one (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
  (func $two (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 2)))
  (func (export "work") (param $n i32) (result i32) (local $x i32)
    (loop $again
      (local.set $x (call_indirect (param i32) (result i32)
        (i32.add (local.get $x) (local.get $n)) (i32.and (local.get $n) (i32.const 1))))
      (if (i32.and (local.get $x) (i32.const 4)) (then (i32.store (i32.const 8) (local.get $x))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x)))"""


def test_how_much_fuel_code_takes_does_not_depend_on_how_well_it_is_compiled() -> None:
    outcomes = set()
    for quick in (False, True):
        config = configuration("fuel mapped")
        if quick:
            config.cranelift_opt_level = "none"
            capi.regalloc_algorithm(capi.address(config.ptr()), capi.SINGLE_PASS)
        engine = wasmtime.Engine(config)
        store = wasmtime.Store(engine)
        store.set_fuel(1 << 40)
        work = wasmtime.Instance(store, wasmtime.Module(engine, _WORK), []).exports(store)["work"]
        assert isinstance(work, wasmtime.Func)
        outcomes.add((work(store, 1000), store.get_fuel()))
    assert len(outcomes) == 1
