"""What is compiled is kept: the same sources are compiled once, others anew, and what is not whole is never seen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nectar_node.base.errors import DoesNotCompile, NoTools
from nectar_node.toolchains import once


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nectar" / "guests"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.py").write_text("1")
    return folder


@pytest.fixture
def runs() -> list[Path]:
    """Of the compiler: where it wrote to."""
    return []


@pytest.fixture
def compiler(runs: list[Path]) -> Callable[[Path], None]:
    def compile_to(place: Path) -> None:
        runs.append(place)
        place.write_bytes(b"compiled")

    return compile_to


def test_the_same_sources_are_compiled_once(
    source: Path, runs: list[Path], compiler: Callable[[Path], None], tmp_path: Path
) -> None:
    first = once.compiled([source], "1", compiler)
    assert once.compiled([source], "1", compiler) == first
    assert len(runs) == 1
    once.deliver(first, tmp_path / "out" / "a.wasm")
    assert (tmp_path / "out" / "a.wasm").read_bytes() == b"compiled"
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "a.wasm"]


def test_any_change_of_a_source_or_of_a_version_is_compiled_anew(
    source: Path, runs: list[Path], compiler: Callable[[Path], None]
) -> None:
    places = {once.compiled([source], "1", compiler), once.compiled([source], "2", compiler)}
    (source / "a.py").write_text("2")
    places.add(once.compiled([source], "1", compiler))
    (source / "a.py").rename(source / "b.py")
    places.add(once.compiled([source], "1", compiler))
    assert len(places) == len(runs) == 4


def test_what_is_made_of_a_source_does_not_change_its_hash(source: Path) -> None:
    before = once.fingerprint([source], "1")
    for made in ("pkg", "__pycache__", "node_modules", ".git"):
        (source / made).mkdir()
        (source / made / "x").write_text("x")
    (source / "a.wasm").write_text("x")
    assert once.fingerprint([source], "1") == before


def test_a_compiler_that_fails_half_way_leaves_nothing(
    source: Path, cache: Path, compiler: Callable[[Path], None]
) -> None:
    def fail(place: Path) -> None:
        place.write_bytes(b"half")
        raise DoesNotCompile("a.py:1: wrong")

    with pytest.raises(DoesNotCompile):
        once.compiled([source], "1", fail)
    assert [path for path in cache.iterdir() if path.suffix == ".wasm"] == []
    assert once.compiled([source], "1", compiler).read_bytes() == b"compiled"


def test_two_who_need_the_same_at_once_compile_it_once(
    source: Path, runs: list[Path], compiler: Callable[[Path], None]
) -> None:
    with ThreadPoolExecutor(4) as threads:
        places = set(threads.map(lambda _: once.compiled([source], "1", compiler), range(4)))
    assert len(places) == len(runs) == 1


def test_what_was_needed_longest_ago_is_forgotten_first(
    source: Path, cache: Path, compiler: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "MAX_KEPT_BYTES", 2 * len(b"compiled"))
    first, second = (once.compiled([source], version, compiler) for version in "12")
    os.utime(first, (1, 1))
    third = once.compiled([source], "3", compiler)
    assert {path for path in cache.iterdir() if path.suffix == ".wasm"} == {second, third}


def test_without_a_cache_folder_there_are_no_tools(
    source: Path, compiler: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(NoTools, match="XDG_CACHE_HOME"):
        once.compiled([source], "1", compiler)


def test_a_source_of_no_language_is_bad_usage(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nectar_node.toolchains", "a.cobol", str(tmp_path / "out.wasm")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("a.cobol is no source that can be compiled: these end with .py, ")


def test_tools_that_are_fetched_are_told_of_once_before_and_after(tmp_path: Path) -> None:
    said: list[str] = []

    def install(place: Path) -> None:
        assert said == ["Fetching ziglang 1.0, which compiles Zig, from PyPI: once, 400 MB on the disk …"]
        place.mkdir()

    with once.told(said.append):
        for _ in range(2):
            place = once.tools(
                "ziglang-1.0", install, "ziglang 1.0, which compiles Zig, from PyPI: once, 400 MB on the disk"
            )
        once.tools("a-folder", lambda place: place.mkdir())
    assert said[1:] == [f"Fetched in 0 s. It is kept in {place}."]
    once.tools("ziglang-1.1", lambda place: place.mkdir(), "ziglang 1.1")
    assert len(said) == 2
