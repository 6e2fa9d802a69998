"""The versions of a package that a node has installed."""

from __future__ import annotations

from kernel.contract.address import PackageId
from nectar_node.releases.installed import InstalledVersion, InstalledVersions

CHESS = PackageId("chess", "ann.nec")


def version(text: str, digest: str) -> InstalledVersion:
    return InstalledVersion(text, digest, f"/{digest}", "chess:ann.nec", None, 0)


def test_a_version_with_the_files_of_the_one_before_is_another_version_and_can_be_rolled_back() -> None:
    versions = InstalledVersions()
    versions.add(CHESS, version("1.0.0", "aa"))
    versions.add(CHESS, version("1.0.1", "aa"))
    assert [each.version for each in versions.of(CHESS)] == ["1.0.0", "1.0.1"]
    versions.go_back(CHESS)
    assert [each.version for each in versions.of(CHESS)] == ["1.0.0"]


def test_a_version_that_is_installed_again_is_one() -> None:
    versions = InstalledVersions()
    for text, digest in (("1.0.0", "aa"), ("1.0.1", "bb"), ("1.0.0", "aa")):
        versions.add(CHESS, version(text, digest))
    assert [each.version for each in versions.of(CHESS)] == ["1.0.1", "1.0.0"]
