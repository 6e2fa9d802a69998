"""What a disk does with each operation: one body, on the real disk and on the simulated one."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from nectar_node.storage import disk as real
from nectar_node.storage import long_operations
from nectar_node.storage.disk import perform
from nectar_node.storage.ledger import UNCOUNTED, Ledger
from nectar_node.storage.operations import (
    Append,
    Copy,
    Create,
    CreateFolder,
    DiskError,
    DiskFault,
    Extend,
    FileStat,
    FileType,
    FreeSpace,
    Hash,
    ListFolder,
    Location,
    MakeFolder,
    Operation,
    Outcome,
    ReadAt,
    RemoveFile,
    RemoveFolder,
    Rename,
    Replace,
    SetLength,
    Stat,
    Sync,
    Unpack,
    WriteAt,
    file_name,
    is_part,
)
from testnet.sim.disk import SimDisk

Perform = Callable[[Operation], Outcome]


@pytest.fixture(params=["real", "simulated"])
def disk(request: pytest.FixtureRequest) -> Perform:
    return perform if request.param == "real" else SimDisk(lambda: 12.5).perform


@pytest.fixture
def at(tmp_path: Path) -> Callable[..., Location]:
    return lambda *parts: Location(str(tmp_path), parts)


At = Callable[..., Location]


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def fault(outcome: Outcome) -> DiskFault:
    assert isinstance(outcome, DiskError)
    return outcome.fault


def test_what_was_written_is_read_back(disk: Perform, at: At) -> None:
    assert disk(Create(at("f"))) is None
    assert disk(WriteAt(at("f"), 0, b"hello world")) is None
    assert disk(WriteAt(at("f"), 6, memoryview(b"there"))) is None
    assert disk(ReadAt(at("f"), 4, 100)) == b"o there"
    assert disk(ReadAt(at("f"), 100, 5)) == b""


def test_writing_past_the_end_fills_up_with_zeros(disk: Perform, at: At) -> None:
    disk(Create(at("f")))
    disk(WriteAt(at("f"), 3, b"x"))
    assert disk(ReadAt(at("f"), 0, 10)) == b"\0\0\0x"


def test_create_leaves_an_existing_file_as_it_is(disk: Perform, at: At) -> None:
    disk(Create(at("f")))
    disk(WriteAt(at("f"), 0, b"x"))
    disk(Create(at("f")))
    assert disk(ReadAt(at("f"), 0, 10)) == b"x"


def test_create_empties_an_existing_file_if_it_is_to_be_cut_off(disk: Perform, at: At) -> None:
    disk(Replace(at("f"), b"x"))
    assert disk(Create(at("f"), cut_off=True)) is None
    assert disk(ReadAt(at("f"), 0, 10)) == b""


def test_append_writes_at_the_end_and_tells_the_new_length(disk: Perform, at: At) -> None:
    disk(Replace(at("f"), b"ab"))
    assert disk(Append(at("f"), memoryview(b"cd"))) == 4
    assert disk(Append(at("f"), b"")) == 4
    assert disk(ReadAt(at("f"), 0, 10)) == b"abcd"


def test_create_folder_makes_one_that_is_not_there(disk: Perform, at: At) -> None:
    assert disk(CreateFolder(at("d"))) is None
    assert fault(disk(CreateFolder(at("d")))) is DiskFault.EXISTS
    disk(Create(at("f")))
    assert fault(disk(CreateFolder(at("f")))) is DiskFault.EXISTS
    assert fault(disk(CreateFolder(at("f", "g")))) is DiskFault.NOT_FOUND


def test_what_is_a_file_is_no_folder(disk: Perform, at: At) -> None:
    disk(Create(at("f")))
    for operation in (MakeFolder(at("f", "g")), MakeFolder(at("f")), ListFolder(at("f")), Create(at("f", "g"))):
        assert fault(disk(operation)) is DiskFault.NOT_FOUND


def test_nothing_takes_the_place_of_a_folder_but_a_folder(disk: Perform, at: At) -> None:
    disk(MakeFolder(at("d")))
    disk(Create(at("f")))
    for operation in (Create(at("d")), Replace(at("d"), b""), Copy(at("f"), at("d")), Rename(at("f"), at("d"))):
        assert fault(disk(operation)) is DiskFault.OTHER
    assert fault(disk(Rename(at("d"), at("f")))) is DiskFault.NOT_FOUND
    assert disk(ListFolder(at())) == [("d", FileType.DIRECTORY), ("f", FileType.FILE)]


def test_rename_moves_a_folder_with_what_is_in_it(disk: Perform, at: At) -> None:
    disk(MakeFolder(at("a", "b")))
    disk(Replace(at("a", "b", "f"), b"x"))
    disk(MakeFolder(at("full", "inner")))
    assert fault(disk(Rename(at("a"), at("full")))) is DiskFault.OTHER
    assert fault(disk(Rename(at("a"), at("a", "b", "c")))) is DiskFault.OTHER
    disk(MakeFolder(at("empty")))
    assert disk(Rename(at("a"), at("empty"))) is None
    assert disk(ReadAt(at("empty", "b", "f"), 0, 9)) == b"x"
    assert fault(disk(Stat(at("a")))) is DiskFault.NOT_FOUND


def test_free_space_is_told_of_a_disk_and_not_of_what_is_there(disk: Perform, at: At) -> None:
    free = disk(FreeSpace(at("not", "there")))
    assert isinstance(free, int)
    assert free > 0


def test_a_disk_keeps_a_twentieth_as_its_floor_and_at_most_half_a_gibibyte() -> None:
    account = Ledger("vfs", "state").account("app:sys")
    assert account.growth(100, 1000) == 50
    assert account.growth(49, 1000) == 0
    assert account.growth(5 << 40, 10 << 40) == account.quota.bytes
    assert UNCOUNTED.growth(5 << 40, 10 << 40) == (5 << 40) - (1 << 29)


def test_copy_replaces_what_was_there_and_leaves_the_first(disk: Perform, at: At) -> None:
    data = os.urandom(3 << 20)
    disk(Replace(at("f"), data))
    disk(Replace(at("g"), b"old"))
    assert disk(Copy(at("f"), at("g"))) is None
    assert disk(Copy(at("f"), at("f"))) is None
    assert disk(Hash(at("g"))) == disk(Hash(at("f"))) == blake3(data).digest()
    assert disk(ListFolder(at())) == [("f", FileType.FILE), ("g", FileType.FILE)]


def test_unpack_makes_the_folders_and_files_of_an_archive(disk: Perform, at: At) -> None:
    disk(MakeFolder(at("into")))
    disk(Replace(at("into", "top"), b"old and long"))
    archive = zipped({"top": b"1", "sub/deep/er": b"2" * 3_000_000, "empty/": b""})
    assert disk(Unpack(at("into"), archive)) is None
    assert disk(ReadAt(at("into", "top"), 0, 99)) == b"1"
    assert disk(Hash(at("into", "sub", "deep", "er"))) == blake3(b"2" * 3_000_000).digest()
    assert disk(ListFolder(at("into"))) == [
        ("empty", FileType.DIRECTORY),
        ("sub", FileType.DIRECTORY),
        ("top", FileType.FILE),
    ]


def test_nothing_is_written_of_an_archive_that_leads_out_or_is_damaged_at_its_end(disk: Perform, at: At) -> None:
    disk(MakeFolder(at("into")))
    good = zipped({"a": b"1", "b": b"2" * 1000})
    damaged = good.replace(b"2" * 1000, b"2" * 999 + b"3")
    for archive in (zipped({"a": b"1", "../b": b"2"}), damaged, b"", good[:-30]):
        assert fault(disk(Unpack(at("into"), archive))) is DiskFault.BAD_ARCHIVE
    assert disk(ListFolder(at("into"))) == []
    assert disk(ListFolder(at())) == [("into", FileType.DIRECTORY)]


def test_a_missing_file_is_not_found(disk: Perform, at: At) -> None:
    operations: list[Operation] = [
        ReadAt(at("f"), 0, 1),
        WriteAt(at("f"), 0, b"x"),
        Stat(at("f")),
        Hash(at("f")),
        RemoveFile(at("f")),
        SetLength(at("f"), 1),
        Sync(at("f")),
        Rename(at("f"), at("g")),
        ListFolder(at("d")),
        Create(at("d", "f")),
        CreateFolder(at("d", "f")),
        Append(at("f"), b"x"),
        Copy(at("f"), at("g")),
        Replace(at("d", "f"), b"x"),
        RemoveFolder(at("d"), recursive=True),
    ]
    assert {fault(disk(operation)) for operation in operations} == {DiskFault.NOT_FOUND}


def test_folders_hold_files_and_list_them_in_order(disk: Perform, at: At) -> None:
    disk(MakeFolder(at("a", "b")))
    disk(MakeFolder(at("a", "b")))
    disk(Create(at("a", "ö x")))
    assert disk(ListFolder(at("a"))) == [("b", FileType.DIRECTORY), ("ö x", FileType.FILE)]
    assert disk(ListFolder(at())) == [("a", FileType.DIRECTORY)]
    assert isinstance(disk(RemoveFolder(at("a"), recursive=False)), DiskError)
    assert disk(RemoveFolder(at("a"), recursive=True)) is None
    assert disk(ListFolder(at())) == []


def test_a_folder_is_no_file(disk: Perform, at: At) -> None:
    disk(MakeFolder(at("d")))
    assert isinstance(disk(ReadAt(at("d"), 0, 1)), DiskError)
    stat = disk(Stat(at("d")))
    assert isinstance(stat, FileStat)
    assert stat.type is FileType.DIRECTORY


def test_stat_tells_length_and_a_new_time_after_a_change(disk: Perform, at: At) -> None:
    disk(Create(at("f")))
    disk(WriteAt(at("f"), 0, b"abc"))
    stat = disk(Stat(at("f")))
    assert isinstance(stat, FileStat)
    assert (stat.type, stat.length) == (FileType.FILE, 3)
    assert stat.modified > 0


def test_rename_replaces_what_was_there(disk: Perform, at: At) -> None:
    disk(MakeFolder(at("d")))
    for name in ("f", "g"):
        disk(Create(at("d", name)))
    disk(WriteAt(at("d", "f"), 0, b"f"))
    assert disk(Rename(at("d", "f"), at("d", "g"))) is None
    assert disk(ReadAt(at("d", "g"), 0, 9)) == b"f"
    assert fault(disk(Stat(at("d", "f")))) is DiskFault.NOT_FOUND


def test_set_length_cuts_and_extends(disk: Perform, at: At) -> None:
    disk(Create(at("f")))
    disk(WriteAt(at("f"), 0, b"abcdef"))
    disk(SetLength(at("f"), 3))
    disk(SetLength(at("f"), 4))
    assert disk(ReadAt(at("f"), 0, 9)) == b"abc\0"


def test_hash_is_blake3_of_the_whole_file(disk: Perform, at: At) -> None:
    data = os.urandom(3 << 20)
    disk(Create(at("f")))
    disk(WriteAt(at("f"), 0, data))
    assert disk(Hash(at("f"))) == blake3(data).digest()
    assert disk(Sync(at("f"))) is None


def test_replace_leaves_the_new_content_and_nothing_else(disk: Perform, at: At) -> None:
    disk(MakeFolder(at("d")))
    disk(Replace(at("d", "f"), b"old and long"))
    disk(Replace(at("d", "f"), b"new"))
    assert disk(ReadAt(at("d", "f"), 0, 99)) == b"new"
    assert disk(ListFolder(at("d"))) == [("f", FileType.FILE)]


def test_extend_goes_on_from_a_length_and_drops_what_was_behind_it(disk: Perform, at: At) -> None:
    disk(Replace(at("f"), b"kept, torn"))
    assert disk(Extend(at("f"), 5, b"new")) is None
    assert disk(ReadAt(at("f"), 0, 100)) == b"kept,new"
    assert disk(Extend(at("f"), 8, b" more")) is None
    assert disk(ReadAt(at("f"), 0, 100)) == b"kept,new more"


def test_extend_finds_no_file_that_is_missing_or_shorter(disk: Perform, at: At) -> None:
    disk(Replace(at("f"), b"123"))
    for location, length in ((at("f"), 4), (at("g"), 0)):
        refused = disk(Extend(location, length, b"x"))
        assert isinstance(refused, DiskError)
        assert refused.fault is DiskFault.NOT_FOUND
    assert disk(ReadAt(at("f"), 0, 100)) == b"123"


def test_no_link_leads_out_of_a_drive(tmp_path: Path) -> None:
    outside, drive = tmp_path / "outside", tmp_path / "drive"
    outside.mkdir()
    drive.mkdir()
    (outside / "secret").write_text("secret")
    (drive / "link").symlink_to(outside)
    (drive / "file").symlink_to(outside / "secret")
    for parts in (("link", "secret"), ("file",)):
        location = Location(str(drive), parts)
        for operation in (ReadAt(location, 0, 9), WriteAt(location, 0, b"x"), Hash(location), Create(location)):
            assert isinstance(perform(operation), DiskError)
    assert isinstance(perform(Unpack(Location(str(drive), ()), zipped({"link/secret": b"x"}))), DiskError)
    assert isinstance(perform(Unpack(Location(str(drive), ()), zipped({"file": b"x"}))), DiskError)
    assert isinstance(perform(Append(Location(str(drive), ("file",)), b"x")), DiskError)
    assert (outside / "secret").read_text() == "secret"


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """The way to a folder deeper than Python's stack; gone afterwards, since pytest could not remove it."""
    yield ("d",) + ("a",) * 1050
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_g23_a_folder_of_any_depth_is_removed(disk: Perform, at: At, deep: tuple[str, ...]) -> None:
    assert disk(MakeFolder(at(*deep))) is None
    disk(Replace(at(*deep, "f"), b"x"))
    disk(Replace(at("d", "a", "f"), b"x"))
    disk(MakeFolder(at("d", "b", "c")))
    assert isinstance(disk(RemoveFolder(at("d"), recursive=False)), DiskError)
    assert disk(RemoveFolder(at("d"), recursive=True)) is None
    assert disk(ListFolder(at())) == []


def test_g23_every_operation_works_deep_down(disk: Perform, at: At, deep: tuple[str, ...]) -> None:
    disk(MakeFolder(at(*deep)))
    assert disk(Replace(at(*deep, "f"), b"x")) is None
    assert disk(Hash(at(*deep, "f"))) == blake3(b"x").digest()
    assert disk(Unpack(at(*deep, "into"), zipped({"g": b"1"}))) is None
    assert disk(Copy(at(*deep, "f"), at(*deep, "into", "h"))) is None
    assert disk(Rename(at(*deep, "into"), at("top"))) is None
    assert disk(ListFolder(at("top"))) == [("g", FileType.FILE), ("h", FileType.FILE)]


def test_a_folder_is_removed_with_all_that_is_in_it_and_nothing_that_links_lead_to(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (folder / "link").symlink_to(outside)
    (folder / "inner" / "link").symlink_to(outside / "kept")
    os.mkfifo(folder / "inner" / "fifo")
    assert isinstance(perform(RemoveFolder(Location(str(folder), ("link",)), recursive=True)), DiskError)
    assert perform(RemoveFolder(Location(str(tmp_path), ("folder",)), recursive=True)) is None
    assert (os.listdir(tmp_path), (outside / "kept").read_text()) == (["outside"], "kept")


def test_a_large_folder_is_emptied_a_few_entries_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_operations, "_LISTED_AT_ONCE", 3)
    for number in range(10):
        (tmp_path / "d" / f"{number}" / "in" / "ner").mkdir(parents=True)
        (tmp_path / "d" / f"{number}" / "f").write_text("x")
        (tmp_path / "d" / f"f{number}").write_text("x")
    assert perform(RemoveFolder(Location(str(tmp_path), ("d",)), recursive=True)) is None
    assert os.listdir(tmp_path) == []


def test_g23_a_folder_that_never_gets_empty_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_operations, "_MOST_LISTINGS", 3)
    (tmp_path / "d" / "a" / "b" / "c" / "d").mkdir(parents=True)
    folder = Location(str(tmp_path), ("d",))
    assert perform(RemoveFolder(folder, recursive=True)) == DiskError(DiskFault.OTHER, "the folder does not get empty")
    assert perform(RemoveFolder(folder, recursive=True)) is None  # what was done is done


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_g23_what_is_no_regular_file_is_neither_read_nor_written(tmp_path: Path, kind: str) -> None:
    strange, file = Location(str(tmp_path), ("strange",)), Location(str(tmp_path), ("f",))
    if kind == "fifo":
        os.mkfifo(tmp_path / "strange")
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(tmp_path / "strange"))
    perform(Replace(file, b"x"))
    operations: list[Operation] = [
        ReadAt(strange, 0, 1),
        WriteAt(strange, 0, b"x"),
        Append(strange, b"x"),
        Create(strange),
        SetLength(strange, 0),
        Sync(strange),
        Hash(strange),
        Copy(strange, file),
        ListFolder(strange),
        Unpack(strange, zipped({"a": b""})),
        Unpack(Location(str(tmp_path), ()), zipped({"strange": b"x"})),
    ]
    assert {type(perform(each)) for each in operations} == {DiskError}
    assert perform(Rename(strange, Location(str(tmp_path), ("g",)))) is None
    assert perform(RemoveFile(Location(str(tmp_path), ("g",)))) is None
    assert perform(ReadAt(file, 0, 9)) == b"x"


def test_g23_a_folder_with_too_many_entries_is_not_listed(
    disk: Perform, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("nectar_node.storage.long_operations", "testnet.sim.disk"):
        monkeypatch.setattr(f"{module}.MAX_LISTED", 2)
    for name in ("a", "b"):
        disk(Create(at(name)))
    assert disk(ListFolder(at())) == [("a", FileType.FILE), ("b", FileType.FILE)]
    disk(Create(at("c")))
    assert fault(disk(ListFolder(at()))) is DiskFault.OTHER


@pytest.mark.parametrize("name", ["x" * 255, "ö" * 127])
def test_a_file_of_the_longest_name_is_replaced_and_copied(disk: Perform, at: At, name: str) -> None:
    assert disk(Replace(at(name), b"old and long")) is None
    assert disk(Replace(at(name), b"new")) is None
    assert disk(Copy(at(name), at("y" * 255))) is None
    assert disk(ReadAt(at("y" * 255), 0, 99)) == b"new"
    assert fault(disk(Replace(at("x" * 256), b""))) is DiskFault.OTHER


def test_replace_leaves_other_files_alone_whatever_their_names(disk: Perform, at: At) -> None:
    disk(Replace(at(".f.new"), b"mine"))
    disk(Replace(at("f"), b"x"))
    assert disk(ReadAt(at(".f.new"), 0, 9)) == b"mine"


def test_a_file_for_any_id_has_a_name_of_its_own() -> None:
    longer = [f"{name}:{'k' * 63}:{'p' * 200}" for name in "ab"]
    names = [file_name(id) for id in ("main:app:sys", *longer)]
    assert names[0] == "main:app:sys"
    assert len(set(names)) == 3
    assert all(is_part(name) for name in names)


def test_g23_what_nobody_has_foreseen_is_an_outcome_and_a_line_in_the_log(
    at: At, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def deep(_: Operation, ledger: object) -> Outcome:
        return deep(_, ledger)

    monkeypatch.setitem(real._SHORT, Stat, deep)
    assert perform(Stat(at("f"))) == DiskError(DiskFault.OTHER, "the node could not do it: its log says why")
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert "disk: Stat of" in line
    assert "RecursionError" in line


def test_a_full_simulated_disk_says_so_and_keeps_what_it_has() -> None:
    disk = SimDisk(lambda: 0.0, capacity=10)
    location = Location("root", ("f",))
    disk.perform(Create(location))
    assert disk.perform(WriteAt(location, 0, b"12345678")) is None
    assert fault(disk.perform(WriteAt(location, 8, b"12345678"))) is DiskFault.FULL
    assert disk.get(location) == b"12345678"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "x" * 256, "ö" * 128])
def test_what_cannot_be_one_component_of_a_path(name: str) -> None:
    assert not is_part(name)


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


def test_what_is_durable_can_be_reached_from_the_root(at: At, tmp_path: Path, synced: list[str]) -> None:
    assert perform(MakeFolder(at("a", "b"))) is None
    assert synced == [str(tmp_path), str(tmp_path / "a")]
    assert perform(CreateFolder(at("a", "c"))) is None
    assert synced[2:] == [str(tmp_path / "a")]
    assert perform(Create(at("a", "c", "f"))) is None
    assert perform(Sync(at("a", "c", "f"))) is None
    assert synced[3:] == [str(tmp_path / "a" / "c" / "f"), str(tmp_path / "a" / "c")]


def test_a_folder_that_is_there_costs_no_sync(at: At, synced: list[str]) -> None:
    assert perform(MakeFolder(at("a", "b"))) is None
    synced.clear()
    assert perform(MakeFolder(at("a", "b"))) is None
    assert synced == []
