"""Pruning: what is kept stays whole, what only removed copies needed goes, and a crash at any moment costs nothing."""

from __future__ import annotations

from contextlib import suppress

import pytest

from nectar_node.backup.format.errors import DamagedBackup, RemoteFailed
from nectar_node.backup.prune import keep_recent
from nectar_node.backup.stores.memory import MemoryRemote
from tests.nectar_node.backup.lab import SMALL, Lab, Place, kinds

MIB = 1 << 20
DAY = 24 * 3600 * 1000


def history(seed: int, copies: int = 4) -> tuple[Lab, list[tuple[int, dict[bytes, bytes]]]]:
    lab = Lab(seed)
    made = []
    for number in range(copies):
        lab.fill(300_000 + number, 200_000)
        lab.files.write_file(b"node/stays", b"always" * 50_000)
        lab.run()
        made.append((lab.now, dict(lab.files.files)))
    return lab, made


def test_kept_copies_stay_whole_and_the_others_are_gone() -> None:
    lab, made = history(1)
    before = sum(map(len, lab.remote.objects.values()))
    pruned = lab.prune(last=2)
    assert (pruned.kept, pruned.removed) == (2, 2)
    assert pruned.freed > 900_000
    assert before - sum(map(len, lab.remote.objects.values())) >= pruned.freed
    assert [lab.restored(at=now).files for now, _ in made[2:]] == [files for _, files in made[2:]]
    with pytest.raises(RemoteFailed, match="no copy that old"):
        lab.restored(at=made[1][0])
    assert lab.verify().damages == ()


def test_a_removed_copy_that_comes_back_does_not_count() -> None:
    """Some stores forget that they were told to delete."""
    lab, made = history(8)
    heads = {name: data for name, data in lab.remote.objects.items() if name.startswith("heads/")}
    lab.prune()
    lab.remote.objects |= heads
    with pytest.raises(RemoteFailed, match="no copy that old"):
        lab.restored(at=made[0][0])
    assert lab.verify().damages == ()
    assert lab.verify().copies == 1


def test_lists_of_chunks_are_kept_with_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in SMALL:
        if name != "PACK_RAW_BYTES":
            monkeypatch.setattr(module, name, value)
    lab = Lab(9)
    lab.fill(100_000, 300_000)
    lab.run()
    del lab.files.files[b"node/1/file"]
    lab.run()
    lab.prune()  # most of the only pack is unused now, so it is written anew
    assert lab.restored().files == lab.files.files
    assert lab.verify().damages == ()


def test_runs_go_on_after_pruning() -> None:
    lab, _ = history(2)
    lab.prune()
    report = lab.run()
    assert report.new_bytes == 0
    lab.fill(MIB)
    lab.run()
    assert lab.restored().files == lab.files.files
    assert lab.verify().damages == ()


def test_a_second_pruning_finds_nothing_to_do() -> None:
    lab, _ = history(3)
    lab.prune()
    objects = dict(lab.remote.objects)
    again = lab.prune()
    assert (again.kept, again.removed, again.freed) == (1, 0, 0)
    assert lab.remote.objects == objects


def test_a_crash_at_any_moment_of_pruning_costs_nothing() -> None:
    lab, made = history(4)
    counted = _copy(lab)
    counted.remote.operations = 0
    counted.prune(last=2)
    for left in range(counted.remote.operations):
        again = _copy(lab)
        again.remote.operations_left = left
        with pytest.raises(RemoteFailed):
            again.prune(last=2)
        again.remote.operations_left = None
        # A copy that is to go is there as a whole, or not at all.
        with suppress(RemoteFailed):
            assert again.restored(at=made[1][0]).files == made[1][1]
        assert [again.restored(at=now).files for now, _ in made[2:]] == [files for _, files in made[2:]]
        again.prune(last=2)
        assert [again.restored(at=now).files for now, _ in made[2:]] == [files for _, files in made[2:]]
        assert again.verify().damages == ()
        assert kinds(again.remote)["heads"] == 2


def test_a_damaged_backup_is_not_pruned() -> None:
    """Unless the damage is in what is removed."""
    lab, _ = history(5)
    outcomes = []
    for name in sorted(name for name in lab.remote.objects if name.startswith("packs/")):
        copy = _copy(lab)
        del copy.remote.objects[name]
        objects = dict(copy.remote.objects)
        try:
            copy.prune()
        except DamagedBackup as error:
            outcomes.append(error.name == name and copy.remote.objects == objects)
        else:
            outcomes.append(copy.restored().files == lab.files.files and copy.damaged() == [])
    assert all(outcomes)
    assert len(outcomes) == 4


def test_pruning_leaves_another_nodes_objects_alone() -> None:
    lab, other = history(6)[0], history(7)[0]
    lab.rotate()
    lab.run()
    lab.remote.objects |= other.remote.objects
    lab.prune()
    assert other.remote.objects.items() <= lab.remote.objects.items()
    assert kinds(lab.remote)["keys"] == 2
    assert other.restored(remote=lab.remote).files == other.files.files


def test_the_rule_keeps_the_newest_and_one_a_day() -> None:
    copies = [(number, number * DAY // 2) for number in range(20, 0, -1)]  # two a day
    assert keep_recent(3, 0)(copies) == {20, 19, 18}
    assert keep_recent(1, 3)(copies) == {20, 19, 17}


def _copy(lab: Lab) -> Lab:
    copy = Lab(0)
    copy.__dict__.update(lab.__dict__)
    copy.place = Place(MemoryRemote(dict(lab.remote.objects)), lab.place.known, lab.place.cache)
    return copy
