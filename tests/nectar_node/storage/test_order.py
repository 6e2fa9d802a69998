"""In which order the real disk is told things: what a loss of power leaves depends on nothing else (G27).

Every call is made, and noted beside that with what was there at the time. A file that is synced too late, or a folder
not at all, looks right in every other test.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nectar_node.storage import folder_copies
from nectar_node.storage.disk import perform
from nectar_node.storage.folder_copies import MAX_SYNCS
from nectar_node.storage.operations import Copy, CopyFolder, Extend, Location, Rename, Replace, Sync

OLD, NEW = b"the old content", b"the new content, which is longer"


class Synced(NamedTuple):
    """A descriptor's file or folder is on the disk from now on."""

    name: str
    content: bytes | None
    """At that moment; None: of a folder."""


class Renamed(NamedTuple):
    """A name is that of another file from now on."""

    old: str
    new: str


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Synced | Renamed]:
    """What the disk is told, in order."""
    found: list[Synced | Renamed] = []

    def note_sync(sync: Callable[[int], None]) -> Callable[[int], None]:
        def noted(descriptor: int) -> None:
            path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            found.append(Synced(path.name, path.read_bytes() if path.is_file() else None))
            sync(descriptor)

        return noted

    def note_rename(rename: Callable[..., None]) -> Callable[..., None]:
        def noted(old: str, new: str, **folders: Any) -> None:
            found.append(Renamed(old, new))
            rename(old, new, **folders)

        return noted

    for name, note in (
        ("fsync", note_sync),
        ("fdatasync", note_sync),
        ("rename", note_rename),
        ("replace", note_rename),
    ):
        monkeypatch.setattr(os, name, note(getattr(os, name)))
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a file `f` and a folder `other`."""
    folder = tmp_path / "home"
    (folder / "other").mkdir(parents=True)
    (folder / "f").write_bytes(OLD)
    return folder


def at(home: Path, *parts: str) -> Location:
    return Location(str(home), parts)


def check_replaced(calls: list[Synced | Renamed], name: str, content: bytes, folder: str) -> None:
    """Beside the old content, and whole there before it takes its name; then the folder has the name durably."""
    synced, renamed, kept = calls
    assert isinstance(synced, Synced)
    assert synced.name != name
    assert synced.content == content
    assert renamed == Renamed(synced.name, name)
    assert kept == Synced(folder, None)


@pytest.mark.parametrize("name", ["f", "g"], ids=["over an old one", "for the first time"])
def test_g27_what_replaces_a_file_is_on_the_disk_before_it_has_its_name(
    home: Path, calls: list[Synced | Renamed], name: str
) -> None:
    assert perform(Replace(at(home, name), NEW)) is None
    check_replaced(calls, name, NEW, "home")
    assert (home / name).read_bytes() == NEW


def test_g27_a_copy_is_on_the_disk_before_it_has_its_name(home: Path, calls: list[Synced | Renamed]) -> None:
    assert perform(Copy(at(home, "f"), at(home, "other", "g"))) is None
    check_replaced(calls, "g", OLD, "other")


@pytest.mark.parametrize("files", [1, MAX_SYNCS + 1])
def test_g27_a_copy_of_a_folder_is_on_the_disk_before_it_has_its_name(
    home: Path, calls: list[Synced | Renamed], monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    sync = folder_copies.sync_file_system

    def note(descriptor: int) -> None:
        calls.append(Synced("all", None))
        sync(descriptor)

    monkeypatch.setattr(folder_copies, "sync_file_system", note)
    (home / "from" / "inner").mkdir(parents=True)
    for number in range(files):
        (home / "from" / "inner" / f"{number}").write_bytes(OLD)
    assert perform(CopyFolder(at(home, "from"), at(home, "other", "to"))) is None
    *synced, renamed, kept = calls
    staged = folder_copies.staging_name("to")
    assert (renamed, kept) == (Renamed(staged, "to"), Synced("other", None))
    one_by_one = [Synced(staged, None), Synced("0", OLD), Synced("inner", None)]
    assert synced == (one_by_one if files == 1 else [Synced("all", None)])


def test_what_is_added_to_a_file_is_on_the_disk_when_that_is_told(home: Path, calls: list[Synced | Renamed]) -> None:
    assert perform(Extend(at(home, "f"), 3, NEW)) is None
    assert calls == [Synced("f", OLD[:3] + NEW)]


def test_a_new_name_is_in_its_folder_when_that_is_told(home: Path, calls: list[Synced | Renamed]) -> None:
    assert perform(Rename(at(home, "f"), at(home, "other", "g"))) is None
    assert calls == [Renamed("f", "g"), Synced("other", None)]


def test_a_file_that_is_synced_is_on_the_disk_before_its_name(home: Path, calls: list[Synced | Renamed]) -> None:
    assert perform(Sync(at(home, "f"))) is None
    assert calls == [Synced("f", OLD), Synced("home", None)]
