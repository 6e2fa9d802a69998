"""Packages of the user travel whole, and keep the name that their folder gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput, NodeError
from testnet.hosts import packages
from testnet.hosts.packages import keep_untrusted, kept_packages, name_of, packed


def test_packages_arrive_under_their_names_with_what_lies_beside_them(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for path in (one / "pkg" / "manifest.json", one / "api" / "a.wit", one / "metadata.json", one / "one.zig"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    two.mkdir()
    (two / "manifest.json").write_text("[]")
    stream = packed([one / "pkg", two])
    assert stream == packed([one / "pkg", two])
    there = tmp_path / "there"
    keep_untrusted(there, stream)
    keep_untrusted(there, stream)
    first, second = kept_packages(there, name_of(stream))
    assert (first.name, first.parent.name, second.name) == ("pkg", "one", "two")
    assert sorted(path.name for path in first.parent.rglob("*.*")) == ["a.wit", "manifest.json", "metadata.json"]


def test_too_much_and_what_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "manifest.json").write_text("[]")
    monkeypatch.setattr(packages, "MAX_PACKAGES_BYTES", 1)
    with pytest.raises(BadInput, match="more than 1 bytes"):
        packed([tmp_path])
    with pytest.raises(BadInput, match="There are no packages"):
        kept_packages(tmp_path, "../..")
    with pytest.raises(NodeError):
        keep_untrusted(tmp_path / "there", b"nonsense")
    assert list((tmp_path / "there" / "packages").iterdir()) == []
