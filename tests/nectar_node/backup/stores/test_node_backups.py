"""Copies of a node that runs: what becomes of a snapshot that the node cannot keep."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nectar_node.backup.run import Report
from nectar_node.backup.stores.node_backups import MAX_TRIES, NodeBackups
from nectar_node.base.errors import NodeError
from nectar_node.base.folder import NodeFolder
from nectar_node.contract.config import NODES_FOLDER


@dataclass
class Node:
    """What a node answers that cannot keep some of its snapshots."""

    folder: NodeFolder
    voids: int
    """How many of its snapshots turn out to be void when all has been read."""
    snapshots: int = 0
    asked: list[str] = field(default_factory=list)

    def connect(self) -> Node:
        return self

    def ask(self, command: str, patience: float | None = None, **arguments: object) -> dict[str, object]:
        self.asked.append(command)
        if command == "snapshot":
            self.snapshots += 1
            return {"folder": str(self.folder.path / "backup" / "snapshot")}
        is_void = command == "snapshot_state" and self.snapshots <= self.voids
        return {"void": "too much has changed" if is_void else None}

    def close(self) -> None:
        self.asked.append("close")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[NodeFolder]:
    """The folder of a node that runs."""
    folder = NodeFolder(tmp_path / "net" / NODES_FOLDER / "a.nec")
    folder.create()
    folder.store.write_bytes(b"rows")
    lock = folder.acquire()
    yield folder
    os.close(lock)


def run(node: Node, tmp_path: Path) -> dict[str, Report | NodeError]:
    return dict(all_results(node, tmp_path))


def all_results(node: Node, tmp_path: Path) -> list[tuple[str, Report | NodeError]]:
    backups = NodeBackups(node.folder, tmp_path / "net", connect=node.connect)
    for name in ("one", "two"):
        backups.add(name, str(tmp_path / name))
    return list(backups.run([]))


def test_another_snapshot_is_taken_when_one_could_not_be_kept(folder: NodeFolder, tmp_path: Path) -> None:
    node = Node(folder, voids=2)
    assert all(isinstance(result, Report) for result in run(node, tmp_path).values())
    assert node.snapshots == 3
    assert node.asked[-1] == "close"


def test_a_node_that_can_keep_none_is_not_copied_and_says_why(folder: NodeFolder, tmp_path: Path) -> None:
    node = Node(folder, voids=100)
    results = run(node, tmp_path)
    assert {str(result) for result in results.values()} == {
        "a.nec could not keep its snapshot, because too much has changed: try again."
    }
    assert node.snapshots == MAX_TRIES
    assert not any((tmp_path / "one" / "heads").iterdir())  # what was read of it is no copy


def test_the_store_may_change_as_soon_as_it_has_been_copied(folder: NodeFolder, tmp_path: Path) -> None:
    node = Node(folder, voids=0)
    run(node, tmp_path)
    assert node.asked[:3] == ["snapshot", "snapshot_scanned", "snapshot_store_read"]


def test_a_snapshot_that_cannot_be_ended_does_not_make_of_good_copies_failed_ones(
    folder: NodeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close(_: Node) -> None:
        raise BrokenPipeError("the node has gone")

    monkeypatch.setattr(Node, "close", close)
    results = all_results(Node(folder, voids=0), tmp_path)
    assert sorted(name for name, result in results if isinstance(result, Report)) == ["one", "two"]
    assert len(results) == 2
