"""Whole folders, pages of large ones, and names, as a process asks the vfs for them."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from nectar_node.storage.operations import MAX_LISTED, Location
from nectar_node.system import vfs_actions
from tests.nectar_node.system.driven import APP, OTHER
from tests.nectar_node.system.drives import Drives

DRIVE = "/app:sys/d"
OTHERS = "/other:sys/d"


@pytest.fixture
def drives() -> Drives:
    drives = Drives()
    assert drives.ask(DRIVE, "CreateDrive") == "Ok"
    assert drives.ask(OTHERS, "CreateDrive", source=OTHER) == "Ok"
    assert drives.ask(f"{DRIVE}/a/b", "CreateDirAll") == "Ok"
    assert drives.ask(f"{DRIVE}/a/b/f", "Write", b"content") == "Ok"
    return drives


def listed(answer: Any) -> list[str]:
    return [entry["path"].rpartition("/")[2] for entry in answer["ReadDir"]]


def page(after: str, limit: int) -> object:
    return {"ReadDir": {"after": after, "limit": limit}}


def test_a_folder_is_copied_within_a_drive(drives: Drives) -> None:
    assert drives.ask(f"{DRIVE}/a", {"CopyDirAll": {"new_path": f"{DRIVE}/c"}}) == "Ok"
    assert drives.ask(f"{DRIVE}/c/b/f", "Read") == ("Read", b"content")
    assert drives.ask(f"{DRIVE}/a/b/f", "Read") == ("Read", b"content")


@pytest.mark.parametrize("action", ["CopyDirAll", "Rename"])
def test_g18_a_folder_crosses_drives_only_with_the_capabilities_of_both(drives: Drives, action: str) -> None:
    across = {action: {"new_path": f"{OTHERS}/c"}}
    assert drives.ask(f"{DRIVE}/a", across) == {"Err": {"NoCap": {"action": "write", "path": f"{OTHERS}/c"}}}
    needed = "read" if action == "CopyDirAll" else "write"
    assert drives.ask(f"{DRIVE}/a", across, source=OTHER) == {
        "Err": {"NoCap": {"action": needed, "path": f"{DRIVE}/a"}}
    }
    drives.hold(APP, f'{{"kind":"write","drive":"{OTHERS}"}}')
    assert drives.ask(f"{DRIVE}/a", across) == "Ok"
    assert drives.ask(f"{OTHERS}/c/b/f", "Read", source=OTHER) == ("Read", b"content")
    assert (drives.ask(f"{DRIVE}/a/b/f", "Len") == {"Len": 7}) is (action == "CopyDirAll")


@pytest.mark.parametrize("action", ["CopyDirAll", "Rename"])
def test_a_folder_does_not_go_into_itself(drives: Drives, action: str) -> None:
    answer = drives.ask(f"{DRIVE}/a", {action: {"new_path": f"{DRIVE}/a/b/c"}})
    assert "IOError" in answer["Err"]
    assert drives.ask(f"{DRIVE}/a/b/f", "Read") == ("Read", b"content")
    assert listed(drives.ask(f"{DRIVE}/a/b", "ReadDir")) == ["f"]


def test_a_copy_does_not_replace_what_is_there(drives: Drives) -> None:
    drives.ask(f"{DRIVE}/c", "CreateDir")
    error = {"Err": {"IOError": {"error": "File exists", "path": f"{DRIVE}/a"}}}
    assert drives.ask(f"{DRIVE}/a", {"CopyDirAll": {"new_path": f"{DRIVE}/c"}}) == error
    assert drives.ask(f"{DRIVE}/c", "ReadDir") == {"ReadDir": []}


def test_a_large_folder_is_read_in_pages_to_its_end(drives: Drives) -> None:
    names = sorted(f"{number:x}" for number in range(MAX_LISTED + 1))
    for name in names:
        drives.disk.put(Location("drives", ("app:sys", "d", "large", name)), b"")
    assert "in pages" in drives.ask(f"{DRIVE}/large", "ReadDir")["Err"]["IOError"]["error"]
    first = listed(drives.ask(f"{DRIVE}/large", page("", MAX_LISTED)))
    second = listed(drives.ask(f"{DRIVE}/large", page(first[-1], MAX_LISTED)))
    assert first + second == names
    assert drives.ask(f"{DRIVE}/large", page(second[-1], 1)) == {"ReadDir": []}


def test_a_page_that_is_too_long_is_cut_short_and_the_next_goes_on(
    drives: Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("c", "d", "\x01" * 200):
        drives.disk.put(Location("drives", ("app:sys", "d", name)), b"")
    monkeypatch.setattr(vfs_actions, "MAX_LIST_BYTES", 130)
    found: list[str] = []
    while names := listed(drives.ask(DRIVE, page(found[-1] if found else "", 10))):
        assert len(names) <= 2
        found += names
    assert found == ["\x01" * 200, "a", "c", "d"]


@pytest.mark.parametrize(
    "argument",
    [
        {},
        {"after": ""},
        {"limit": 1},
        {"after": 1, "limit": 1},
        {"after": "", "limit": 0},
        {"after": "", "limit": -1},
        {"after": "", "limit": MAX_LISTED + 1},
        {"after": "", "limit": 1.5},
        {"after": "", "limit": True},
        {"after": "", "limit": "1"},
        [],
        "after",
    ],
)
def test_g23_a_page_that_is_asked_for_wrongly_is_refused(drives: Drives, argument: object) -> None:
    assert "Err" in drives.ask(DRIVE, {"ReadDir": argument})


BAD = ["a\\b", "a\nb", "CON", "nul.txt", "end.", "end ", "\x7f"]


def zipped(name: str) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr(name, b"x")
    return memory.getvalue()


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_some_platform_cannot_have_is_made_by_no_request(drives: Drives, name: str) -> None:
    new = f"{DRIVE}/{name}"
    for path, action, blob in (
        (f"/app:sys/{name}", "CreateDrive", None),
        (new, "CreateDir", None),
        (f"{new}/x", "CreateDirAll", None),
        (new, "CreateFile", None),
        (new, {"OpenFile": {"create": True}}, None),
        (new, "Write", b"x"),
        (new, "AddZip", zipped("good")),
        (DRIVE, "AddZip", zipped(name)),
        (f"{DRIVE}/a/b/f", {"Rename": {"new_path": new}}, None),
        (f"{DRIVE}/a/b/f", {"CopyFile": {"new_path": new}}, None),
        (f"{DRIVE}/a", {"CopyDirAll": {"new_path": new}}, None),
    ):
        answer = drives.ask(path, action, blob)
        assert "name" in answer["Err"]["IOError"]["error"], action
    assert listed(drives.ask(DRIVE, "ReadDir")) == ["a"]


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_has_such_a_name_already_is_read_written_renamed_and_removed(drives: Drives, name: str) -> None:
    old = f"{DRIVE}/{name}"
    drives.disk.put(Location("drives", ("app:sys", "d", name)), b"kept")
    assert listed(drives.ask(DRIVE, "ReadDir")) == sorted(["a", name])
    assert drives.ask(old, "Read") == ("Read", b"kept")
    assert drives.ask(old, {"WriteAt": {"offset": 0}}, b"K") == "Ok"
    assert drives.ask(old, {"CopyFile": {"new_path": f"{DRIVE}/copy"}}) == "Ok"
    assert drives.ask(old, {"Rename": {"new_path": f"{DRIVE}/good"}}) == "Ok"
    assert drives.ask(f"{DRIVE}/good", "Read") == ("Read", b"Kept")
    drives.disk.put(Location("drives", ("app:sys", "d", name)), b"")
    assert drives.ask(old, "RemoveFile") == "Ok"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (f"{DRIVE}/a\0b", "a name in it contains a control character"),
        (f"{DRIVE}/../../key", "a name in it stands for a folder"),
        (f"{DRIVE}/{'x' * 256}", "a name in it has more than 255 bytes"),
        ("/app:sys", "a path is /package:publisher/drive/rest"),
        ("app:sys", "a path is /package:publisher/drive/rest"),
        ("/".join((DRIVE, *"d" * 99)), "of 100 names"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_a_reason(drives: Drives, path: str, reason: str) -> None:
    assert reason in drives.ask(path, "Len")["Err"]["ParseError"]["error"]


LARGE = (1 << 63) - 1


@pytest.mark.parametrize(
    ("action", "blob"),
    [
        ({"ReadAt": {"offset": -1, "length": 1}}, None),
        ({"ReadAt": {"offset": 0, "length": -1}}, None),
        ({"ReadAt": {"offset": LARGE + 1, "length": 1}}, None),
        ({"ReadAt": {"offset": 0, "length": LARGE}}, None),
        ({"ReadAt": {"offset": 0.5, "length": 1}}, None),
        ({"ReadAt": {"offset": True, "length": 1}}, None),
        ({"ReadAt": {"offset": "0", "length": 1}}, None),
        ({"ReadAt": {"offset": 0}}, None),
        ({"ReadAt": {"length": 1}}, None),
        ({"ReadAt": None}, None),
        ({"ReadExact": -1}, None),
        ({"ReadExact": LARGE}, None),
        ({"WriteAt": {"offset": -1}}, b"x"),
        ({"WriteAt": {"offset": LARGE}}, b"x"),
        ({"WriteAt": {"offset": 0, "length": LARGE}}, b"x"),
        ({"WriteAt": {"offset": 1e300}}, b"x"),
        ({"SetLen": -1}, None),
        ({"SetLen": LARGE}, None),
        ({"SetLen": LARGE + 1}, None),
        ({"Seek": {"seek_from": {"Current": -100}}}, None),
        ({"Seek": {"seek_from": {"End": LARGE}}}, None),
    ],
    ids=str,
)
def test_g23_a_range_that_no_file_has_is_refused_and_changes_nothing(
    drives: Drives, action: object, blob: bytes | None
) -> None:
    path = f"{DRIVE}/a/b/f"
    assert "Err" in drives.ask(path, action, blob)
    assert drives.ask(path, "Read") == ("Read", b"content")
    assert drives.ask(path, {"ReadExact": 7}) == ("Read", b"content")


def test_a_range_behind_the_end_is_empty_and_one_across_it_is_short(drives: Drives) -> None:
    path = f"{DRIVE}/a/b/f"
    assert drives.ask(path, {"ReadAt": {"offset": LARGE, "length": 5}}) == ("Read", b"")
    assert drives.ask(path, {"ReadAt": {"offset": 5, "length": 5}}) == ("Read", b"nt")
    assert drives.ask(path, {"ReadAt": {"offset": 2, "length": 0}}) == ("Read", b"")
