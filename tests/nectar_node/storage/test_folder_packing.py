"""Folders as one file: one body, on the real disk and on the simulated one; and what only a real disk has."""

from __future__ import annotations

import os
import random
import socket
import struct
from pathlib import Path

import pytest
from blake3 import blake3

from nectar_node.packing.packed_folder import PackedKind
from nectar_node.storage import operations as ops
from nectar_node.storage.disk import perform
from nectar_node.storage.folder_copies import staging_name
from testnet.model.folder_tree import FolderTree, TreeItem, read_tree, write_tree
from testnet.sim.disk.disk import SimDisk
from tests.nectar_node.storage.test_quotas import Disk, Make, make

__all__ = ["make"]

WHEN = 1_500_000_000_000_000_007
TREE: FolderTree = {
    "": TreeItem(PackedKind.FOLDER, 0o755, WHEN),
    "a": TreeItem(PackedKind.FOLDER, 0o700, WHEN + 1),
    "a/deep": TreeItem(PackedKind.FOLDER, 0o750, WHEN + 2),
    "a/deep/empty": TreeItem(PackedKind.FILE, 0o600, WHEN + 3),
    "a/up": TreeItem(PackedKind.LINK, 0, WHEN + 4, b"../large"),
    "a-b": TreeItem(PackedKind.FILE, 0o755, WHEN + 5, b"#!"),
    "hollow": TreeItem(PackedKind.FOLDER, 0o700, WHEN + 6),
    "large": TreeItem(PackedKind.FILE, 0o644, WHEN + 7, bytes(range(256)) * 9000),
    "ö.txt": TreeItem(PackedKind.FILE, 0o640, -WHEN, b"before 1970"),
}
MOST = 100


def put(disk: Disk, name: str, tree: FolderTree = TREE) -> ops.Location:
    at = disk.at(name)
    if disk.simulated:
        disk.sim.put_tree(at, tree)
    else:
        write_tree(Path(at.root, *at.parts), tree)
    return at


def tree_at(disk: Disk, name: str) -> FolderTree | None:
    at = disk.at(name)
    return disk.sim.tree_of(at) if disk.simulated else read_tree(Path(at.root, *at.parts))


def stat(disk: Disk, at: ops.Location) -> ops.PackedStat:
    outcome = disk.do(ops.StatPacked(at))
    assert isinstance(outcome, ops.PackedStat), outcome
    return outcome


def packed(disk: Disk, at: ops.Location, piece: int = 1 << 20) -> bytes:
    """All bytes of a folder as one file, in pieces."""
    found, data, files = stat(disk, at), bytearray(), 0
    while len(data) < found.length:
        read = disk.do(ops.ReadPacked(at, found.version, len(data), piece))
        assert isinstance(read, ops.PackedBytes), read
        data += read.data
        assert read.end == len(data)
        files = read.files
    assert files == found.files
    assert disk.do(ops.HashPacked(at, found.version)) == blake3(data).digest()
    return bytes(data)


def why(outcome: ops.Outcome) -> str:
    assert isinstance(outcome, ops.DiskError), outcome
    return outcome.text


@pytest.mark.parametrize("piece", [1 << 20, 4099])
def test_a_folder_is_packed_and_unpacked_with_all_that_it_has_and_counts(make: Make, piece: int) -> None:
    disk = make()
    data = packed(disk, put(disk, "from"), piece)
    assert disk.do(ops.Replace(disk.at("packed"), data)) is None
    disk.count("app:sys")
    before = disk.used()
    assert disk.do(ops.UnpackFolder(disk.at("packed"), disk.at("to"), len(TREE))) is None
    assert tree_at(disk, "to") == TREE
    size = sum(len(item.content) for item in TREE.values() if item.kind is PackedKind.FILE)
    assert disk.used() == ops.Usage(before.bytes + size, before.files + len(TREE)) == disk.count("app:sys")


def test_the_same_folder_is_the_same_file_on_every_disk_and_any_change_another(tmp_path: Path) -> None:
    write_tree(tmp_path / "real", TREE)
    real = perform(ops.StatPacked(ops.Location(str(tmp_path), ("real",))))
    sim = SimDisk(lambda: 1.0)
    versions = set()
    for name, change in {
        "same": {},
        "mode": {"large": TREE["large"]._replace(mode=0o600)},
        "time": {"a": TREE["a"]._replace(modified=WHEN)},
        "size": {"a-b": TREE["a-b"]._replace(content=b"#!!")},
        "link": {"a/up": TREE["a/up"]._replace(content=b"../a-b")},
        "more": {"z": TREE["a-b"]},
    }.items():
        sim.put_tree(ops.Location("root", (name,)), {**TREE, **change})
        found = sim.perform(ops.StatPacked(ops.Location("root", (name,))))
        assert isinstance(found, ops.PackedStat)
        assert (found == real) is (name == "same")
        versions.add(found.version)
    assert len(versions) == 6


def test_nothing_is_unpacked_over_what_is_there(make: Make) -> None:
    disk = make()
    disk.do(ops.Replace(disk.at("packed"), packed(disk, put(disk, "from"))))
    disk.do(ops.Replace(disk.at("to"), b"mine"))
    outcome = disk.do(ops.UnpackFolder(disk.at("packed"), disk.at("to"), MOST))
    assert isinstance(outcome, ops.DiskError)
    assert outcome.fault is ops.DiskFault.EXISTS
    assert disk.do(ops.ReadAt(disk.at("to"), 0, 10)) == b"mine"


@pytest.mark.parametrize("quota", [{"bytes": 5_000_000}, {"files": 12}])
def test_one_that_does_not_fit_into_the_quota_leaves_nothing(make: Make, quota: dict[str, int]) -> None:
    disk = make(**quota)
    data = packed(disk, put(disk, "from"))
    disk.count("app:sys")
    assert disk.do(ops.Replace(disk.at("packed"), data)) is None
    before = disk.used()
    assert isinstance(disk.do(ops.UnpackFolder(disk.at("packed"), disk.at("to"), MOST)), ops.DiskError)
    assert (tree_at(disk, "to"), disk.used()) == (None, before)
    assert disk.count("app:sys") == before


def test_one_that_is_given_up_leaves_nothing(make: Make) -> None:
    disk = make()
    disk.do(ops.Replace(disk.at("packed"), packed(disk, put(disk, "from"))))
    disk.count("app:sys")
    before = disk.used()
    for steps in range(1, 4):
        work = disk.begin(ops.UnpackFolder(disk.at("packed"), disk.at("to"), MOST))
        if not any(work.step() for _ in range(steps)):
            work.stop()
            assert (tree_at(disk, "to"), disk.used()) == (None, before)
            assert disk.count("app:sys") == before


def test_what_a_crash_has_left_is_removed_by_the_next(make: Make) -> None:
    disk = make()
    disk.do(ops.Replace(disk.at("packed"), packed(disk, put(disk, "from"))))
    if disk.simulated:
        disk.sim.break_off(ops.UnpackFolder(disk.at("packed"), disk.at("to"), MOST), random.Random(3))
        disk.do(ops.RemoveFolder(disk.at("to"), recursive=True))
    else:
        put(disk, staging_name("to"))
    disk.count("app:sys")
    assert disk.do(ops.UnpackFolder(disk.at("packed"), disk.at("to"), MOST)) is None
    assert tree_at(disk, "to") == TREE
    used = disk.used()
    assert disk.count("app:sys") == used


@pytest.mark.parametrize("cut", [0, 10, 15, 60, -1])
def test_a_packed_folder_that_is_cut_off_is_refused(make: Make, cut: int) -> None:
    disk = make()
    disk.do(ops.Replace(disk.at("packed"), packed(disk, put(disk, "from"))[:cut]))
    outcome = disk.do(ops.UnpackFolder(disk.at("packed"), disk.at("to"), MOST))
    assert isinstance(outcome, ops.DiskError)
    assert outcome.fault is ops.DiskFault.BAD_ARCHIVE
    assert tree_at(disk, "to") is None


def test_lists_that_claim_to_be_larger_than_any_are_refused_before_they_are_read(make: Make) -> None:
    disk = make()
    for length, entries in ((0xFFFFFFFF, 1), (100, 10_000_000), (100, 100)):
        disk.do(ops.Replace(disk.at("packed"), struct.pack("<8sII", b"NECFOLD1", length, entries) + bytes(100)))
        assert "is refused" in why(disk.do(ops.UnpackFolder(disk.at("packed"), disk.at("to"), 1 << 40)))


def test_a_version_that_is_no_longer_there_cannot_be_read(make: Make) -> None:
    disk = make()
    at = put(disk, "from")
    version = stat(disk, at).version
    assert "something in it has changed meanwhile" in why(disk.do(ops.ReadPacked(at, version + 1, 0, 10)))
    assert "something in it has changed meanwhile" in why(disk.do(ops.HashPacked(at, version + 1)))


# --- what only a real disk has ----------------------------------------------------------------------------------------


def look(folder: Path) -> ops.Outcome:
    return perform(ops.StatPacked(ops.Location(str(folder.parent), (folder.name,))))


def test_what_is_no_file_folder_or_safe_link_is_left_out_and_said(tmp_path: Path) -> None:
    folder = tmp_path / "from"
    (folder / "d").mkdir(parents=True)
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "d" / "up").symlink_to("../../x")
    (folder / "d" / "in").symlink_to("../nowhere")
    found = look(folder)
    assert isinstance(found, ops.PackedStat)
    assert (found.entries, found.files) == (3, 0)
    assert "2 devices, pipes and sockets" in found.left_out
    assert "2 links that lead out of the folder" in found.left_out


@pytest.mark.parametrize(
    ("name", "sentence"),
    [(b"not \xff text", "it is not Unicode text"), (b"a\\b", "backslash"), (b"line\nbreak", "control character")],
)
def test_a_name_that_no_drive_can_have_is_refused_before_anything_is_sent(
    tmp_path: Path, name: bytes, sentence: str
) -> None:
    (tmp_path / "from").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "from") + b"/" + name)).touch()
    assert sentence in why(look(tmp_path / "from"))


def test_setuid_bits_and_hard_links_are_not_kept(tmp_path: Path) -> None:
    folder = tmp_path / "from"
    folder.mkdir()
    (folder / "a").write_bytes(b"x")
    (folder / "a").chmod(0o6555)
    os.link(folder / "a", folder / "b")
    found = look(folder)
    assert isinstance(found, ops.PackedStat)
    at = ops.Location(str(tmp_path), ("from",))
    read = perform(ops.ReadPacked(at, found.version, 0, 1 << 20))
    assert isinstance(read, ops.PackedBytes)
    (tmp_path / "packed").write_bytes(read.data)
    assert perform(ops.UnpackFolder(ops.Location(str(tmp_path), ("packed",)), at._replace(parts=("to",)), 9)) is None
    assert {(tmp_path / "to" / name).stat().st_mode & 0o7777 for name in "ab"} == {0o755}
    assert (tmp_path / "to" / "a").stat().st_nlink == 1


@pytest.mark.parametrize("change", ["content", "gone", "link"])
def test_a_file_that_changes_after_the_look_is_not_sent_as_if_it_had_not(tmp_path: Path, change: str) -> None:
    folder = tmp_path / "from"
    folder.mkdir()
    file = folder / "a"
    file.write_bytes(b"first")
    os.utime(file, ns=(WHEN, WHEN))
    found = look(folder)
    assert isinstance(found, ops.PackedStat)
    if change != "content":
        file.unlink()
    if change == "content":
        file.write_bytes(b"other")
    elif change == "link":
        file.symlink_to("/etc/hostname")
    outcome = perform(ops.ReadPacked(ops.Location(str(tmp_path), ("from",)), found.version, 0, 1 << 20))
    assert "'a' in it" in why(outcome)


def test_a_folder_with_too_much_in_it_is_refused_as_soon_as_that_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nectar_node.packing.packed_folder.MAX_ENTRIES", 5)
    for number in range(5):
        (tmp_path / "from" / f"d{number}").mkdir(parents=True)
    assert why(look(tmp_path / "from")).startswith("it has more than 5 files and folders")
    (tmp_path / "from" / "d4").rmdir()
    assert isinstance(look(tmp_path / "from"), ops.PackedStat)


@pytest.mark.parametrize("when", [1 << 63, -(1 << 63) - 1])
def test_a_time_that_no_packed_folder_can_hold_is_the_nearest_that_one_can(make: Make, when: int) -> None:
    tree = {"": TREE[""], "f": TreeItem(PackedKind.FILE, 0o600, when, b"x")}
    disk = make()
    at = put(disk, "from", tree)
    found = tree_at(disk, "from")  # a file system has limits of its own
    assert found is not None
    assert disk.do(ops.Replace(disk.at("packed"), packed(disk, at))) is None
    assert disk.do(ops.UnpackFolder(disk.at("packed"), disk.at("to"), len(tree))) is None
    nearest = max(-(1 << 63), min((1 << 63) - 1, found["f"].modified))
    assert tree_at(disk, "to") == {**found, "f": found["f"]._replace(modified=nearest)}


def test_a_folder_that_is_looked_at_again_is_hashed_anew_although_sizes_and_times_are_the_same(make: Make) -> None:
    disk = make()
    version = stat(disk, put(disk, "one")).version
    packed(disk, disk.at("one"))
    disk.do(ops.RemoveFolder(disk.at("one"), recursive=True))
    put(disk, "one", {**TREE, "a-b": TREE["a-b"]._replace(content=b"!#")})
    assert stat(disk, disk.at("one")).version == version
    packed(disk, disk.at("one"))
