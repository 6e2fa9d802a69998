"""What goes wrong while optimised code is compiled in the background harms neither the program nor the next start."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import pytest

from kernel.contract.message import Buffer
from kernel.wasm.compiling import code_cache
from kernel.wasm.compiling.compiler import CompileBudget, Compiler
from kernel.wasm.compiling.core_modules import CoreModules
from kernel.wasm.engine import Engine
from tests.kernel.wasm.compiling.test_core_modules import interpreter
from tests.kernel.wasm.compiling.test_quick_code import recursing
from tests.kernel.wasm.component_texts import trap_of
from tests.seeds import sample


def test_thousands_of_variables_in_quick_code_end_the_guest_at_most_and_no_thread_of_the_node(
    tmp_path: Path,
) -> None:
    """Quick code keeps on the stack what optimised code would compute anew, so it reaches less deep there."""
    engine = Engine(tmp_path, False, quick_first=True)
    code = recursing(10_800, 2000)
    assert "call stack exhausted" in str(trap_of(engine, code))
    assert trap_of(engine, recursing(300, 2000)) is None
    engine.wait_for_optimised_code()
    assert trap_of(engine, code) is None
    engine.close()


def _without_the_cache(folder: Path) -> None:
    shutil.rmtree(folder)


def _with_a_file_in_its_place(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"")


@pytest.mark.parametrize("spoil", sample([_without_the_cache, _with_a_file_in_its_place]))
def test_whatever_becomes_of_the_cache_while_optimised_code_is_compiled_the_program_runs_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None]
) -> None:
    folder, optimise = tmp_path / "cache", CoreModules.optimise
    spoilt = threading.Event()

    def late(self: CoreModules, quick: Compiler, compiler: Compiler, codes: list[bytes], budget: CompileBudget) -> None:
        spoilt.wait()
        optimise(self, quick, compiler, codes, budget)

    monkeypatch.setattr(CoreModules, "optimise", late)
    engine = Engine(folder, False, quick_first=True)
    first = engine.load(interpreter("B"))
    spoil(folder)
    spoilt.set()
    engine.wait_for_optimised_code()
    assert trap_of(engine, interpreter("B")) is None
    del first
    assert trap_of(engine, interpreter("B")) is None
    engine.close()


def test_on_a_full_disk_the_program_runs_quick_code_and_nothing_half_written_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, full = code_cache._written, threading.Event()

    def write(path: Path, pieces: Iterable[Buffer]) -> AbstractContextManager[tuple[BinaryIO, str]]:
        def until_full() -> Iterator[Buffer]:
            for number, piece in enumerate(pieces):
                if full.is_set() and number == 0:
                    yield memoryview(piece)[: len(piece) // 2]
                    raise OSError(errno.ENOSPC, "No space left on device")
                yield piece

        return keep(path, until_full())

    monkeypatch.setattr(code_cache, "_written", write)
    engine = Engine(tmp_path, False, quick_first=True)
    optimise = engine._optimise

    def later(key: bytes, codes: list[bytes]) -> None:
        full.set()
        optimise(key, codes)

    monkeypatch.setattr(engine, "_optimise", later)
    engine.load(interpreter("B"))
    # The lock is of what is about to be written.
    entries = {each for each in tmp_path.iterdir() if each.suffix != ".lock"}
    engine.wait_for_optimised_code()
    assert {*tmp_path.iterdir()} == entries
    assert trap_of(engine, interpreter("B")) is None
    engine.close()


_KILLED = """
import sys, threading
from pathlib import Path
from kernel.wasm.compiling.compiler import CompileBudget
from kernel.wasm.engine import Engine

began = CompileBudget.began
def noting(self, child):
    began(self, child)
    if self.idle:
        print(child.pid, flush=True)
CompileBudget.began = noting
engine = Engine(Path(sys.argv[1]), False, quick_first=True)
engine.load(sys.stdin.buffer.read())
print("loaded", flush=True)
threading.Event().wait()
"""


def test_a_node_that_is_killed_while_it_compiles_in_the_background_leaves_no_process_and_a_cache_that_works(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", _KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        node.stdin.write(interpreter("B"))
        node.stdin.close()
        said = {node.stdout.readline().strip() for _ in range(2)}
        (child,) = (int(each) for each in said - {b"loaded"})
        node.kill()
    assert _is_gone_soon(child)
    engine = Engine(tmp_path, False, quick_first=True)
    assert trap_of(engine, interpreter("B")) is None
    engine.close()
    # One that the node has left is free, and goes when its module is compiled again.
    for lock in tmp_path.glob("*.lock"):
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_gone_soon(child: int) -> bool:
    """Wait until there is no such process, for a minute; return whether it is so."""
    pause = threading.Event()
    return any(not os.path.exists(f"/proc/{child}") or pause.wait(0.01) for _ in range(6000))
