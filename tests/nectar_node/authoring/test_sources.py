"""Which source makes which process, by name alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.authoring.sources import find_sources
from nectar_node.base.errors import BadPackage
from nectar_node.toolchains.languages import COMPILERS


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package whose manifest names boss.wasm and tool.wasm."""
    write(tmp_path, "pkg/manifest.json", '["/boss.wasm", "/tool.wasm"]')
    return tmp_path


def write(folder: Path, name: str, text: str = "") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def found(package: Path) -> dict[str, str]:
    """Each process and its source."""
    sources = find_sources(package, package / "pkg", COMPILERS)
    return {each.name: each.path.relative_to(package).as_posix() for each in sources}


def test_a_process_that_the_manifest_names_is_made_of_the_source_of_its_name(package: Path) -> None:
    write(package, "src/boss.zig")
    write(package, "src/tool.py")
    write(package, "src/protocol.zig")
    assert found(package) == {"boss": "src/boss.zig", "tool": "src/tool.py"}


def test_a_child_that_a_source_names_is_a_process_too(package: Path) -> None:
    write(package, "src/boss.ts", 'spawn("/child.wasm")')
    write(package, "src/child.ts")
    assert found(package) == {"boss": "src/boss.ts", "child": "src/child.ts"}


def test_a_script_is_a_process_too(package: Path) -> None:
    write(package, "pkg/scripts.json", '{"say.wasm": {}}')
    write(package, "src/say.c")
    assert found(package) == {"say": "src/say.c"}


def test_a_process_may_have_a_folder_of_its_own(package: Path) -> None:
    write(package, "src/boss/main.rs")
    write(package, "src/boss/main.md")
    assert found(package) == {"boss": "src/boss/main.rs"}


def test_sources_may_lie_beside_pkg(package: Path) -> None:
    write(package, "boss.zig")
    assert found(package) == {"boss": "boss.zig"}


def test_two_sources_of_one_process_are_refused(package: Path) -> None:
    write(package, "src/boss.zig")
    write(package, "src/boss.py")
    with pytest.raises(BadPackage, match=r"would both make boss\.wasm: rename or remove one of them\.$"):
        found(package)


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("", True),
        ('const name = "/tool.wasm";', True),
        ('const tool = @import("tool.zig");', False),
        ('#include "tool.h"', False),
        ("import tool", False),
        ('import { a } from "./tool.ts";', False),
    ],
)
def test_another_process_is_no_part_of_one_unless_a_line_may_import_it(
    package: Path, text: str, *, apart: bool
) -> None:
    write(package, "src/boss.zig", text)
    tool = write(package, "src/tool.zig")
    boss, _ = find_sources(package, package / "pkg", COMPILERS)
    assert boss.apart == ({tool} if apart else set())
