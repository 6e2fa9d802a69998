"""What is kept of files that change while they are read."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from nectar_node.storage.preserving import Preserver


@pytest.mark.parametrize(("error", "void"), [(errno.ENXIO, False), (errno.EIO, True)])
def test_a_disk_that_fails_to_say_where_data_lies_voids_the_snapshot_and_a_hole_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, void: bool
) -> None:
    (tmp_path / "kept").mkdir()
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)))

    def seek(descriptor: int, offset: int, how: int) -> int:
        raise OSError(error, os.strerror(error))

    preserver = Preserver(str(tmp_path / "kept"))
    with file.open("r+b") as opened, monkeypatch.context() as broken:
        broken.setattr(os, "lseek", seek)
        preserver.writing(opened.fileno(), 0, 10)
    assert (preserver.void is not None) is void, preserver.void
    preserver.close()
