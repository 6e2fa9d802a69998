"""Programs are compiled on threads of which no package can take all."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from kernel.wasm.compiling.compiler import CompileBudget, Compiler
from kernel.wasm.compiling.core_modules import CoreModules
from kernel.wasm.engine import Engine
from nectar_node.contract.actions import BadCode
from nectar_node.driver.code_loading import AHEAD, THREADS_OF_PACKAGE, Ahead, Loader
from nectar_node.driver.program_code import LARGE_BYTES, Source, compile_ahead, load_program
from nectar_node.packages.manifest import Package, read_package
from nectar_node.storage.disk import perform
from nectar_node.storage.operations import Location
from tests.kernel.wasm.guests import wat

THREADS = 4


class Slow:
    """A compiler that takes as long as the test likes."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begun: list[Source] = []

    def __call__(self, source: Source) -> BadCode:
        self.begun.append(source)
        if isinstance(source, Location) and source.parts[0].startswith("bomb"):
            self.go_on.wait(60)
        return BadCode("compiled")


async def test_g23_hostile_programs_of_one_package_hold_up_no_other() -> None:
    slow = Slow()
    loader = Loader("drives", slow)
    async with trio.open_nursery() as nursery:
        for number in range(THREADS_OF_PACKAGE + 20):
            nursery.start_soon(loader.load, Location("drives", ("bomb:sys", "pkg", f"{number}.wasm")))
        await loader.load(Location("drives", ("other:sys", "pkg", "a.wasm")))
        await loader.load(Location("installed", ("a.wasm",)))
        assert (
            sum(isinstance(each, Location) and each.parts[0] == "bomb:sys" for each in slow.begun) <= THREADS_OF_PACKAGE
        )
        slow.go_on.set()
    assert len(slow.begun) == THREADS_OF_PACKAGE + 22


async def test_a_node_that_stops_waits_for_no_compiler() -> None:
    slow = Slow()
    loader = Loader("drives", slow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loader.load, Location("drives", ("bomb:sys", "pkg", "a.wasm")))
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    slow.go_on.set()


def test_g26_code_that_many_threads_load_at_once_is_kept_by_each(tmp_path: Path) -> None:
    code = wat("(nop)")
    begin = threading.Barrier(THREADS)
    engine = Engine(None, replayable=True)

    def load(_: int) -> list[object]:
        begin.wait(60)
        return [load_program(engine, perform, str(folder), code) for folder in folders]

    folders = [tmp_path / str(number) for number in range(20)]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(THREADS) as pool:
        programs = [each for found in pool.map(load, range(THREADS)) for each in found]
    assert [each for each in programs if isinstance(each, BadCode)] == []
    for folder in folders:
        (kept,) = folder.iterdir()
        assert kept.read_bytes() == code
        assert kept.name == engine.load(code).digest
    engine.close()


def test_what_takes_long_to_compile_is_told_of_by_its_file(tmp_path: Path) -> None:
    large, told = wat("(nop)", extra='(data (i32.const 0) "' + "x" * (1 << 20) + '")'), list[str]()
    (tmp_path / "large.wasm").write_bytes(large)
    engine = Engine(None, replayable=True)
    (tmp_path / "kept").mkdir()
    load_program(engine, perform, str(tmp_path / "kept"), Location(str(tmp_path), ("large.wasm",)), told.append)
    assert told == [f"large.wasm: compiles core module 1 of 1, 0 % of {len(large):,} bytes are done"]
    engine.close()


def test_the_memory_for_large_code_is_given_back_once_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    engine, given_back = Engine(None, replayable=True), list[int]()
    for size in (LARGE_BYTES, 1 << 10):
        code = wat("(nop)", extra='(data "' + "x" * size + '")')
        give_back = partial(given_back.append, size)
        assert not isinstance(load_program(engine, perform, str(tmp_path / "kept"), code, None, give_back), BadCode)
    assert given_back == [LARGE_BYTES]
    engine.close()


def _asking(folder: Path, codes: list[bytes | None]) -> Package:
    """Return a package with a process for each code; None: its file is not there."""
    folder.mkdir()
    entries = []
    for number, code in enumerate(codes):
        entries.append({"process_name": f"p{number}", "process_wasm_path": f"/{number}.wasm"})
        if code is not None:
            (folder / f"{number}.wasm").write_bytes(code)
    (folder / "manifest.json").write_text(json.dumps(entries))
    (folder / "metadata.json").write_text(json.dumps({"package": "asked", "publisher": "local"}))
    return read_package(folder, "our.nec")


async def test_what_somebody_is_asked_about_is_compiled_before_the_answer_and_nothing_is_said_of_what_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = wat("(nop)", extra='(data (i32.const 0) "' + "x" * LARGE_BYTES + '")')
    package = _asking(tmp_path / "asked", [None, b"hostile" * (1 << 20), wat("(nop)"), large])
    compiled, notes, compile_ = list[int](), list[str](), CoreModules._compile

    def counting(self: CoreModules, compiler: Compiler, code: bytes, budget: CompileBudget) -> bytes:
        compiled.append(len(code))
        return compile_(self, compiler, code, budget)

    monkeypatch.setattr(CoreModules, "_compile", counting)
    engine = Engine(tmp_path / "cache", replayable=False)
    async with trio.open_nursery() as nursery:
        compile = partial(compile_ahead, engine, perform)
        Ahead(compile, nursery.start_soon, lambda text, error: notes.append(f"{text}: {error}")).begin(package)
    assert compiled.count(len(large)) == 1
    assert notes == []
    engine.close()
    another = Engine(tmp_path / "cache", replayable=False)
    another.load(large)
    assert compiled.count(len(large)) == 1
    another.close()


async def test_however_many_packages_somebody_is_asked_about_few_programs_wait_and_one_is_compiled(
    tmp_path: Path,
) -> None:
    slow = Slow()
    async with trio.open_nursery() as nursery:
        ahead = Ahead(slow, nursery.start_soon, lambda *_: None)
        for number in range(2):  # the second time while the first ones wait
            package = _asking(tmp_path / f"bomb{number}", [None] * AHEAD)
            ahead.begin(package)
            ahead.begin(package)
        slow.go_on.set()
    assert len(slow.begun) == AHEAD
    assert len(set(slow.begun)) == AHEAD
