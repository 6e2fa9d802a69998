"""`nectar build`, with the real compiler of Zig."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nectar_node.authoring import build as building
from nectar_node.authoring.build import Built, build
from nectar_node.authoring.sources import find_sources
from nectar_node.base.errors import BadPackage, DoesNotCompile
from nectar_node.contract.config import user_cache
from nectar_node.toolchains.languages import COMPILERS
from tests.commands import nectar

ECHO = """const nectar = @import("nectar");
const names = @import("names.zig");

pub fn init(_: nectar.Address) void {
    nectar.print(0, names.greeting, .{});
}
"""
NAMES = 'pub const greeting = "Hello";\n'


def manifest(*names: str) -> str:
    """A manifest of these processes."""
    return json.dumps([{"process_name": name, "process_wasm_path": f"/{name}.wasm"} for name in names])


def make(folder: Path, *names: str) -> Path:
    """A package of processes that share a module."""
    (folder / "src").mkdir(parents=True)
    (folder / "pkg").mkdir()
    (folder / "pkg" / "manifest.json").write_text(manifest(*names))
    (folder / "metadata.json").write_text('{"package": "greeter"}')
    (folder / "src" / "names.zig").write_text(NAMES)
    for name in names:
        (folder / "src" / f"{name}.zig").write_text(ECHO)
    return folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of two processes, not built."""
    return make(tmp_path / "greeter", "one", "two")


def did(built: Built) -> tuple[tuple[str, ...], ...]:
    """What was compiled, what was not, and what was removed."""
    return built.compiled, built.unchanged, built.removed


def test_a_package_is_built_to_where_it_is_started_and_then_only_what_has_changed(package: Path) -> None:
    assert did(build(package)) == (("one.wasm", "two.wasm"), (), ())
    assert (package / "pkg" / "one.wasm").read_bytes()[:4] == b"\0asm"
    assert did(build(package)) == ((), ("one.wasm", "two.wasm"), ())
    with (package / "src" / "two.zig").open("a") as file:
        file.write("// more\n")
    assert did(build(package)) == (("two.wasm",), ("one.wasm",), ())
    (package / "src" / "names.zig").write_text('pub const greeting = "Good day";\n')
    assert did(build(package)) == (("one.wasm", "two.wasm"), (), ())


def test_what_somebody_has_changed_or_removed_is_built_again(package: Path) -> None:
    build(package)
    before = (package / "pkg" / "one.wasm").read_bytes()
    (package / "pkg" / "one.wasm").write_bytes(b"something else")
    (package / "pkg" / "two.wasm").unlink()
    assert did(build(package)) == (("one.wasm", "two.wasm"), (), ())
    assert (package / "pkg" / "one.wasm").read_bytes() == before


def test_the_file_of_a_process_that_is_gone_is_removed_and_one_of_the_authors_own_is_not(package: Path) -> None:
    build(package)
    (package / "pkg" / "own.wasm").write_bytes(b"\0asm")
    (package / "src" / "two.zig").unlink()
    (package / "pkg" / "manifest.json").write_text(manifest("one", "own"))
    assert did(build(package)) == ((), ("one.wasm",), ("two.wasm",))
    assert sorted(each.name for each in (package / "pkg").glob("*.wasm")) == ["one.wasm", "own.wasm"]


def test_a_mistake_is_told_with_file_line_and_column_and_changes_nothing(package: Path) -> None:
    build(package)
    before = {each.name: each.read_bytes() for each in (package / "pkg").iterdir()}
    (package / "src" / "one.zig").write_text(ECHO.replace("Hello", "Bye"))
    (package / "src" / "names.zig").write_text("pub const greeting = nothing;\n")
    with pytest.raises(DoesNotCompile) as caught:
        build(package)
    assert str(caught.value) == "src/names.zig:1:22: use of undeclared identifier 'nothing'"
    assert {each.name: each.read_bytes() for each in (package / "pkg").iterdir()} == before


def test_a_build_that_is_interrupted_leaves_nothing_half_done(package: Path) -> None:
    def interrupted(name: str) -> None:
        if name == "two.wasm":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(package, interrupted)
    assert [each.name for each in (package / "pkg").iterdir()] == ["manifest.json"]
    assert not (package / building.RECORD).exists()
    assert did(build(package)) == (("one.wasm", "two.wasm"), (), ())


@pytest.mark.parametrize(("name", "beside"), [("one.rs", "Cargo.toml"), ("one.ts", "package-lock.json")])
def test_what_says_on_what_sources_depend_is_a_part_of_them(tmp_path: Path, name: str, beside: str) -> None:
    package = make(tmp_path / "greeter", "one")
    (package / "src" / "one.zig").rename(package / "src" / name)
    (source,) = find_sources(package, package / "pkg", COMPILERS)
    before = building.made_of(source, package)
    (package / beside).write_text("more")
    assert building.made_of(source, package) != before


@pytest.mark.parametrize("record", ["", "[]", '{"files": {"../../x.wasm": {"sources": "", "bytes": ""}}}'])
def test_a_record_of_builds_that_cannot_be_used_is_as_none(package: Path, record: str) -> None:
    (package / building.RECORD).write_text(record)
    assert build(package).compiled == ("one.wasm", "two.wasm")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[", "manifest.json cannot be used: "),
        ('[{"process_name": "one"}]', "process_wasm_path"),
        (manifest("one", "three"), "manifest.json names /three.wasm, which nothing makes: there is no src/three.zig"),
    ],
)
def test_a_broken_manifest_is_refused_in_one_sentence(package: Path, text: str, sentence: str) -> None:
    (package / "pkg" / "manifest.json").write_text(text)
    ended = nectar("build", package)
    assert ended.code == 1
    assert sentence in ended.err
    assert ended.err.count("\n") == 1


def test_a_folder_that_is_no_package_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadPackage, match=r"has no pkg/manifest\.json\. .* `nectar new NAME`\.$"):
        build(tmp_path)


@pytest.mark.long
def test_the_same_sources_are_the_same_bytes_in_another_folder_and_for_another_user(tmp_path: Path) -> None:
    first = make(tmp_path / "a" / "greeter", "one")
    second = make(tmp_path / "b" / "deeper" / "under another name", "one")
    shutil.copytree(first, second, dirs_exist_ok=True)
    tools = user_cache("toolchains")
    assert tools is not None
    for folder, zone in ((first, "UTC"), (second, "Pacific/Auckland")):
        # Nothing that was compiled before is found; the tools are.
        cache = tmp_path / f"cache of {folder.name}" / "nectar"
        cache.mkdir(parents=True, mode=0o700)
        (cache / "toolchains").symlink_to(tools)
        variables = {**os.environ, "XDG_CACHE_HOME": str(cache.parent), "TZ": zone, "LC_ALL": "C", "USER": folder.name}
        command = [sys.executable, "-m", "nectar_node", "build", str(folder)]
        subprocess.run(command, env=variables, check=True, capture_output=True)
    assert (first / "pkg" / "one.wasm").read_bytes() == (second / "pkg" / "one.wasm").read_bytes()
