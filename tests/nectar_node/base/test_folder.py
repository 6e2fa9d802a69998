"""A node's folder: its lock tells the truth, also after a crash."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nectar_node.base.errors import AlreadyRunning, NotOurs
from nectar_node.base.folder import NodeFolder

HOLD = """
import sys
from pathlib import Path
from nectar_node.base.folder import NodeFolder
NodeFolder(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> NodeFolder:
    folder = NodeFolder(tmp_path / "one.nec")
    folder.create()
    return folder


def hold(folder: NodeFolder) -> subprocess.Popen[str]:
    """Another process that has the lock."""
    command = [sys.executable, "-c", HOLD, str(folder.path)]
    root = Path(__file__).resolve().parents[3]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_folder_is_readable_by_its_user_only(folder: NodeFolder) -> None:
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


NAMES = "log log.1 key boot.json store store-wal store-journal format records vfs state code lock"


@pytest.mark.parametrize("link", NAMES.split())
def test_no_link_in_it_is_followed(tmp_path: Path, link: str) -> None:
    folder = NodeFolder(tmp_path / "one.nec")
    folder.path.mkdir(mode=0o700)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (folder.path / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotOurs, match=rf"{folder.path / link} is a link, which is not followed here: remove it"):
        (folder.acquire if link == "lock" else folder.create)()
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("file", ["key", "boot.json", "store", "store-wal", "store-journal"])
def test_what_others_could_have_altered_is_refused(folder: NodeFolder, file: str) -> None:
    (folder.path / file).touch()
    (folder.path / file).chmod(0o666)
    with pytest.raises(NotOurs, match=rf"can be written by everybody: .*`chmod go-w {folder.path / file}`"):
        folder.create()


def test_what_others_could_have_read_or_put_into_it_is_refused(folder: NodeFolder) -> None:
    folder.key.touch()
    folder.key.chmod(0o644)
    with pytest.raises(NotOurs, match=rf"is a secret that everybody can read: `chmod 600 {folder.key}`"):
        folder.create()
    folder.key.chmod(0o600)
    folder.drives.chmod(0o777)
    with pytest.raises(NotOurs, match=rf"{folder.drives} can be written by everybody"):
        folder.create()


def test_the_lock_names_the_process_that_runs_and_keeps_others_out_and_is_free_after_a_crash(
    folder: NodeFolder,
) -> None:
    assert folder.owner() is None
    holder = hold(folder)
    try:
        assert folder.owner() == holder.pid
        with pytest.raises(AlreadyRunning, match=str(holder.pid)):
            folder.acquire()
    finally:
        holder.kill()
        holder.communicate()
    assert folder.owner() is None
    os.close(folder.acquire())


def test_somebody_who_only_asks_does_not_keep_a_node_from_starting_however_long_it_takes(
    folder: NodeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.close(folder.acquire())
    asking = os.open(folder.lock, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    waited: list[float] = []

    def answered(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 300:
            os.close(asking)

    monkeypatch.setattr("nectar_node.base.folder.time.sleep", answered)
    os.close(folder.acquire())
    assert len(waited) == 300
