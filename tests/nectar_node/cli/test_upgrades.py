"""What `nectar start` does with another version of a package that runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernel.contract.address import PackageId
from tests.kernel.wasm.guests import wat
from tests.nectar_node.cli.real_node import RealNode, copy_package

PACKAGE = PackageId("box", "local")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The package box:local, with the processes echo and ping."""
    return copy_package("echo", tmp_path / "box" / "pkg")


def leave_out(folder: Path, process: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    kept = [entry for entry in manifest if entry["process_name"] != process]
    (folder / "manifest.json").write_text(json.dumps(kept))


def break_code(folder: Path) -> None:
    """Put code in the place of echo's that traps at once."""
    (folder / "echo.wasm").write_bytes(wat("(unreachable)"))


def test_g22_what_the_new_version_does_not_have_ends_and_is_named(node: RealNode, folder: Path) -> None:
    node.does("start", folder)
    leave_out(folder, "ping")
    ended = node.nectar("start", folder)
    assert ended.code == 0
    assert ended.err == "Ended with the version before: ping:box:local.\n"
    assert node.running() == {"hello:hello:sys", "echo:box:local"}


def test_a_version_that_traps_at_once_is_reported_and_the_one_before_runs_again(node: RealNode, folder: Path) -> None:
    node.does("start", folder)
    break_code(folder)
    ended = node.nectar("start", folder)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("echo:box:local of the new box:local has failed at once (")
    assert ended.err.endswith("the version before runs again. Say --keep to run the new one all the same.\n")
    assert node.does("message", "our@echo:box:local", "still there") == "still there\n"


def test_what_is_said_of_a_version_that_traps_at_once_does_not_hold_for_the_one_before(
    node: RealNode, folder: Path
) -> None:
    node.does("start", folder)
    decided = node.core.decisions.of(PACKAGE)
    assert decided is not None
    break_code(folder)
    assert node.nectar("start", folder, "--deny", "network").code == 1
    assert node.core.decisions.of(PACKAGE) == decided


def test_keep_runs_it_all_the_same(node: RealNode, folder: Path) -> None:
    node.does("start", folder)
    break_code(folder)
    ended = node.nectar("start", folder, "--keep")
    assert ended.code == 1
    assert "our@echo:box:local was started and has ended already" in ended.err


def test_the_same_version_again_is_no_new_one(node: RealNode, folder: Path) -> None:
    break_code(folder)
    assert node.nectar("start", folder).code == 1
    again = node.nectar("start", folder)
    assert again.code == 1
    assert "version before" not in again.err
