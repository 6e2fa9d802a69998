"""Rust is the machine's own: what is missing is said, and how to get it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nectar_node.base.errors import NoTools
from nectar_node.toolchains import rust


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A process."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.rs").write_text("nectar::process!(run);\nfn run(_: nectar::Address) {}\n")
    return tmp_path / "src" / "main.rs"


def test_without_cargo_one_sentence_says_what_to_install(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoTools, match=r"cargo, which is not here: .* `rustup target add wasm32-unknown-unknown"):
        rust.build(source, tmp_path / "out.wasm")
    assert not (tmp_path / "out.wasm").exists()


@pytest.mark.skipif(shutil.which("cargo") is None, reason="needs cargo")
def test_without_the_target_one_sentence_says_how_to_get_it(source: Path, tmp_path: Path) -> None:
    told = subprocess.run(
        ["rustc", "--print", "target-libdir", "--target", rust.TARGET], capture_output=True, text=True, check=False
    )
    if Path(told.stdout.strip()).is_dir():
        pytest.skip("this machine has the target")
    with pytest.raises(NoTools, match=r"no standard library for wasm32-unknown-unknown: .* installs it\.$"):
        rust.build(source, tmp_path / "out.wasm")
