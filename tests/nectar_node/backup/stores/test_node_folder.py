"""A node's folder as what is backed up, and an empty one as what is restored into."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from nectar_node.backup.format.errors import BackupError
from nectar_node.backup.format.listing import EntryKind, ListingEntry
from nectar_node.backup.source import order
from nectar_node.backup.stores.node_folder import FolderTarget, NodeSource


@pytest.fixture
def node(tmp_path: Path) -> Path:
    folder = tmp_path / "net" / "nodes" / "a.nec"
    folder.mkdir(parents=True)
    return folder


def paths(node: Path) -> list[bytes]:
    return [found.path for found in NodeSource(node, node.parent.parent).entries()]


def test_folders_come_before_what_is_in_them_and_in_the_same_order_each_time(node: Path) -> None:
    for name in ("vfs/b/2", "vfs/a/1", "state/s", "key"):
        (node / name).parent.mkdir(parents=True, exist_ok=True)
        (node / name).touch()
    (node.parent.parent / "testnet.json").touch()
    assert paths(node) == [
        b"network",
        b"network/testnet.json",
        b"node",
        b"node/key",
        b"node/state",
        b"node/state/s",
        b"node/vfs",
        b"node/vfs/a",
        b"node/vfs/a/1",
        b"node/vfs/b",
        b"node/vfs/b/2",
    ]
    assert paths(node) == sorted(paths(node), key=order)


def test_what_says_how_a_node_runs_and_the_keys_of_backups_stay_behind(node: Path) -> None:
    for name in ("lock", "log", "log.1", "trace", "backup/keys", "backup/known.json", "backup/remotes.json"):
        (node / name).parent.mkdir(exist_ok=True)
        (node / name).touch()
    with socket.socket(socket.AF_UNIX) as control:
        os.chdir(node)
        control.bind("control.sock")
    os.mkfifo(node / "pipe")
    (node / "vfs").mkdir()
    (node / "vfs" / "lock").touch()
    assert paths(node) == [b"node", b"node/backup", b"node/backup/remotes.json", b"node/vfs", b"node/vfs/lock"]


def test_what_is_kept_for_other_nodes_stays_behind_or_two_nodes_would_fill_each_other(node: Path) -> None:
    for name in ("kept/b.nec/packs/1", "backup/exchange/7-a", "vfs/kept/file"):
        (node / name).parent.mkdir(parents=True, exist_ok=True)
        (node / name).touch()
    assert paths(node) == [b"node", b"node/backup", b"node/vfs", b"node/vfs/kept", b"node/vfs/kept/file"]


def test_a_link_is_kept_as_a_link_and_never_followed(node: Path) -> None:
    (node / "out").symlink_to("/etc")
    (found,) = [found for found in NodeSource(node, node.parent.parent).entries() if found.path == b"node/out"]
    assert (found.kind, found.target) == (EntryKind.LINK, b"/etc")


def test_modes_times_and_contents_come_back(tmp_path: Path) -> None:
    target = FolderTarget({b"node": tmp_path / "new"})
    file = ListingEntry(b"node/folder/file", EntryKind.FILE, 0o640, 1_234_567_890_123_456_789, b"")
    folder = ListingEntry(b"node/folder", EntryKind.FOLDER, 0o750, 1_000_000_000_000_000_001, None)
    for entry in (ListingEntry(b"node", EntryKind.FOLDER, 0o700, 5, None), folder, file):
        target.begin(entry)
    target.write(file.path, 3, b"def")
    target.write(file.path, 0, b"abc")
    target.finish(file)
    target.finish(folder)
    for path, entry in ((tmp_path / "new" / "folder" / "file", file), (tmp_path / "new" / "folder", folder)):
        found = path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (entry.mode, entry.modified)
    assert (tmp_path / "new" / "folder" / "file").read_bytes() == b"abcdef"


@pytest.mark.parametrize("path", [b"elsewhere/file", b"node/link/file", b"node/missing/file", b"file", b"node/file/in"])
def test_nothing_is_restored_outside_the_folders(tmp_path: Path, path: bytes) -> None:
    target = FolderTarget({b"node": tmp_path / "new"})
    target.begin(ListingEntry(b"node", EntryKind.FOLDER, 0o700, 5, None))
    target.begin(ListingEntry(b"node/link", EntryKind.LINK, 0o777, 5, os.fsencode(tmp_path)))
    target.begin(ListingEntry(b"node/file", EntryKind.FILE, 0o600, 5, b""))
    with pytest.raises(BackupError, match="has no place"):
        target.begin(ListingEntry(path, EntryKind.FILE, 0o600, 5, b""))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["new"]
