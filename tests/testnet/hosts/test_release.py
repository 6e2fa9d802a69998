"""The same code is the same release, however it is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

from testnet.hosts.release import release_in, running_release

ROOT = Path(__file__).resolve().parents[3]


def test_an_installed_wheel_is_the_release_of_the_clone_that_it_was_built_from(tmp_path: Path) -> None:
    for package in ("kernel", "net", "nectar_node", "testnet"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("*.pyc"))
    # As pyproject.toml has the wheel's sources.
    shutil.copytree(ROOT / "sdk", tmp_path / "nectar_node" / "sdk")
    shutil.copytree(ROOT / "packages" / "hello", tmp_path / "nectar_node" / "shipped_packages" / "hello")
    assert release_in(tmp_path) == running_release()
    changed = tmp_path / "testnet" / "hosts" / "release.py"
    changed.write_text(changed.read_text() + "#")
    assert release_in(tmp_path) != running_release()
