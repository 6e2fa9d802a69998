"""What programs of one language share is compiled once, and what is kept on the disk never harms anybody."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
import wasmtime

from kernel.contract.errors import BadModule
from kernel.contract.guest import Poll
from kernel.wasm.binary.memory_image import SplitModule
from kernel.wasm.compiling.code_cache import CodeCache
from kernel.wasm.compiling.compiler import CompileBudget, Compiler
from kernel.wasm.compiling.core_modules import Core, CoreModules
from kernel.wasm.engine import Engine
from tests.kernel.wasm.component_texts import INIT, trap_of, wat
from tests.kernel.wasm.guests import poll, receiver, start
from tests.seeds import sample, seeds

LARGE = 1 << 20
"""Bytes of the module that has the memory."""


@cache
def interpreter(letter: str) -> bytes:
    """A component that begins with a large memory, and traps if its first byte is an A."""
    return wat(f"""(core module $first (import "not" "offered" (func)))
  (core module $memory (memory (export "memory") 40) (data (i32.const 131072) "{letter}{"x" * LARGE}")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $mem))
  (alias core export $m "realloc" (core func $realloc))
  (core module $code (import "m" "memory" (memory 2))
    (func (export "init") (param i32 i32)
      (if (i32.eq (i32.load8_u (i32.const 131072)) (i32.const 65)) (then unreachable))))
  (core instance $main (instantiate $code (with "m" (instance $m))))
  {INIT}""")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the bytes of each large module that is compiled."""
    sizes: list[int] = []
    compile_ = CoreModules._compile

    def counting(self: CoreModules, compiler: Compiler, code: bytes, budget: CompileBudget) -> bytes:
        if len(code) > LARGE:
            sizes.append(len(code))
        return compile_(self, compiler, code, budget)

    monkeypatch.setattr(CoreModules, "_compile", counting)
    return sizes


@pytest.mark.parametrize("is_replayable", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_second_program_that_differs_in_its_memory_alone_compiles_nothing(
    tmp_path: Path, compiled: list[int], is_replayable: bool
) -> None:
    told: list[str] = []
    for letter, trap in (("A", "unreachable"), ("B", None), ("A", "unreachable"), ("C", None)):
        engine = Engine(tmp_path, is_replayable)
        engine.load(interpreter(letter), told.append)
        ended = trap_of(engine, interpreter(letter))
        assert (ended is None) if trap is None else (trap in str(ended))
    assert len(compiled) == len(told) == 1


def test_programs_that_are_loaded_at_once_and_share_all_but_their_memory_compile_it_once(
    tmp_path: Path, compiled: list[int]
) -> None:
    engine = Engine(tmp_path, False)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(engine.load, map(interpreter, "ABCD")))
    assert len(compiled) == 1


def test_without_a_cache_each_program_is_compiled_as_it_is(compiled: list[int]) -> None:
    assert trap_of(Engine(None, False), interpreter("B")) is None
    assert compiled == [pytest.approx(LARGE, abs=1000)]


def test_a_program_is_compiled_as_it_is_if_its_memory_cannot_be_written(
    tmp_path: Path, compiled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SplitModule, "written_into", lambda _self, _compiled: None)
    assert trap_of(Engine(tmp_path, False), interpreter("B")) is None
    assert len(compiled) == 2


def truncate(entry: Path) -> None:
    code = entry.read_bytes()
    entry.unlink()  # somebody may have mapped it
    entry.write_bytes(code[:-1])


def open_to_others(entry: Path) -> None:
    entry.chmod(0o666)


def give_away(entry: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    os.chown(entry, 65534, 65534)


@pytest.mark.parametrize("spoil", sample([truncate, open_to_others, give_away], 2))
def test_code_that_is_not_what_this_user_has_kept_is_never_run(
    tmp_path: Path, compiled: list[int], spoil: Callable[[Path], None]
) -> None:
    Engine(tmp_path, False).load(interpreter("A"))
    for entry in tmp_path.glob("*.code"):
        spoil(entry)
    assert trap_of(Engine(tmp_path, False), interpreter("B")) is None
    assert len(compiled) == 2
    for letter in "AB":
        Engine(tmp_path, False).load(interpreter(letter))
    assert len(compiled) == 2


def test_a_full_disk_costs_the_cache_and_leaves_nothing_behind(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # a write beyond that fails
    try:
        assert poll(start(Engine(tmp_path, False), receiver())) is Poll.RECEIVE
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


PROCESS = """
import sys
from pathlib import Path
from kernel.wasm.compiling import code_cache
from kernel.wasm.engine import Engine
from tests.kernel.wasm.component_texts import trap_of
from tests.kernel.wasm.compiling.test_core_modules import interpreter

code_cache.MAX_BYTES = 5 << 20
for letter in sys.argv[2]:
    trap = trap_of(Engine(Path(sys.argv[1]), False), interpreter(letter))
    assert (trap is None) == (letter == "B"), (letter, trap)
"""
"""Loads two programs in turns, with a cache that has no room for both."""


@pytest.mark.long
def test_processes_that_fill_and_empty_one_cache_do_each_other_no_harm(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path), turns], stderr=subprocess.PIPE, text=True)
        for turns in ("ABA", "BAB")
    ]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said


AT_ONCE = """
import sys
from pathlib import Path
from kernel.wasm.compiling.core_modules import CoreModules
from kernel.wasm.engine import Engine
from tests.kernel.wasm.compiling.test_core_modules import LARGE, interpreter

compile_ = CoreModules._compile

def counting(self, compiler, code, budget):
    if len(code) > LARGE:
        print("compiles", flush=True)
    return compile_(self, compiler, code, budget)

CoreModules._compile = counting
engine = Engine(Path(sys.argv[1]), False)
print("ready", flush=True)
sys.stdin.readline()
engine.load(interpreter(sys.argv[2]))
"""
"""Loads a program when it is told to, and says so if it compiles the large module."""


@pytest.mark.parametrize("letters", ["AB", pytest.param("AA", marks=pytest.mark.long)])
def test_processes_that_load_what_they_share_at_once_compile_it_once_and_leave_no_lock(
    tmp_path: Path, letters: str
) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, str(tmp_path), letter],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for letter in letters
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert "".join(said) == "compiles\n"
    assert not list(tmp_path.glob("*.lock"))


HOLDER = """
import sys
from pathlib import Path
from kernel.wasm.compiling.code_cache import CodeCache

with CodeCache(Path(sys.argv[1])).alone("entry", lambda: None):
    print("holds it", flush=True)
    sys.stdin.readline()
"""


def test_who_is_killed_while_it_makes_an_entry_keeps_nobody_waiting(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds it\n"
        with CodeCache(tmp_path).alone("entry", holder.kill):
            assert [each.name for each in tmp_path.iterdir()] == ["entry.lock"]
    assert holder.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_who_is_stopped_while_it_makes_an_entry_keeps_nobody_waiting_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernel.wasm.compiling.code_cache.LOCK_SECONDS", 0.2)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds it\n"
        try:
            with CodeCache(tmp_path).alone("entry", lambda: holder.send_signal(signal.SIGSTOP)):
                assert [each.name for each in tmp_path.iterdir()] == ["entry.lock"]
            assert [each.name for each in tmp_path.iterdir()] == ["entry.lock"], "it is still the other one's"
        finally:
            holder.kill()


def test_two_core_modules_of_a_program_are_compiled_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    meet, compile_ = threading.Barrier(2), CoreModules._compile

    def meeting(self: CoreModules, compiler: Compiler, code: bytes, budget: CompileBudget) -> bytes:
        meet.wait(60)
        return compile_(self, compiler, code, budget)

    monkeypatch.setattr(CoreModules, "_compile", meeting)
    codes = [bytes(wasmtime.wat2wasm(f'(module (func (export "f{number}")))')) for number in range(4)]
    modules = CoreModules(None).compiled(Compiler("epoch"), [Core(code) for code in codes], lambda _: None)
    assert [[each.name for each in module.exports] for module in modules] == [[f"f{number}"] for number in range(4)]


@pytest.mark.parametrize("turn", seeds(1, 4))
def test_of_several_modules_that_are_not_valid_the_same_one_is_told_of_each_time(turn: int) -> None:
    broken = [bytes(wasmtime.wat2wasm(f"(module (func) {pad})"))[:-1] for pad in ('(data "")', '(data "x")', "")]
    cores = [Core(code) for code in (*broken[turn % 2 :], *broken[: turn % 2])]
    with pytest.raises(BadModule) as raised:
        CoreModules(None).compiled(Compiler("epoch"), cores, lambda _: None)
    with pytest.raises(BadModule) as alone:
        CoreModules(None).compiled(Compiler("epoch"), [Core(broken[1])], lambda _: None)
    assert str(raised.value) == str(alone.value)  # the largest is the first that is compiled
