"""What counts as a change of a package."""

from __future__ import annotations

from pathlib import Path

import pytest

from testnet.dev.saved import look


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with all kinds of files."""
    for name in ("src/a.zig", "pkg/manifest.json", "pkg/a.wasm", "tests/test_a.py", ".git/HEAD", "metadata.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("before")
    return tmp_path


@pytest.mark.parametrize("name", ["src/a.zig", "src/new.zig", "pkg/manifest.json", "pkg/page.html", "metadata.json"])
def test_a_file_that_is_saved_is_a_change(package: Path, name: str) -> None:
    before = look(package)
    (package / name).write_text("afterwards")
    assert look(package) != before


def test_a_file_that_an_editor_puts_in_the_place_of_another_is_a_change(package: Path) -> None:
    before = look(package)
    other = package / ".swap"
    other.write_text("BEFORE")
    other.replace(package / "src" / "a.zig")
    assert look(package) != before


def test_a_file_that_is_removed_is_a_change(package: Path) -> None:
    before = look(package)
    (package / "src" / "a.zig").unlink()
    assert look(package) != before


@pytest.mark.parametrize("name", ["pkg/a.wasm", "pkg/a.wasm.debug", "tests/test_a.py", ".git/HEAD", ".built.json"])
def test_what_is_built_tested_or_hidden_is_none(package: Path, name: str) -> None:
    before = look(package)
    (package / name).write_text("afterwards")
    assert look(package) == before
