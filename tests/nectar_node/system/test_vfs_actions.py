"""Each action of the vfs, in the existing node's JSON."""

from __future__ import annotations

import io
import itertools
import zipfile
from typing import Any

import pytest
from blake3 import blake3

from kernel.contract import limits
from kernel.contract.address import ProcessId
from kernel.contract.guest import Generation
from nectar_node.contract.json_shapes import dump
from nectar_node.storage.operations import DiskError, DiskFault, Location
from nectar_node.system import vfs_actions
from nectar_node.system.vfs_actions import ACTIONS, refusal
from tests.nectar_node.system.driven import APP, OTHER
from tests.nectar_node.system.drives import Drives

DRIVE = "/app:sys/d"
FILE = f"{DRIVE}/f"


@pytest.fixture
def drives() -> Drives:
    drives = Drives()
    assert drives.ask(DRIVE, "CreateDrive") == "Ok"
    return drives


def content(drives: Drives, path: str = FILE) -> Any:
    value, blob = drives.ask(path, "Read")
    assert value == "Read"
    return blob


def packed(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


def test_files_are_made_and_opened_as_they_are_told_to(drives: Drives) -> None:
    assert drives.ask(FILE, {"OpenFile": {"create": False}}) == {"Err": {"NotFound": {"path": FILE}}}
    assert drives.ask(FILE, {"OpenFile": {"create": True}}) == "Ok"
    drives.ask(FILE, "Write", b"kept")
    assert drives.ask(FILE, {"OpenFile": {"create": True}}) == "Ok"
    assert content(drives) == b"kept"
    drives.ask(FILE, "Write", b"old")
    assert drives.ask(FILE, "CreateFile") == "Ok"
    assert drives.ask(FILE, "Len") == {"Len": 0}
    assert drives.ask(FILE, "CloseFile") == "Ok"


def test_free_space_is_what_files_may_still_grow_by_and_keeps_a_floor(drives: Drives) -> None:
    floor = drives.disk.capacity // 20
    assert drives.ask(f"{DRIVE}/not there", "FreeSpace") == {"FreeSpace": drives.disk.capacity - floor}
    drives.ask(FILE, "Write", b"x" * 1000)
    assert drives.ask(DRIVE, "FreeSpace") == {"FreeSpace": drives.disk.capacity - floor - 1000}
    drives.disk.full = True
    assert drives.ask(DRIVE, "FreeSpace") == {"FreeSpace": 0}


def test_write_sets_the_whole_file(drives: Drives) -> None:
    assert drives.ask(FILE, "Write", b"long content") == "Ok"
    assert drives.ask(FILE, "Write", b"short") == "Ok"
    assert content(drives) == b"short"


@pytest.mark.parametrize("action", ["WriteAll", "WriteAt"])
def test_write_all_and_the_first_packages_write_at_write_at_the_cursor(drives: Drives, action: str) -> None:
    drives.ask(FILE, "Write", b"abcdef")
    assert drives.ask(FILE, action, b"12") == "Ok"
    assert drives.ask(FILE, action, b"3") == "Ok"
    assert content(drives) == b"123def"


def test_write_at_with_a_length_writes_no_other_bytes_than_were_meant(drives: Drives) -> None:
    drives.ask(FILE, "Write", b"abcdef")
    assert drives.ask(FILE, {"WriteAt": {"offset": 4, "length": 2}}, b"xy") == "Ok"
    refused = {"Err": {"BadBytes": {"action": "write", "path": FILE}}}
    for data in (b"", b"1", b"123"):
        assert drives.ask(FILE, {"WriteAt": {"offset": 0, "length": 2}}, data) == refused
    assert content(drives) == b"abcdxy"


def test_write_at_with_an_offset_moves_no_cursor(drives: Drives) -> None:
    drives.ask(FILE, "Write", b"abcdef")
    assert drives.ask(FILE, {"WriteAt": {"offset": 4}}, b"xy") == "Ok"
    assert drives.ask(FILE, {"ReadExact": 2}) == ("Read", b"ab")
    assert content(drives) == b"abcdxy"


def test_append_writes_at_the_end_and_the_cursor_follows(drives: Drives) -> None:
    drives.ask(FILE, "Write", b"ab")
    assert drives.ask(FILE, "Append", b"cd") == "Ok"
    assert drives.ask(FILE, "WriteAll", b"e") == "Ok"
    assert content(drives) == b"abcde"


def test_what_writes_without_a_blob_is_told_so(drives: Drives) -> None:
    drives.ask(FILE, "CreateFile")
    for action in ("Write", "WriteAll", "Append", "AddZip", {"WriteAt": {"offset": 0}}):
        assert drives.ask(FILE, action) == {"Err": {"BadBytes": {"action": "write", "path": FILE}}}


def test_read_to_end_reads_from_the_cursor(drives: Drives) -> None:
    drives.ask(FILE, "Write", b"abcdef")
    drives.ask(FILE, {"ReadExact": 2})
    assert drives.ask(FILE, "ReadToEnd") == ("Read", b"cdef")
    assert drives.ask(FILE, "ReadToEnd") == ("Read", b"")


@pytest.mark.parametrize("argument", [4, {"length": 4}])
def test_read_exact_takes_both_shapes_and_never_gives_less(drives: Drives, argument: object) -> None:
    drives.ask(FILE, "Write", b"abcdef")
    assert drives.ask(FILE, {"ReadExact": argument}) == ("Read", b"abcd")
    short = {"Err": {"IOError": {"error": "failed to fill whole buffer", "path": FILE}}}
    assert drives.ask(FILE, {"ReadExact": argument}) == short
    assert drives.ask(FILE, {"ReadExact": 2}) == ("Read", b"ef")


def test_read_to_string_gives_text_or_says_that_it_is_none(drives: Drives) -> None:
    drives.ask(FILE, "Write", "größe".encode())
    assert drives.ask(FILE, "ReadToString") == {"ReadToString": "größe"}
    drives.ask(FILE, "Write", b"\xff")
    drives.ask(FILE, "CloseFile")
    error = {"Err": {"IOError": {"error": "stream did not contain valid UTF-8", "path": FILE}}}
    assert drives.ask(FILE, "ReadToString") == error


def test_a_text_that_no_body_can_hold_is_an_error(drives: Drives) -> None:
    drives.disk.put(Location("drives", ("app:sys", "d", "f")), b'"' * (limits.MAX_BODY_BYTES // 2))
    assert "longer than a body can be" in str(drives.ask(FILE, "ReadToString"))


@pytest.mark.parametrize(
    ("sought", "position"),
    [({"Start": 3}, 3), ({"End": -1}, 5), ({"Current": 2}, 4), ({"Current": -1}, 1), ({"Start": 100}, 100)],
)
def test_seek_takes_both_shapes_and_answers_each_in_its_own(
    drives: Drives, sought: dict[str, int], position: int
) -> None:
    drives.ask(FILE, "Write", b"abcdef")
    for argument, answer in (({"seek_from": sought}, position), (sought, {"new_offset": position})):
        drives.ask(FILE, "CloseFile")
        drives.ask(FILE, {"ReadExact": 2})
        assert drives.ask(FILE, {"Seek": argument}) == {"SeekFrom": answer}
        assert drives.ask(FILE, "ReadToEnd") == ("Read", b"abcdef"[position:])


def test_a_seek_before_the_beginning_is_an_error_and_moves_nothing(drives: Drives) -> None:
    drives.ask(FILE, "Write", b"abcdef")
    drives.ask(FILE, {"ReadExact": 2})
    assert drives.ask(FILE, {"Seek": {"Current": -3}}) == {
        "Err": {"IOError": {"error": "Invalid argument", "path": FILE}}
    }
    assert drives.ask(FILE, "ReadToEnd") == ("Read", b"cdef")


@pytest.mark.parametrize("action", ["Read", "ReadToEnd"])
def test_a_file_that_no_blob_can_hold_is_an_error_and_not_cut_short(drives: Drives, action: str) -> None:
    drives.disk.put(Location("drives", ("app:sys", "d", "f")), bytes(limits.MAX_BLOB_BYTES + 1))
    assert "longer than a blob can be" in str(drives.ask(FILE, action))
    drives.disk.put(Location("drives", ("app:sys", "d", "f")), bytes(limits.MAX_BLOB_BYTES))
    value, blob = drives.ask(FILE, action)
    assert (value, len(blob)) == ("Read", limits.MAX_BLOB_BYTES)


@pytest.mark.parametrize(
    "action", [{"ReadAt": {"offset": 0, "length": limits.MAX_BLOB_BYTES + 1}}, {"ReadExact": limits.MAX_BLOB_BYTES + 1}]
)
def test_a_length_that_no_blob_can_hold_is_an_error(drives: Drives, action: object) -> None:
    drives.ask(FILE, "CreateFile")
    assert "a blob holds at most" in str(drives.ask(FILE, action))


def test_create_dir_makes_one_folder_and_create_dir_all_those_above_too(drives: Drives) -> None:
    deep = f"{DRIVE}/a/b"
    assert drives.ask(deep, "CreateDir") == {"Err": {"NotFound": {"path": deep}}}
    assert drives.ask(deep, "CreateDirAll") == "Ok"
    assert drives.ask(deep, "CreateDirAll") == "Ok"
    assert drives.ask(deep, "CreateDir") == {"Err": {"IOError": {"error": "File exists", "path": deep}}}
    assert drives.ask(f"{DRIVE}/c", "CreateDir") == "Ok"


def test_folders_are_listed_and_removed(drives: Drives) -> None:
    drives.ask(f"{DRIVE}/a/b", "CreateDirAll")
    assert drives.ask(f"{DRIVE}/a", "RemoveDir") == {
        "Err": {"IOError": {"error": "Directory not empty", "path": f"{DRIVE}/a"}}
    }
    assert drives.ask(DRIVE, "ReadDir") == {"ReadDir": [{"path": "app:sys/d/a", "file_type": "Directory"}]}
    assert drives.ask(f"{DRIVE}/a/b", "RemoveDir") == "Ok"
    assert drives.ask(f"{DRIVE}/a", "RemoveDirAll") == "Ok"
    assert drives.ask(DRIVE, "ReadDir") == {"ReadDir": []}


def test_rename_moves_files_and_whole_folders(drives: Drives) -> None:
    drives.ask(f"{DRIVE}/a", "CreateDir")
    drives.ask(f"{DRIVE}/a/f", "Write", b"x")
    assert drives.ask(f"{DRIVE}/a", {"Rename": {"new_path": f"{DRIVE}/b"}}) == "Ok"
    assert drives.ask(f"{DRIVE}/b/f", {"Rename": {"new_path": FILE}}) == "Ok"
    assert content(drives) == b"x"


def test_copy_file_leaves_the_first(drives: Drives) -> None:
    drives.ask(FILE, "Write", b"x")
    assert drives.ask(FILE, {"CopyFile": {"new_path": f"{DRIVE}/g"}}) == "Ok"
    assert content(drives) == content(drives, f"{DRIVE}/g") == b"x"


def test_len_set_len_sync_metadata_hash_and_remove(drives: Drives) -> None:
    drives.ask(FILE, "Write", b"abcdef")
    assert drives.ask(FILE, {"SetLen": 3}) == "Ok"
    assert drives.ask(FILE, "SyncAll") == "Ok"
    assert drives.ask(FILE, "Len") == {"Len": 3}
    assert drives.ask(FILE, "Metadata")["Metadata"]["len"] == 3
    assert drives.ask(FILE, "Hash") == {"Hash": list(blake3(b"abc").digest())}
    assert drives.ask(FILE, "RemoveFile") == "Ok"
    assert drives.ask(FILE, "Metadata") == {"Err": {"NotFound": {"path": FILE}}}


@pytest.mark.parametrize("mime", ["application/zip", None])
def test_add_zip_unpacks_into_the_folder(drives: Drives, mime: str | None) -> None:
    assert drives.ask(f"{DRIVE}/into", "AddZip", packed(top=b"1", sub__deep=b"2"), mime=mime) == "Ok"
    assert content(drives, f"{DRIVE}/into/top") == b"1"
    assert content(drives, f"{DRIVE}/into/sub/deep") == b"2"


def test_add_zip_of_what_is_no_archive_is_told_so(drives: Drives) -> None:
    error = drives.ask(DRIVE, "AddZip", b"nonsense")["Err"]["IOError"]
    assert error == {"error": "the archive is not a zip archive, or is cut off", "path": DRIVE}
    assert "mime" in str(drives.ask(DRIVE, "AddZip", packed(a=b""), mime="text/plain"))


def test_a_drive_that_cannot_be_made_is_a_create_dir_error() -> None:
    error = DiskError(DiskFault.FULL, "No space left on device")
    assert refusal(error, DRIVE, ACTIONS["CreateDrive"]) == {
        "CreateDirError": {"error": "No space left on device", "path": DRIVE}
    }


@pytest.mark.parametrize("body", [b"no JSON", b"\xff", b"[" * 10_000])
def test_what_is_no_json_is_bad_json(drives: Drives, body: bytes) -> None:
    reply = drives.ask_raw(body)
    assert reply is not None
    assert reply.response.body == b'{"Err":{"BadJson":{"error":"the body is not JSON"}}}'


@pytest.mark.parametrize("action", ["Nonsense", None, 1, {}, {"Seek": 1}, {"SetLen": -1}, {"SetLen": True}, ["Read"]])
def test_what_is_no_action_is_a_bad_request(drives: Drives, action: object) -> None:
    drives.ask(FILE, "CreateFile")
    assert list(drives.ask(FILE, action)["Err"]) == ["BadRequest"]


def test_g23_a_list_that_is_too_long_is_an_error_and_not_cut_short(
    drives: Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a", 'quoted "b"', "größe")
    for name in names:
        drives.ask(f"{DRIVE}/{name}", "CreateDir")
    listed = drives.ask(DRIVE, "ReadDir")
    length = len(dump(listed["ReadDir"]))
    monkeypatch.setattr(vfs_actions, "MAX_LIST_BYTES", length)
    assert drives.ask(DRIVE, "ReadDir") == listed
    monkeypatch.setattr(vfs_actions, "MAX_LIST_BYTES", length - 1)
    error = f"the list of its 3 entries would be longer than {length - 1} bytes: read it in pages"
    assert drives.ask(DRIVE, "ReadDir") == {"Err": {"IOError": {"error": error, "path": DRIVE}}}


IO, NOT_THERE = {"error": "File exists", "path": "/app:sys/d/f"}, "No such file or directory (os error 2)"
REFUSED: list[tuple[str, object, bytes | None, ProcessId, object, object]] = [
    ("/app:sys/d/f", "Read", None, OTHER, {"NoCap": {"action": "read", "path": "/app:sys/d/f"}}, "NoReadCap"),
    ("/app:sys/d/f", "Write", b"", OTHER, {"NoCap": {"action": "write", "path": "/app:sys/d/f"}}, "NoWriteCap"),
    ("/app:sys/d/f", "Write", None, APP, {"BadBytes": {"action": "write", "path": "/app:sys/d/f"}}, "NoBlob"),
    ("/app:sys/d/no", "Read", None, APP, {"NotFound": {"path": "/app:sys/d/no"}}, {"IOError": NOT_THERE}),
    ("/app:sys/d/f", "CreateDir", None, APP, {"IOError": IO}, {"IOError": "File exists"}),
    ("/app:sys/d/f", "No", None, APP, {"BadRequest": {"error": "there is no action 'No'"}}, "MalformedRequest"),
]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("path", "action", "blob", "source", "early_error", "late_error"), REFUSED)
def test_an_error_has_the_shape_of_the_guests_own_interface(
    path: str,
    action: object,
    blob: bytes | None,
    source: ProcessId,
    early_error: object,
    late_error: object,
    late: bool,
) -> None:
    drives = Drives(lambda _: Generation.LATE if late else Generation.MIDDLE)
    drives.ask("/app:sys/d", "CreateDrive")
    drives.ask("/app:sys/d/f", "Write", b"x")
    assert drives.ask(path, action, blob, source) == {"Err": late_error if late else early_error}


def test_a_bad_archive_has_a_name_of_its_own_in_the_late_interfaces() -> None:
    assert Drives(lambda _: Generation.LATE).ask(DRIVE, "AddZip", b"no zip") == {"Err": "UnzipError"}


def test_an_archive_is_unpacked_into_a_path_without_its_first_slash(drives: Drives) -> None:
    assert drives.ask("app:sys/d/z", "AddZip", packed(a=b"1")) == "Ok"
    assert content(drives, f"{DRIVE}/z/a") == b"1"


def test_an_error_of_the_late_interfaces_has_no_shape_but_theirs() -> None:
    drives = Drives(lambda _: Generation.LATE)
    known = {"NoWriteCap", "NoReadCap", "AddCapFailed", "MalformedRequest", "NoBlob", "UnzipError"}
    for path, action, blob in itertools.product(
        ("/app:sys/d/f", "/other:sys/d", "", "/app:sys/d/\0", "/app:sys/pkg/x"),
        [*ACTIONS, {}, {"Seek": 1}],
        (None, b""),
    ):
        answer = drives.ask(path, action, blob)
        value = answer[0] if isinstance(answer, tuple) else answer
        if isinstance(value, dict) and "Err" in value:
            wrong = value["Err"]
            match wrong:
                case str():
                    assert wrong in known
                case {"ParseError": {"error": str(), "path": str()}} | {"IOError": str()}:
                    pass
                case _:
                    raise AssertionError(wrong)
