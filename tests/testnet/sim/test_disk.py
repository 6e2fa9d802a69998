"""What is on a simulated disk after the machine has lost power: what was synced, and nothing else."""

from __future__ import annotations

import io
import random
import zipfile

import pytest

from nectar_node.storage import operations as ops
from testnet.sim.disk.disk import SimDisk

SEEDS = range(30)
CHANCE = random.Random(1)
"""What it draws is of no matter here: no file is one of a store."""


def at(*parts: str) -> ops.Location:
    return ops.Location("root", parts)


F, G = at("f"), at("g")


def after_power_cut(*operations: ops.Operation) -> SimDisk:
    """A disk on which these were done, one after the other, before its machine lost power."""
    disk = SimDisk(lambda: 0.0)
    do(disk, *operations)
    disk.lose_unsynced(CHANCE)
    return disk


def do(disk: SimDisk, *operations: ops.Operation) -> None:
    for operation in operations:
        outcome = disk.perform(operation)
        assert not isinstance(outcome, ops.DiskError), (operation, outcome)


def is_there(disk: SimDisk, location: ops.Location) -> bool:
    """Whether that is a folder."""
    return not isinstance(disk.perform(ops.ListFolder(location)), ops.DiskError)


def test_what_was_written_is_lost_until_it_is_synced() -> None:
    disk = after_power_cut(ops.Replace(F, b"old content"), ops.WriteAt(F, 0, b"new"), ops.Append(F, b", and more"))
    assert disk.get(F) == b"old content"
    disk = after_power_cut(
        ops.Create(F), ops.WriteAt(F, 0, b"abc"), ops.Append(F, b"def"), ops.Sync(F), ops.WriteAt(F, 1, b"xxxxxxx")
    )
    assert disk.get(F) == b"abcdef"
    assert after_power_cut(ops.Create(F), ops.WriteAt(F, 0, b"abc")).paths() == set()
    assert after_power_cut(ops.Replace(F, b"abc"), ops.Create(F, cut_off=True)).get(F) == b"abc"


@pytest.mark.parametrize("length", [0, 2, 9])
def test_another_length_is_lost_until_it_is_synced(length: int) -> None:
    operations = (ops.Replace(F, b"abcdef"), ops.SetLength(F, length))
    assert after_power_cut(*operations).get(F) == b"abcdef"
    assert after_power_cut(*operations, ops.Sync(F)).get(F) == b"abcdef"[:length].ljust(length, b"\0")


def test_whole_new_contents_are_kept() -> None:
    assert after_power_cut(ops.Replace(F, b"old"), ops.Replace(F, b"new")).get(F) == b"new"
    disk = after_power_cut(ops.Replace(F, b"abcdef"), ops.Extend(F, 3, b"XY"))
    assert disk.get(F) == b"abcXY"
    assert after_power_cut(ops.Replace(F, b"abc"), ops.Copy(F, G)).get(G) == b"abc"
    disk = SimDisk(lambda: 0.0)
    disk.put(at("a", "f"), b"abc")
    disk.lose_unsynced(CHANCE)
    assert disk.get(at("a", "f")) == b"abc"


def test_names_of_files_are_kept_with_their_folder() -> None:
    assert after_power_cut(ops.Replace(F, b"abc"), ops.RemoveFile(F)).get(F) == b"abc"
    assert after_power_cut(ops.Replace(F, b"abc"), ops.RemoveFile(F), ops.Replace(G, b"")).get(F) is None
    disk = after_power_cut(ops.Replace(F, b"abc"), ops.Rename(F, G))
    assert (disk.get(F), disk.get(G)) == (None, b"abc")
    assert after_power_cut(ops.Create(F), ops.WriteAt(F, 0, b"abc"), ops.Rename(F, G)).get(G) == b""


def test_folders_are_kept_when_they_are_made_and_come_back_when_they_are_removed() -> None:
    file = at("a", "b", "f")
    disk = after_power_cut(ops.MakeFolder(at("a", "b")), ops.Replace(file, b"abc"))
    assert disk.get(file) == b"abc"
    assert is_there(after_power_cut(ops.CreateFolder(at("a"))), at("a"))
    assert (
        after_power_cut(ops.Create(F), ops.MakeFolder(at("a")), ops.RemoveFolder(at("a"), True), ops.Create(G)).get(G)
        is None
    )
    file = at("a", "f")
    disk = after_power_cut(
        ops.MakeFolder(at("a")), ops.Replace(file, b"abc"), ops.RemoveFolder(at("a"), recursive=True)
    )
    assert disk.get(file) == b"abc"
    disk = after_power_cut(
        ops.MakeFolder(F), ops.Replace(at("f", "g"), b"abc"), ops.RemoveFolder(F, True), ops.Replace(F, b"file")
    )
    assert disk.get(F) == b"file"
    assert disk.paths() == {("root", "f")}


def test_a_folder_made_in_the_place_of_a_removed_one_is_empty() -> None:
    folder = at("a")
    disk = after_power_cut(
        ops.MakeFolder(folder),
        ops.Replace(at("a", "f"), b"abc"),
        ops.RemoveFolder(folder, recursive=True),
        ops.CreateFolder(folder),
    )
    assert is_there(disk, folder)
    assert disk.paths() == set()


def test_a_renamed_folder_takes_what_is_durable_along() -> None:
    disk = after_power_cut(
        ops.MakeFolder(at("a")),
        ops.Replace(at("a", "f"), b"abc"),
        ops.Create(at("a", "g")),
        ops.Rename(at("a"), at("b")),
    )
    assert disk.paths() == {("root", "b", "f")}
    assert not is_there(disk, at("a"))


def test_what_was_unpacked_is_gone() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/f", b"abc")
    disk = after_power_cut(ops.Unpack(at("into"), archive.getvalue()))
    assert disk.paths() == set()
    assert not is_there(disk, at("into"))


def test_a_disk_goes_on_after_a_power_cut() -> None:
    disk = after_power_cut(ops.Create(F), ops.Replace(G, b"abc"))
    do(disk, ops.Create(F), ops.Append(G, b"def"), ops.Sync(G))
    disk.lose_unsynced(CHANCE)
    assert (disk.get(F), disk.get(G)) == (b"", b"abcdef")  # a sync of one file is one of its folder


def test_a_disk_that_is_full_takes_no_bytes_and_writes_over_old_ones() -> None:
    disk = SimDisk(lambda: 0.0)
    do(disk, ops.Replace(F, b"abc"))
    disk.full = True
    for refused in (ops.Append(F, b"d"), ops.WriteAt(F, 2, b"de"), ops.Replace(F, b"x"), ops.SetLength(F, 4)):
        outcome = disk.perform(refused)
        assert isinstance(outcome, ops.DiskError), refused
        assert outcome.fault is ops.DiskFault.FULL
    do(disk, ops.WriteAt(F, 0, b"xyz"), ops.SetLength(F, 2))
    assert disk.get(F) == b"xy"
    disk.full = False
    do(disk, ops.Append(F, b"!"))


def broken_off(operation: ops.Operation) -> list[SimDisk]:
    """Disks with a file `F` on which that operation had come somewhere when its process was killed."""
    disks = [SimDisk(lambda: 0.0) for _ in range(200)]
    for seed, disk in enumerate(disks):
        do(disk, ops.Replace(F, b"old"))
        disk.break_off(operation, random.Random(seed))
    return disks


@pytest.mark.parametrize(
    ("operation", "contents"),
    [
        (ops.WriteAt(F, 0, b"abcd"), {b"old", b"ald", b"abd", b"abc", b"abcd"}),
        (ops.Append(F, b"abcd"), {b"old", b"olda", b"oldab", b"oldabc", b"oldabcd"}),
        (ops.Extend(F, 1, b"abcd"), {b"old", b"o", b"oa", b"oab", b"oabc", b"oabcd"}),
        (ops.Replace(F, b"abcd"), {b"old", b"abcd"}),
        (ops.SetLength(F, 1), {b"old", b"o"}),
        (ops.RemoveFile(F), {b"old", None}),
    ],
)
def test_a_process_that_is_killed_leaves_what_the_disk_was_doing_done_or_not_or_a_part_of_it(
    operation: ops.Operation, contents: set[bytes | None]
) -> None:
    assert {disk.get(F) for disk in broken_off(operation)} == contents


def test_new_content_that_was_never_finished_lies_beside_the_file_until_the_next_one() -> None:
    unfinished = at(ops.new_file_name("f"))
    disks = [disk for disk in broken_off(ops.Replace(F, b"abcd")) if disk.get(unfinished) is not None]
    assert {disk.get(unfinished) for disk in disks} == {b"", b"a", b"ab", b"abc"}
    for disk in disks:
        assert disk.get(F) == b"old"
        do(disk, ops.Replace(F, b"new"))
        assert disk.paths() == {("root", "f")}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_durable_once_is_kept_whatever_happens_elsewhere(seed: int) -> None:
    chance = random.Random(seed)
    disk = SimDisk(lambda: 0.0)
    do(disk, ops.MakeFolder(at("kept")), ops.Replace(at("kept", "f"), b"abc"))
    for _ in range(200):
        disk.perform(_some_operation(chance))
        if chance.random() < 0.05:
            disk.lose_unsynced(chance)
            _is_sound(disk)
        assert disk.get(at("kept", "f")) == b"abc", seed


def _some_operation(chance: random.Random) -> ops.Operation:
    """On one of few names beside what is kept."""

    def some() -> ops.Location:
        return at(*(chance.choice("xy") for _ in range(chance.randint(1, 3))))

    operations: list[ops.Operation] = [
        ops.Create(some(), chance.random() < 0.5),
        ops.WriteAt(some(), chance.randint(0, 5), b"12345"),
        ops.Sync(some()),
        ops.Replace(some(), b"67"),
        ops.MakeFolder(some()),
        ops.RemoveFile(some()),
        ops.RemoveFolder(some(), chance.random() < 0.5),
        ops.Rename(some(), some()),
        ops.SetLength(some(), chance.randint(0, 9)),
    ]
    return chance.choice(operations)


def _is_sound(disk: SimDisk) -> None:
    """All that is there is found by walking down from the root, and losing power again changes nothing."""
    before = {path: disk.get(ops.Location(path[0], path[1:])) for path in disk.paths()}
    assert set(_walk(disk, ())) == disk.paths()
    disk.lose_unsynced(CHANCE)
    assert {path: disk.get(ops.Location(path[0], path[1:])) for path in disk.paths()} == before


def _walk(disk: SimDisk, parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    listed = disk.perform(ops.ListFolder(at(*parts)))
    assert isinstance(listed, list), (parts, listed)
    found: list[tuple[str, ...]] = []
    for name, kind in listed:
        inner = (*parts, name)
        found += [("root", *inner)] if kind is ops.FileType.FILE else _walk(disk, inner)
    return found
