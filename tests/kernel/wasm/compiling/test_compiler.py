"""Whatever a program costs to compile, the node pays no more than its limits."""

from __future__ import annotations

import pytest
import wasmtime

from kernel.contract import limits
from kernel.contract.errors import BadModule
from kernel.wasm.compiling import compiler as compiler_module
from kernel.wasm.compiling.compiler import CompileBudget, Compiler, Mode
from tests.kernel.wasm.modules import loops_over_locals, nested, program

MANY_FUNCTIONS = program([b"\0\x0b"] * 5_000)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the mode of each child that is started."""
    started: list[str] = []
    run = compiler_module._run_child

    def noting(code: bytes, mode: Mode, budget: CompileBudget) -> tuple[bytes, float]:
        started.append(mode)
        return run(code, mode, budget)

    monkeypatch.setattr(compiler_module, "_run_child", noting)
    return started


def test_a_small_program_is_compiled_at_once(children: list[str]) -> None:
    compiler = Compiler("epoch")
    assert isinstance(compiler.load(compiler.compile_untrusted(program())), wasmtime.Module)
    assert children == []


@pytest.mark.parametrize("mode", ["epoch", "fuel"])
def test_a_large_program_is_compiled_by_a_child(children: list[str], mode: Mode) -> None:
    compiler = Compiler(mode)
    compiled = compiler.load(compiler.compile_untrusted(MANY_FUNCTIONS))
    assert [export.name for export in compiled.exports] == ["memory", "cabi_realloc", "init"]
    assert children == [mode]


def test_a_large_program_that_is_not_valid_is_refused_as_a_small_one_is() -> None:
    invalid = program([b"\0\x6a\x0b"] * 5_000)
    with pytest.raises(BadModule, match=r"^the core module is not valid: Invalid input.* type mismatch"):
        Compiler("epoch").compile_untrusted(invalid)


def test_a_program_that_takes_too_long_is_refused_and_the_second_time_at_once(
    children: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_COMPILE_SECONDS", 1)
    bomb = program([loops_over_locals(1000)])
    assert len(bomb) < 16_000
    compiler = Compiler("epoch")
    for _ in range(2):
        with pytest.raises(BadModule, match="it takes more than 1 seconds of processor time to compile"):
            compiler.compile_untrusted(bomb)
    assert children == ["epoch"]


def test_a_program_that_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_COMPILE_BYTES", 180 * limits.MIB)
    with pytest.raises(BadModule, match=f"it needs more than {limits.MAX_COMPILE_BYTES} bytes of memory to compile"):
        Compiler("epoch").compile_untrusted(program([nested(b"\x02\x40", 200_000)]))


def test_a_program_whose_compiled_code_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_COMPILED_BYTES", 100_000)
    with pytest.raises(BadModule, match="its compiled code has more than 100000 bytes"):
        Compiler("epoch").compile_untrusted(MANY_FUNCTIONS)


def test_what_counts_as_cheap_is_cheap() -> None:
    body = loops_over_locals(85)
    wasm = program([body])
    assert compiler_module._is_cheap(wasm)
    compiler = Compiler("epoch")
    assert isinstance(compiler.load(compiler.compile_untrusted(wasm)), wasmtime.Module)
