"""What a disk does with each operation: one body, on the real disk and on the simulated one."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from nectar_node.storage.disk import perform
from nectar_node.storage.operations import (
    Append,
    Copy,
    Create,
    CreateFolder,
    DiskError,
    DiskFault,
    FileStat,
    FileType,
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
