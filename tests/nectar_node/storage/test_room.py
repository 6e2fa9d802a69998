"""What the real disk does when there is no room: only it knows how much there is."""

from __future__ import annotations

import os
from pathlib import Path

from nectar_node.storage.disk import perform
from nectar_node.storage.operations import Copy, Create, DiskError, DiskFault, Location, SetLength


def test_g23_a_sparse_file_larger_than_the_disk_is_not_copied(tmp_path: Path) -> None:
    sparse, copy = Location(str(tmp_path), ("sparse",)), Location(str(tmp_path), ("copy",))
    room = os.statvfs(tmp_path)
    assert perform(Create(sparse)) is None
    assert perform(SetLength(sparse, room.f_bavail * room.f_frsize + (1 << 34))) is None
    outcome = perform(Copy(sparse, copy))
    assert isinstance(outcome, DiskError)
    assert outcome.fault is DiskFault.FULL
    assert [path.name for path in tmp_path.iterdir()] == ["sparse"]
