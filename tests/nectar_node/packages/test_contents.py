"""Copies of packages below a node's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.base.errors import BadPackage
from nectar_node.packages.contents import discard_unused, with_copy, with_digest
from nectar_node.packages.manifest import Package
from nectar_node.packages.startable import read_startable


def copied(folder: Path, node: Path, content: str) -> Package:
    """A package, copied for a node."""
    folder.mkdir()
    (folder / "manifest.json").write_text("[]")
    (folder / "content").write_text(content)
    return with_copy(with_digest(read_startable(folder, "a.nec")), node)


def test_a_copy_that_nothing_uses_goes_and_all_others_stay(tmp_path: Path) -> None:
    node = tmp_path / "a.nec"
    used, _ = (copied(tmp_path / name, node, name) for name in ("used", "unused"))
    packages = node / "packages"
    zipped = packages / ("0" * 16) / "box"
    for each in (zipped, packages / ("1" * 16) / "box", packages / ".new-half" / "box", packages / "of the user"):
        each.mkdir(parents=True)
    discard_unused(node, (used.folder, zipped))
    assert {each.name for each in packages.iterdir()} == {used.folder.parent.name, "0" * 16, "of the user"}
    assert (used.folder / "content").read_text() == "used"


def test_files_that_change_while_they_are_copied_are_no_copy_of_the_package(tmp_path: Path) -> None:
    folder, node = tmp_path / "box", tmp_path / "a.nec"
    folder.mkdir()
    (folder / "manifest.json").write_text("[]")
    (folder / "content").write_text("before")
    package = with_digest(read_startable(folder, "a.nec"))
    (folder / "content").write_text("behind")
    with pytest.raises(BadPackage, match="have changed while they were copied"):
        with_copy(package, node)
    assert not any((node / "packages").iterdir())


def test_a_node_without_copies_has_nothing_to_remove(tmp_path: Path) -> None:
    discard_unused(tmp_path, ())
    assert list(tmp_path.iterdir()) == []
