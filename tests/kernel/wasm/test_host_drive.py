"""A folder of the host as WASI 0.2 sees it: every call has the outcome that Wasmtime's has on a folder beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kernel.contract.drive import DriveError, Errno, FileKind
from kernel.contract.errors import BadModule
from kernel.contract.guest import GuestConfig
from kernel.files.paths import walk
from kernel.wasm.engine import Engine
from kernel.wasm.wasi.host_drive import MAX_DEPTH, HostDrive
from tests.kernel.wasm.both_drives import NOW, Both, host_tree
from tests.kernel.wasm.guests import MEMORY, OUR
from tests.kernel.wasm.wasi_storm import Storm


class OtherFolder:
    """A second folder of the host, behind `HostDrive`, in place of the simulated disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def config(self) -> GuestConfig:
        return GuestConfig(OUR, MEMORY, entropy=bytes, clock=lambda: NOW, drive=HostDrive(str(self._folder)))

    def tree(self) -> dict[str, bytes | str | None]:
        return host_tree(self._folder)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_called_in_whatever_order_gives_what_wasmtime_gives(
    real: Engine, replayable: Engine, tmp_path: Path, seed: int
) -> None:
    for name in ("wasmtime", "ours"):
        (tmp_path / name).mkdir()
    both = Both(real, replayable, tmp_path / "wasmtime", OtherFolder(tmp_path / "ours"))
    Storm(seed, both).blow(300)
    assert both.same_trees(), seed
    both.close()


@pytest.fixture
def drive(tmp_path: Path) -> HostDrive:
    (tmp_path / "drive").mkdir()
    return HostDrive(str(tmp_path / "drive"))


@pytest.mark.parametrize("path", ["..", "a/../..", "/etc/passwd", "up", "up/secret", "out"])
def test_g28_no_path_and_no_link_leads_out(drive: HostDrive, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "drive" / "a").mkdir()
    (tmp_path / "drive" / "up").symlink_to("..")
    (tmp_path / "drive" / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(DriveError) as refusal:
        walk(drive, drive.root(), path, follow=True)
    assert refusal.value.errno is Errno.PERM


def test_g28_what_is_no_file_is_not_opened(drive: HostDrive, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "drive" / "pipe")
    with pytest.raises(DriveError) as refusal:
        drive.find(drive.root(), "pipe")
    assert refusal.value.errno is Errno.PERM
    assert drive.entries(drive.root()) == []


def test_a_way_takes_only_so_many_descriptors_of_the_node(drive: HostDrive) -> None:
    folder = drive.root()
    for _ in range(MAX_DEPTH):
        folder = drive.make(folder, "d", FileKind.FOLDER)  # type: ignore[assignment]
    os.mkdir("d", dir_fd=folder.fd)
    del folder
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(DriveError) as refusal:
        walk(drive, drive.root(), "d/" * (MAX_DEPTH + 1), follow=True)
    assert refusal.value.errno is Errno.NAMETOOLONG
    del refusal
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_file_that_was_removed_is_still_read_by_who_has_it_open(drive: HostDrive) -> None:
    file = drive.make(drive.root(), "f", FileKind.FILE)
    drive.write(file, 0, memoryview(b"text"))  # type: ignore[arg-type]
    drive.remove(drive.root(), "f")
    assert drive.read(file, 0, 10) == b"text"  # type: ignore[arg-type]
    assert drive.find(drive.root(), "f") is None


def test_a_drive_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadModule, match="is not a folder"):
        HostDrive(str(tmp_path / "missing"))
