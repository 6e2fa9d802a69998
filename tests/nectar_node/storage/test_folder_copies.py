"""Copies of whole folders: one body, on the real disk and on the simulated one."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import pytest

from nectar_node.storage import operations as ops
from nectar_node.storage.disk import perform
from nectar_node.storage.folder_copies import staging_name
from nectar_node.storage.ledger import Quotas
from tests.nectar_node.storage.test_quotas import APP, OTHER, Disk, Make, is_full, make

__all__ = ["make"]

MIB = 1 << 20
FILES = {("f",): b"x" * 1000, ("empty",): b"", ("a", "b", "g"): bytes(range(256)) * 5000, ("a", "h"): b"h"}


def fill(disk: Disk, *root: str) -> None:
    """Make a folder with the files, and an empty folder."""
    disk.do(ops.MakeFolder(disk.at(*root, "a", "b")))
    disk.do(ops.MakeFolder(disk.at(*root, "hollow")))
    for parts, content in FILES.items():
        assert disk.do(ops.Replace(disk.at(*root, *parts), content)) is None


def check_filled(disk: Disk, *root: str, package: str = APP) -> None:
    """Check that a folder has these files."""
    for parts, content in FILES.items():
        assert disk.do(ops.ReadAt(disk.at(*root, *parts, package=package), 0, 1 << 22)) == content
    assert names(disk, *root, package=package) == ["a", "empty", "f", "hollow"]


def names(disk: Disk, *parts: str, package: str = APP) -> list[str]:
    listed = disk.do(ops.ListFolder(disk.at(*parts, package=package)))
    assert isinstance(listed, list)
    return [name for name, _ in listed]


def fault(outcome: ops.Outcome) -> ops.DiskFault:
    assert isinstance(outcome, ops.DiskError)
    return outcome.fault


def test_a_folder_is_copied_with_all_that_is_in_it_and_counts(make: Make) -> None:
    disk = make()
    fill(disk, "from")
    before = disk.used()
    assert disk.do(ops.CopyFolder(disk.at("from"), disk.at("to"))) is None
    check_filled(disk, "from")
    check_filled(disk, "to")
    assert names(disk) == ["from", "to"]
    assert disk.used().bytes == 2 * before.bytes
    assert disk.used() == disk.count(APP)


def test_a_copy_in_another_packages_drive_counts_there(make: Make) -> None:
    disk = make()
    fill(disk, "from")
    before = disk.used()
    assert disk.do(ops.CopyFolder(disk.at("from"), disk.at("to", package=OTHER))) is None
    check_filled(disk, "to", package=OTHER)
    assert disk.used() == before
    for package in (APP, OTHER):
        used = disk.used(package)
        assert disk.count(package) == used


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (("from",), ("from",), ops.DiskFault.OTHER),
        (("from",), ("from", "a", "copy"), ops.DiskFault.OTHER),
        (("from",), ("there",), ops.DiskFault.EXISTS),
        (("from",), ("file",), ops.DiskFault.EXISTS),
        (("from",), ("missing", "to"), ops.DiskFault.NOT_FOUND),
        (("missing",), ("to",), ops.DiskFault.NOT_FOUND),
        (("file",), ("to",), ops.DiskFault.NOT_FOUND),
        (("from",), ("deep", *"d" * (ops.MAX_DEPTH - 6), "to"), ops.DiskFault.OTHER),
    ],
    ids=["on itself", "into itself", "on a folder", "on a file", "nowhere", "of nothing", "of a file", "too deep"],
)
def test_a_copy_that_cannot_be_made_leaves_all_as_it_is(
    make: Make, source: tuple[str, ...], target: tuple[str, ...], expected: ops.DiskFault
) -> None:
    disk = make()
    fill(disk, "from")
    disk.do(ops.MakeFolder(disk.at("there")))
    disk.do(ops.MakeFolder(disk.at("deep", *"d" * (ops.MAX_DEPTH - 6))))
    disk.do(ops.Replace(disk.at("file"), b""))
    before = disk.used()
    assert fault(disk.do(ops.CopyFolder(disk.at(*source), disk.at(*target)))) is expected
    check_filled(disk, "from")
    assert names(disk) == ["deep", "file", "from", "there"]
    assert disk.used() == before == disk.count(APP)


def test_g23_a_copy_for_which_there_is_no_room_is_refused_before_a_byte_is_written(make: Make) -> None:
    disk = make(bytes=2 * MIB, files=20)
    fill(disk, "from")
    before = disk.used()
    assert is_full(disk.do(ops.CopyFolder(disk.at("from"), disk.at("to"))))
    disk.do(ops.RemoveFile(disk.at("from", "a", "b", "g")))
    while disk.used().files + 7 <= 20:
        disk.do(ops.Create(disk.at(f"other {disk.used().files}")))
    assert before.bytes > disk.used().bytes
    assert is_full(disk.do(ops.CopyFolder(disk.at("from"), disk.at("to"))))
    assert "to" not in names(disk)
    used = disk.used()
    assert disk.count(APP) == used


def test_a_copy_that_nobody_waits_for_any_more_leaves_nothing(make: Make) -> None:
    disk = make()
    fill(disk, "from")
    before = disk.used()
    for steps in range(1, 20):
        copy = disk.begin(ops.CopyFolder(disk.at("from"), disk.at("to")))
        if any(copy.step() for _ in range(steps)):
            break
        copy.stop()
        assert copy.outcome == ops.STOPPED
        assert names(disk) == ["from"]
        assert disk.used() == before
    assert steps > 1
    check_filled(disk, "to")


@pytest.mark.parametrize("seed", range(20))
def test_g27_a_crash_leaves_a_copy_whole_or_not_at_all_and_it_can_be_made_again(seed: int) -> None:
    chance = random.Random(seed)
    disk = Disk("node", Quotas(), simulated=True)
    fill(disk, "from")
    for folder in ((), ("from",), ("from", "a"), ("from", "a", "b")):
        disk.sim.sync_folder(("node/vfs", APP, "drive", *folder))
    disk.sim.break_off(ops.CopyFolder(disk.at("from"), disk.at("to")), chance)
    if chance.random() < 0.5:
        disk.sim.lose_unsynced(chance)
    disk.boot()
    if "to" in names(disk):
        check_filled(disk, "to")
    else:
        assert disk.do(ops.CopyFolder(disk.at("from"), disk.at("to"))) is None
        check_filled(disk, "to")
    assert names(disk) == ["from", "to"], f"seed {seed}"
    used = disk.used()
    assert disk.count(APP) == used


def test_what_a_crash_has_left_of_a_copy_is_no_part_of_the_next(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path), Quotas(), simulated=False)
    fill(disk, "from")
    disk.do(ops.MakeFolder(disk.at(staging_name("to"), "half")))
    disk.do(ops.Replace(disk.at(staging_name("to"), "half", "done"), b"x" * 100))
    assert disk.do(ops.Replace(disk.at("to"), b"a file of that name")) is None
    assert disk.do(ops.RemoveFile(disk.at("to"))) is None
    assert disk.do(ops.CopyFolder(disk.at("from"), disk.at("to"))) is None
    check_filled(disk, "to")
    assert names(disk) == ["from", "to"]
    used = disk.used()
    assert disk.count(APP) == used


@pytest.mark.parametrize("kind", ["link to a file", "link out", "pipe", "socket"])
def test_what_is_neither_a_file_nor_a_folder_is_not_followed_and_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "from"
    folder.mkdir()
    (folder / "f").write_bytes(b"x")
    match kind:
        case "link to a file":
            (folder / "strange").symlink_to("f")
        case "link out":
            (folder / "strange").symlink_to(tmp_path / "secret")
        case "pipe":
            os.mkfifo(folder / "strange")
        case _:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(os.path.relpath(folder / "strange"))
    at = [ops.Location(str(tmp_path), (name,)) for name in ("from", "to")]
    outcome = perform(ops.CopyFolder(*at))
    assert outcome == ops.DiskError(ops.DiskFault.OTHER, "'strange' in it is neither a file nor a folder")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["from", "secret"]


def test_a_folder_that_grows_while_it_is_copied_is_not_copied(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path), Quotas(), simulated=False)
    fill(disk, "from")
    before = disk.used()
    copy = disk.begin(ops.CopyFolder(disk.at("from"), disk.at("to")))
    while staging_name("to") not in names(disk):
        assert not copy.step()
    for number in range(10):
        (tmp_path / "vfs" / APP / "drive" / "from" / "a" / "b" / f"more {number}").write_bytes(b"x" * MIB)
    outcome = copy.finish()
    assert isinstance(outcome, ops.DiskError)
    assert "has grown" in outcome.text
    assert names(disk) == ["from"]
    assert disk.used() == before
