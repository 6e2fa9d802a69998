"""What a disk does with each operation: one body, on the real disk and on the simulated one."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from nectar_node.storage import disk as real
from nectar_node.storage import operations as ops
from nectar_node.storage import removing, steps
from nectar_node.storage.disk import perform
from nectar_node.storage.ledger import UNCOUNTED, Ledger
from nectar_node.storage.opened import SETTLED_NS
from testnet.sim.disk.disk import SimDisk
from tests.waiting import until

Perform = Callable[[ops.Operation], ops.Outcome]


@pytest.fixture(params=["real", "simulated"])
def disk(request: pytest.FixtureRequest) -> Perform:
    return perform if request.param == "real" else SimDisk(lambda: 12.5).perform


@pytest.fixture
def at(tmp_path: Path) -> Callable[..., ops.Location]:
    return lambda *parts: ops.Location(str(tmp_path), parts)


At = Callable[..., ops.Location]


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def fault(outcome: ops.Outcome) -> ops.DiskFault:
    assert isinstance(outcome, ops.DiskError)
    return outcome.fault


@pytest.mark.parametrize("change", ["write", "shorten", "replace", "rewrite"])
def test_a_piece_of_a_version_is_read_only_while_the_file_has_it(
    disk: Perform, at: At, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nectar_node.storage.opened.SETTLED_NS", 0)
    disk(ops.Replace(at("f"), b"0123456789"))
    found = disk(ops.Stat(at("f")))
    assert isinstance(found, ops.FileStat)
    assert disk(ops.ReadAt(at("f"), 2, 3, found.version)) == b"234"
    until(lambda: time.time_ns() > found.modified + 20_000_000)  # a later tick of the kernel's clock
    changes: dict[str, ops.Operation] = {
        "write": ops.WriteAt(at("f"), 9, b"x"),
        "shorten": ops.SetLength(at("f"), 9),
        "replace": ops.Replace(at("f"), b"0123456789"),
        "rewrite": ops.WriteAt(at("f"), 0, b"0123456789"),
    }
    disk(changes[change])
    again = disk(ops.Stat(at("f")))
    assert isinstance(again, ops.FileStat)
    assert again.version not in ("", found.version)
    outcome = disk(ops.ReadAt(at("f"), 2, 3, found.version))
    assert isinstance(outcome, ops.DiskError)
    assert outcome.text == ops.CHANGED
    assert disk(ops.ReadAt(at("f"), 2, 3, again.version)) == b"234"


def test_a_file_that_was_changed_this_moment_has_no_version_on_a_real_disk(at: At) -> None:
    perform(ops.Replace(at("f"), b"x"))
    found = perform(ops.Stat(at("f")))
    assert isinstance(found, ops.FileStat)
    assert found.version == "" or time.time_ns() - found.modified > SETTLED_NS


def test_what_was_written_is_read_back_and_gaps_are_zeros(disk: Perform, at: At) -> None:
    assert disk(ops.Create(at("f"))) is None
    assert disk(ops.WriteAt(at("f"), 0, b"hello world")) is None
    assert disk(ops.WriteAt(at("f"), 6, memoryview(b"there"))) is None
    assert disk(ops.ReadAt(at("f"), 4, 100)) == b"o there"
    assert disk(ops.ReadAt(at("f"), 100, 5)) == b""
    disk(ops.Create(at("g")))
    disk(ops.WriteAt(at("g"), 3, b"x"))
    assert disk(ops.ReadAt(at("g"), 0, 10)) == b"\0\0\0x"


MOST = (1 << 63) - 1
"""The largest offset or length that a request can have."""


def test_g23_a_range_beyond_what_any_file_has_harms_nothing(disk: Perform, at: At) -> None:
    disk(ops.Replace(at("f"), b"content"))
    for offset, length in ((MOST, 1), (MOST, 1 << 26), (MOST - 5, 10), (7, 1 << 26), (8, 1), (1 << 62, 0)):
        assert disk(ops.ReadAt(at("f"), offset, length)) == b"", (offset, length)
    assert disk(ops.ReadAt(at("f"), 5, 1 << 26)) == b"nt"
    for operation in (
        ops.WriteAt(at("f"), MOST, b"x"),
        ops.WriteAt(at("f"), MOST - 5, b"x" * 10),
        ops.SetLength(at("f"), MOST),
    ):
        assert isinstance(disk(operation), ops.DiskError)
        assert disk(ops.ReadAt(at("f"), 0, 100)) == b"content"
    assert disk(ops.WriteAt(at("f"), MOST, b"")) is None
    assert disk(ops.ReadAt(at("f"), 0, 100)) == b"content"


def test_create_leaves_an_existing_file_as_it_is_unless_it_is_to_be_cut_off(disk: Perform, at: At) -> None:
    disk(ops.Create(at("f")))
    disk(ops.WriteAt(at("f"), 0, b"x"))
    disk(ops.Create(at("f")))
    assert disk(ops.ReadAt(at("f"), 0, 10)) == b"x"
    disk(ops.Replace(at("f"), b"x"))
    assert disk(ops.Create(at("f"), cut_off=True)) is None
    assert disk(ops.ReadAt(at("f"), 0, 10)) == b""


def test_append_writes_at_the_end_and_tells_the_new_length(disk: Perform, at: At) -> None:
    disk(ops.Replace(at("f"), b"ab"))
    assert disk(ops.Append(at("f"), memoryview(b"cd"))) == 4
    assert disk(ops.Append(at("f"), b"")) == 4
    assert disk(ops.ReadAt(at("f"), 0, 10)) == b"abcd"


def test_create_folder_makes_one_that_is_not_there(disk: Perform, at: At) -> None:
    assert disk(ops.CreateFolder(at("d"))) is None
    assert fault(disk(ops.CreateFolder(at("d")))) is ops.DiskFault.EXISTS
    disk(ops.Create(at("f")))
    assert fault(disk(ops.CreateFolder(at("f")))) is ops.DiskFault.EXISTS
    assert fault(disk(ops.CreateFolder(at("f", "g")))) is ops.DiskFault.NOT_FOUND


def test_what_is_a_file_is_no_folder(disk: Perform, at: At) -> None:
    disk(ops.Create(at("f")))
    for operation in (
        ops.MakeFolder(at("f", "g")),
        ops.MakeFolder(at("f")),
        ops.ListFolder(at("f")),
        ops.Create(at("f", "g")),
    ):
        assert fault(disk(operation)) is ops.DiskFault.NOT_FOUND


def test_nothing_takes_the_place_of_a_folder_but_a_folder(disk: Perform, at: At) -> None:
    disk(ops.MakeFolder(at("d")))
    disk(ops.Create(at("f")))
    for operation in (
        ops.Create(at("d")),
        ops.Replace(at("d"), b""),
        ops.Copy(at("f"), at("d")),
        ops.Rename(at("f"), at("d")),
    ):
        assert fault(disk(operation)) is ops.DiskFault.OTHER
    assert fault(disk(ops.Rename(at("d"), at("f")))) is ops.DiskFault.NOT_FOUND
    assert disk(ops.ListFolder(at())) == [("d", ops.FileType.DIRECTORY), ("f", ops.FileType.FILE)]


def test_rename_moves_a_folder_with_what_is_in_it(disk: Perform, at: At) -> None:
    disk(ops.MakeFolder(at("a", "b")))
    disk(ops.Replace(at("a", "b", "f"), b"x"))
    disk(ops.MakeFolder(at("full", "inner")))
    assert fault(disk(ops.Rename(at("a"), at("full")))) is ops.DiskFault.OTHER
    assert fault(disk(ops.Rename(at("a"), at("a", "b", "c")))) is ops.DiskFault.OTHER
    disk(ops.MakeFolder(at("empty")))
    assert disk(ops.Rename(at("a"), at("empty"))) is None
    assert disk(ops.ReadAt(at("empty", "b", "f"), 0, 9)) == b"x"
    assert fault(disk(ops.Stat(at("a")))) is ops.DiskFault.NOT_FOUND


def test_free_space_is_told_of_a_disk_and_not_of_what_is_there(disk: Perform, at: At) -> None:
    free = disk(ops.FreeSpace(at("not", "there")))
    assert isinstance(free, int)
    assert free > 0


def test_a_disk_keeps_a_twentieth_as_its_floor_and_at_most_half_a_gibibyte() -> None:
    account = Ledger("vfs").account("app:sys")
    assert account.growth(100, 1000) == 50
    assert account.growth(49, 1000) == 0
    assert account.growth(5 << 40, 10 << 40) == account.quota.bytes
    assert UNCOUNTED.growth(5 << 40, 10 << 40) == (5 << 40) - (1 << 29)


def test_copy_replaces_what_was_there_and_leaves_the_first(disk: Perform, at: At) -> None:
    data = os.urandom(3 << 20)
    disk(ops.Replace(at("f"), data))
    disk(ops.Replace(at("g"), b"old"))
    assert disk(ops.Copy(at("f"), at("g"))) is None
    assert disk(ops.Copy(at("f"), at("f"))) is None
    assert disk(ops.Hash(at("g"))) == disk(ops.Hash(at("f"))) == blake3(data).digest()
    assert disk(ops.ListFolder(at())) == [("f", ops.FileType.FILE), ("g", ops.FileType.FILE)]


def test_unpack_makes_the_folders_and_files_of_an_archive(disk: Perform, at: At) -> None:
    disk(ops.MakeFolder(at("into")))
    disk(ops.Replace(at("into", "top"), b"old and long"))
    archive = zipped({"top": b"1", "sub/deep/er": b"2" * 3_000_000, "empty/": b""})
    assert disk(ops.Unpack(at("into"), archive)) is None
    assert disk(ops.ReadAt(at("into", "top"), 0, 99)) == b"1"
    assert disk(ops.Hash(at("into", "sub", "deep", "er"))) == blake3(b"2" * 3_000_000).digest()
    assert disk(ops.ListFolder(at("into"))) == [
        ("empty", ops.FileType.DIRECTORY),
        ("sub", ops.FileType.DIRECTORY),
        ("top", ops.FileType.FILE),
    ]


def test_nothing_is_written_of_an_archive_that_leads_out_or_is_damaged_at_its_end(disk: Perform, at: At) -> None:
    disk(ops.MakeFolder(at("into")))
    good = zipped({"a": b"1", "b": b"2" * 1000})
    damaged = good.replace(b"2" * 1000, b"2" * 999 + b"3")
    for archive in (zipped({"a": b"1", "../b": b"2"}), damaged, b"", good[:-30]):
        assert fault(disk(ops.Unpack(at("into"), archive))) is ops.DiskFault.BAD_ARCHIVE
    assert disk(ops.ListFolder(at("into"))) == []
    assert disk(ops.ListFolder(at())) == [("into", ops.FileType.DIRECTORY)]


def test_a_missing_file_is_not_found(disk: Perform, at: At) -> None:
    operations: list[ops.Operation] = [
        ops.ReadAt(at("f"), 0, 1),
        ops.WriteAt(at("f"), 0, b"x"),
        ops.Stat(at("f")),
        ops.Hash(at("f")),
        ops.RemoveFile(at("f")),
        ops.SetLength(at("f"), 1),
        ops.Sync(at("f")),
        ops.Rename(at("f"), at("g")),
        ops.ListFolder(at("d")),
        ops.Create(at("d", "f")),
        ops.CreateFolder(at("d", "f")),
        ops.Append(at("f"), b"x"),
        ops.Copy(at("f"), at("g")),
        ops.Replace(at("d", "f"), b"x"),
        ops.RemoveFolder(at("d"), recursive=True),
    ]
    assert {fault(disk(operation)) for operation in operations} == {ops.DiskFault.NOT_FOUND}


def test_folders_are_made_once_and_hold_files_in_order(disk: Perform, at: At) -> None:
    disk(ops.MakeFolder(at("a", "b")))
    disk(ops.MakeFolder(at("a", "b")))
    disk(ops.Create(at("a", "ö x")))
    assert disk(ops.ListFolder(at("a"))) == [("b", ops.FileType.DIRECTORY), ("ö x", ops.FileType.FILE)]
    assert disk(ops.ListFolder(at())) == [("a", ops.FileType.DIRECTORY)]
    assert isinstance(disk(ops.RemoveFolder(at("a"), recursive=False)), ops.DiskError)
    assert disk(ops.RemoveFolder(at("a"), recursive=True)) is None
    assert disk(ops.ListFolder(at())) == []
    disk(ops.MakeFolder(at("d")))
    assert isinstance(disk(ops.ReadAt(at("d"), 0, 1)), ops.DiskError)
    stat = disk(ops.Stat(at("d")))
    assert isinstance(stat, ops.FileStat)
    assert stat.type is ops.FileType.DIRECTORY


def test_stat_tells_length_and_a_new_time_after_a_change(disk: Perform, at: At) -> None:
    disk(ops.Create(at("f")))
    disk(ops.WriteAt(at("f"), 0, b"abc"))
    stat = disk(ops.Stat(at("f")))
    assert isinstance(stat, ops.FileStat)
    assert (stat.type, stat.length) == (ops.FileType.FILE, 3)
    assert stat.modified > 0


def test_rename_replaces_what_was_there(disk: Perform, at: At) -> None:
    disk(ops.MakeFolder(at("d")))
    for name in ("f", "g"):
        disk(ops.Create(at("d", name)))
    disk(ops.WriteAt(at("d", "f"), 0, b"f"))
    assert disk(ops.Rename(at("d", "f"), at("d", "g"))) is None
    assert disk(ops.ReadAt(at("d", "g"), 0, 9)) == b"f"
    assert fault(disk(ops.Stat(at("d", "f")))) is ops.DiskFault.NOT_FOUND


def test_set_length_cuts_and_extends(disk: Perform, at: At) -> None:
    disk(ops.Create(at("f")))
    disk(ops.WriteAt(at("f"), 0, b"abcdef"))
    disk(ops.SetLength(at("f"), 3))
    disk(ops.SetLength(at("f"), 4))
    assert disk(ops.ReadAt(at("f"), 0, 9)) == b"abc\0"


def test_hash_is_blake3_of_the_whole_file(disk: Perform, at: At) -> None:
    data = os.urandom(3 << 20)
    disk(ops.Create(at("f")))
    disk(ops.WriteAt(at("f"), 0, data))
    assert disk(ops.Hash(at("f"))) == blake3(data).digest()
    assert disk(ops.Sync(at("f"))) is None


def test_replace_leaves_the_new_content_and_nothing_else_and_other_files_alone(disk: Perform, at: At) -> None:
    disk(ops.MakeFolder(at("d")))
    disk(ops.Replace(at("d", "f"), b"old and long"))
    disk(ops.Replace(at("d", "f"), b"new"))
    assert disk(ops.ReadAt(at("d", "f"), 0, 99)) == b"new"
    assert disk(ops.ListFolder(at("d"))) == [("f", ops.FileType.FILE)]
    disk(ops.Replace(at(".f.new"), b"mine"))
    disk(ops.Replace(at("f"), b"x"))
    assert disk(ops.ReadAt(at(".f.new"), 0, 9)) == b"mine"


def test_extend_goes_on_from_a_length_and_finds_no_shorter_file(disk: Perform, at: At) -> None:
    disk(ops.Replace(at("f"), b"kept, torn"))
    assert disk(ops.Extend(at("f"), 5, b"new")) is None
    assert disk(ops.ReadAt(at("f"), 0, 100)) == b"kept,new"
    assert disk(ops.Extend(at("f"), 8, b" more")) is None
    assert disk(ops.ReadAt(at("f"), 0, 100)) == b"kept,new more"
    disk(ops.Replace(at("f"), b"123"))
    for location, length in ((at("f"), 4), (at("g"), 0)):
        refused = disk(ops.Extend(location, length, b"x"))
        assert isinstance(refused, ops.DiskError)
        assert refused.fault is ops.DiskFault.NOT_FOUND
    assert disk(ops.ReadAt(at("f"), 0, 100)) == b"123"


def test_links_and_what_is_neither_file_nor_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("folder")
    os.mkfifo(tmp_path / "pipe")
    kinds = {
        "file": ops.FileType.FILE,
        "folder": ops.FileType.DIRECTORY,
        "link": ops.FileType.SYMLINK,
        "pipe": ops.FileType.OTHER,
    }
    assert perform(ops.ListFolder(ops.Location(str(tmp_path), ()))) == list(kinds.items())
    for name, kind in kinds.items():
        found = perform(ops.Stat(ops.Location(str(tmp_path), (name,))))
        assert isinstance(found, ops.FileStat)
        assert found.type is kind


def test_no_link_leads_out_of_a_drive(tmp_path: Path) -> None:
    outside, drive = tmp_path / "outside", tmp_path / "drive"
    outside.mkdir()
    drive.mkdir()
    (outside / "secret").write_text("secret")
    (drive / "link").symlink_to(outside)
    (drive / "file").symlink_to(outside / "secret")
    for parts in (("link", "secret"), ("file",)):
        location = ops.Location(str(drive), parts)
        for operation in (
            ops.ReadAt(location, 0, 9),
            ops.WriteAt(location, 0, b"x"),
            ops.Hash(location),
            ops.Create(location),
        ):
            assert isinstance(perform(operation), ops.DiskError)
    assert isinstance(perform(ops.Unpack(ops.Location(str(drive), ()), zipped({"link/secret": b"x"}))), ops.DiskError)
    assert isinstance(perform(ops.Unpack(ops.Location(str(drive), ()), zipped({"file": b"x"}))), ops.DiskError)
    assert isinstance(perform(ops.Append(ops.Location(str(drive), ("file",)), b"x")), ops.DiskError)
    assert (outside / "secret").read_text() == "secret"


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """The way to a folder deeper than Python's stack; gone afterwards, since pytest could not remove it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(400)  # what takes time for each folder above another one need not do so a million times
    yield ("d",) + ("a",) * 450
    sys.setrecursionlimit(before)
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_g23_a_folder_of_any_depth_is_removed(disk: Perform, at: At, deep: tuple[str, ...]) -> None:
    assert disk(ops.MakeFolder(at(*deep))) is None
    disk(ops.Replace(at(*deep, "f"), b"x"))
    disk(ops.Replace(at("d", "a", "f"), b"x"))
    disk(ops.MakeFolder(at("d", "b", "c")))
    assert isinstance(disk(ops.RemoveFolder(at("d"), recursive=False)), ops.DiskError)
    assert disk(ops.RemoveFolder(at("d"), recursive=True)) is None
    assert disk(ops.ListFolder(at())) == []


def test_g23_every_operation_works_deep_down(disk: Perform, at: At, deep: tuple[str, ...]) -> None:
    disk(ops.MakeFolder(at(*deep)))
    assert disk(ops.Replace(at(*deep, "f"), b"x")) is None
    assert disk(ops.Hash(at(*deep, "f"))) == blake3(b"x").digest()
    assert disk(ops.Unpack(at(*deep, "into"), zipped({"g": b"1"}))) is None
    assert disk(ops.Copy(at(*deep, "f"), at(*deep, "into", "h"))) is None
    assert disk(ops.Rename(at(*deep, "into"), at("top"))) is None
    assert disk(ops.ListFolder(at("top"))) == [("g", ops.FileType.FILE), ("h", ops.FileType.FILE)]


def test_a_folder_is_removed_with_all_that_is_in_it_and_nothing_that_links_lead_to(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (folder / "link").symlink_to(outside)
    (folder / "inner" / "link").symlink_to(outside / "kept")
    os.mkfifo(folder / "inner" / "fifo")
    assert isinstance(perform(ops.RemoveFolder(ops.Location(str(folder), ("link",)), recursive=True)), ops.DiskError)
    assert perform(ops.RemoveFolder(ops.Location(str(tmp_path), ("folder",)), recursive=True)) is None
    assert (os.listdir(tmp_path), (outside / "kept").read_text()) == (["outside"], "kept")


def test_a_large_folder_is_emptied_a_few_entries_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "_LISTED_AT_ONCE", 3)
    for number in range(10):
        (tmp_path / "d" / f"{number}" / "in" / "ner").mkdir(parents=True)
        (tmp_path / "d" / f"{number}" / "f").write_text("x")
        (tmp_path / "d" / f"f{number}").write_text("x")
    assert perform(ops.RemoveFolder(ops.Location(str(tmp_path), ("d",)), recursive=True)) is None
    assert os.listdir(tmp_path) == []


def test_g23_a_folder_that_never_gets_empty_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "_MOST_LISTINGS", 3)
    (tmp_path / "d" / "a" / "b" / "c" / "d").mkdir(parents=True)
    folder = ops.Location(str(tmp_path), ("d",))
    assert perform(ops.RemoveFolder(folder, recursive=True)) == ops.DiskError(
        ops.DiskFault.OTHER, "the folder does not get empty"
    )
    assert perform(ops.RemoveFolder(folder, recursive=True)) is None  # what was done is done


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_g23_what_is_no_regular_file_is_neither_read_nor_written(tmp_path: Path, kind: str) -> None:
    strange, file = ops.Location(str(tmp_path), ("strange",)), ops.Location(str(tmp_path), ("f",))
    if kind == "fifo":
        os.mkfifo(tmp_path / "strange")
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(tmp_path / "strange"))
    perform(ops.Replace(file, b"x"))
    operations: list[ops.Operation] = [
        ops.ReadAt(strange, 0, 1),
        ops.WriteAt(strange, 0, b"x"),
        ops.Append(strange, b"x"),
        ops.Create(strange),
        ops.SetLength(strange, 0),
        ops.Sync(strange),
        ops.Hash(strange),
        ops.Copy(strange, file),
        ops.ListFolder(strange),
        ops.Unpack(strange, zipped({"a": b""})),
        ops.Unpack(ops.Location(str(tmp_path), ()), zipped({"strange": b"x"})),
    ]
    assert {type(perform(each)) for each in operations} == {ops.DiskError}
    assert perform(ops.Rename(strange, ops.Location(str(tmp_path), ("g",)))) is None
    assert perform(ops.RemoveFile(ops.Location(str(tmp_path), ("g",)))) is None
    assert perform(ops.ReadAt(file, 0, 9)) == b"x"


def test_g23_a_folder_with_too_many_entries_is_not_listed(
    disk: Perform, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ops, "MAX_LISTED", 2)
    for name in ("a", "b"):
        disk(ops.Create(at(name)))
    assert disk(ops.ListFolder(at())) == [("a", ops.FileType.FILE), ("b", ops.FileType.FILE)]
    disk(ops.Create(at("c")))
    assert fault(disk(ops.ListFolder(at()))) is ops.DiskFault.OTHER


def test_a_folder_of_any_size_is_read_in_pages(disk: Perform, at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "MAX_LISTED", 2)
    monkeypatch.setattr(steps, "ENTRIES", 2)
    files = [f"{number:02}" for number in range(9)] + ["ä", "z"]
    disk(ops.MakeFolder(at("d", "00 folder")))
    for name in files:
        disk(ops.Create(at("d", name)))
    expected = sorted([*((name, ops.FileType.FILE) for name in files), ("00 folder", ops.FileType.DIRECTORY)])
    for limit in (1, 2, 5, 12, 100):
        found: list[tuple[str, ops.FileType]] = []
        while page := disk(ops.ListFolder(at("d"), found[-1][0] if found else "", limit)):
            assert isinstance(page, list)
            assert len(page) <= limit
            found += page
        assert found == expected, limit


def test_pages_stay_as_they_are_whatever_comes_and_goes_behind_and_before_them(disk: Perform, at: At) -> None:
    for name in "bdfh":
        disk(ops.Create(at(name)))
    assert disk(ops.ListFolder(at(), "", 2)) == [("b", ops.FileType.FILE), ("d", ops.FileType.FILE)]
    disk(ops.RemoveFile(at("d")))  # where the next page begins
    for name in "ae":
        disk(ops.Create(at(name)))
    page = disk(ops.ListFolder(at(), "d", 9))
    assert isinstance(page, list)
    assert [name for name, _ in page] == ["e", "f", "h"]


@pytest.mark.parametrize("name", ["x" * 255, "ö" * 127])
def test_a_file_of_the_longest_name_is_replaced_and_copied(disk: Perform, at: At, name: str) -> None:
    assert disk(ops.Replace(at(name), b"old and long")) is None
    assert disk(ops.Replace(at(name), b"new")) is None
    assert disk(ops.Copy(at(name), at("y" * 255))) is None
    assert disk(ops.ReadAt(at("y" * 255), 0, 99)) == b"new"
    assert fault(disk(ops.Replace(at("x" * 256), b""))) is ops.DiskFault.OTHER


def test_a_file_for_any_id_has_a_name_of_its_own() -> None:
    longer = [f"{name}:{'k' * 63}:{'p' * 200}" for name in "ab"]
    names = [ops.file_name(id) for id in ("main:app:sys", *longer)]
    assert names[0] == "main:app:sys"
    assert len(set(names)) == 3
    assert all(ops.is_part(name) for name in names)


def test_g23_what_nobody_has_foreseen_is_an_outcome_and_a_line_in_the_log(
    at: At, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def deep(_: ops.Operation, ledger: object) -> ops.Outcome:
        return deep(_, ledger)

    monkeypatch.setitem(real._SHORT, ops.Stat, deep)
    assert perform(ops.Stat(at("f"))) == ops.DiskError(
        ops.DiskFault.OTHER, "the node could not do it: its log says why"
    )
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert "disk: Stat of" in line
    assert "RecursionError" in line


def test_a_full_simulated_disk_says_so_and_keeps_what_it_has() -> None:
    disk = SimDisk(lambda: 0.0, capacity=10)
    location = ops.Location("root", ("f",))
    disk.perform(ops.Create(location))
    assert disk.perform(ops.WriteAt(location, 0, b"12345678")) is None
    assert fault(disk.perform(ops.WriteAt(location, 8, b"12345678"))) is ops.DiskFault.FULL
    assert disk.get(location) == b"12345678"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "x" * 256, "ö" * 128])
def test_what_cannot_be_one_component_of_a_path(name: str) -> None:
    assert not ops.is_part(name)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of what the real disk has been told to put itself what it holds, in order."""
    paths: list[str] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return paths


def test_what_is_durable_can_be_reached_from_the_root_and_costs_no_sync_twice(
    at: At, tmp_path: Path, synced: list[str]
) -> None:
    assert perform(ops.MakeFolder(at("a", "b"))) is None
    assert synced == [str(tmp_path), str(tmp_path / "a")]
    assert perform(ops.CreateFolder(at("a", "c"))) is None
    assert synced[2:] == [str(tmp_path / "a")]
    assert perform(ops.Create(at("a", "c", "f"))) is None
    assert perform(ops.Sync(at("a", "c", "f"))) is None
    assert synced[3:] == [str(tmp_path / "a" / "c" / "f"), str(tmp_path / "a" / "c")]
    assert perform(ops.MakeFolder(at("a", "b"))) is None
    synced.clear()
    assert perform(ops.MakeFolder(at("a", "b"))) is None
    assert synced == []
