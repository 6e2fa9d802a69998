"""What comes with the node, as a clone has it and as it is installed; `make wheel` installs it."""

from __future__ import annotations

from pathlib import Path

from nectar_node.base.shipped import SHIPPED_FOLDER, default_publisher, find_data, find_shipped, is_shipped

ROOT = Path(__file__).resolve().parents[3]


def test_what_is_installed_takes_its_own_data_and_a_clone_its_packages(tmp_path: Path) -> None:
    assert SHIPPED_FOLDER == ROOT / "packages"
    package = tmp_path / "nectar_node"
    (tmp_path / "packages").mkdir()
    (package / "shipped_packages").mkdir(parents=True)
    assert find_data(package, "shipped_packages", "packages") == package / "shipped_packages"


def test_only_what_lies_among_the_packages_of_the_node_is_published_by_sys(tmp_path: Path) -> None:
    ours, other = SHIPPED_FOLDER / "hello" / "pkg", tmp_path / "packages" / "hello" / "pkg"
    assert (is_shipped(ours), default_publisher(ours)) == (True, "sys")
    assert (is_shipped(other), default_publisher(other)) == (False, "local")


def test_a_package_that_comes_with_the_node_is_found_by_its_name_alone() -> None:
    assert find_shipped("hello") == SHIPPED_FOLDER / "hello"
    for other in ("nobody", "", ".", "..", "hello/pkg", "../packages/hello", str(SHIPPED_FOLDER / "hello")):
        assert find_shipped(other) is None
