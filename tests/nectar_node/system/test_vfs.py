"""vfs:distro:sys: requests in, disk jobs and replies out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import Address
from kernel.contract.guest import Generation
from kernel.contract.message import Envelope, LazyLoadBlob, ReplyTo, Request, Response
from nectar_node.base.system_processes import VFS
from nectar_node.storage.operations import MAX_DEPTH, DiskError, DiskFault, Hash, Location, Replace
from nectar_node.system import vfs_queue
from nectar_node.system.vfs import MAX_BODY_BYTES, MAX_CURSORS
from nectar_node.system.vfs_actions import ACTIONS
from nectar_node.system.vfs_queue import MAX_REQUESTS
from tests.nectar_node.system.driven import APP, OTHER, OUR
from tests.nectar_node.system.drives import JSON, Drives


@pytest.fixture
def drives() -> Drives:
    drives = Drives()
    assert drives.ask("/app:sys/d", "CreateDrive") == "Ok"
    return drives


def test_a_file_is_made_written_and_read_at_offsets(drives: Drives) -> None:
    path = "/app:sys/d/a file ö.txt"
    assert drives.ask(path, {"OpenFile": {"create": True}}) == "Ok"
    assert drives.ask(path, {"WriteAt": {"offset": 0}}, b"hello world") == "Ok"
    assert drives.ask(path, {"ReadAt": {"offset": 6, "length": 100}}) == ("Read", b"world")
    assert drives.ask(path, "Len") == {"Len": 11}
    assert drives.ask(path, "Metadata") == {"Metadata": {"file_type": "File", "len": 11, "modified": 10**9}}
    assert drives.ask("/app:sys/d", "ReadDir") == {"ReadDir": [{"path": path[1:], "file_type": "File"}]}
    assert drives.ask(path, {"Rename": {"new_path": "/app:sys/d/b"}}) == "Ok"
    assert len(drives.ask("/app:sys/d/b", "Hash")["Hash"]) == 32
    assert drives.ask("/app:sys/d/b", "RemoveFile") == "Ok"
    assert drives.ask("/app:sys/d/b", "Read") == {"Err": {"NotFound": {"path": "/app:sys/d/b"}}}


def test_a_blob_reaches_the_disk_and_comes_from_it_by_reference(drives: Drives) -> None:
    data = b"x" * 100
    drives.ask("/app:sys/d/f", "Write", data)
    operation = drives.jobs[-1].operation
    assert isinstance(operation, Replace)
    assert operation.data is data


def test_requests_are_answered_with_their_metadata_if_they_expect_an_answer(drives: Drives) -> None:
    reply = drives.ask_raw(b'{"path": "/app:sys/d", "action": "ReadDir"}')
    assert reply is not None
    assert reply.response == Response(False, b'{"ReadDir":[]}', '"echo me"')
    address = Address(OUR, APP)
    drives.process.receive(Envelope(1, address, Address(OUR, VFS), None, Request(False, None, b"x")), 0.0)
    assert drives.process.next_action() is None


@pytest.mark.parametrize(
    "path",
    [
        "/app:sys",
        "/app:sys/../x/f",
        "/app:sys/d/../../f",
        "app:sys",
        "d/f",
        "/app/d/f",
        "/a:b:c/d/f",
        "/app:sys/d/\0",
        "/",
    ],
)
def test_no_path_leaves_its_drive(drives: Drives, path: str) -> None:
    answer = drives.ask(path, "Read")
    assert "ParseError" in answer["Err"]


def test_the_files_of_databases_are_in_no_drive(drives: Drives) -> None:
    drives.hold(OTHER, '{"root": true}')
    for source in (APP, OTHER):
        for path, action in (("", "CreateDrive"), ("/kv-d.db", "Read"), ("/kv-d.db", "Write"), ("", "ReadDir")):
            assert "ParseError" in drives.ask(f"/app:sys/.databases{path}", action, b"x", source=source)["Err"]
    answer = drives.ask("/app:sys/d", {"Rename": {"new_path": "/app:sys/.databases/d"}})
    assert "ParseError" in answer["Err"]


def test_another_packages_drive_needs_its_capability_and_the_right_to_write_only_to_make_something(
    drives: Drives,
) -> None:
    refused = {"Err": {"NoCap": {"action": "read", "path": "/app:sys/d"}}}
    assert drives.ask("/app:sys/d", "ReadDir", source=OTHER) == refused
    drives.hold(OTHER, '{"drive": "/app:sys/d",  "kind": "read"}')
    assert drives.ask("/app:sys/d", "ReadDir", source=OTHER) == {"ReadDir": []}
    assert "NoCap" in drives.ask("/app:sys/d/f", "CreateFile", source=OTHER)["Err"]
    drives.ask("/app:sys/d/f", "CreateFile")
    drives.hold(OTHER, '{"drive": "/app:sys/d",  "kind": "read"}')
    assert drives.ask("/app:sys/d/f", {"OpenFile": {"create": False}}, source=OTHER) == "Ok"
    assert "NoCap" in drives.ask("/app:sys/d/f", {"OpenFile": {"create": True}}, source=OTHER)["Err"]
    drives.hold(OTHER, '{"root": true}')
    assert drives.ask("/app:sys/d/f", "CreateFile", source=OTHER) == "Ok"
    assert drives.ask("/third:sys/d", "CreateDrive", source=OTHER) == "Ok"


def test_g21_the_maker_of_a_drive_holds_its_capabilities_and_who_makes_anothers_does_not(drives: Drives) -> None:
    assert {each.params for holder, each in drives.held if holder == APP} == {
        '{"drive":"/app:sys/d","kind":"read"}',
        '{"drive":"/app:sys/d","kind":"write"}',
    }
    drives.hold(OTHER, '{"drive": "/app:sys/e",  "kind": "write"}')
    before = set(drives.held)
    assert drives.ask("/app:sys/e", "CreateDrive", source=OTHER) == "Ok"
    assert drives.held == before


@pytest.mark.parametrize("path", ["/app:sys/e", "app:sys/e", "//app:sys//e/"])
def test_a_holder_of_all_drives_gets_the_capabilities_of_a_drive_that_it_makes_for_another_package(
    drives: Drives, path: str
) -> None:
    drives.hold(OTHER, '{"root": true}')
    before = set(drives.held)
    assert drives.ask(path, "CreateDrive", source=OTHER) == "Ok"
    assert {(holder, each.params) for holder, each in drives.held - before} == {
        (OTHER, f'{{"drive":"/app:sys/e","kind":"{kind}"}}') for kind in ("read", "write")
    }


def test_a_path_is_the_same_with_and_without_its_first_slash(drives: Drives) -> None:
    assert drives.ask("app:sys/d/f", "Write", b"x") == "Ok"
    assert drives.ask("/app:sys/d/f", "Read") == ("Read", b"x")
    assert drives.ask("app:sys/d/f", {"CopyFile": {"new_path": "app:sys/d/g"}}) == "Ok"
    assert drives.ask("/app:sys/d/g", {"Rename": {"new_path": "app:sys/d/h"}}) == "Ok"
    assert [each["path"] for each in drives.ask("app:sys/d", "ReadDir")["ReadDir"]] == ["app:sys/d/f", "app:sys/d/h"]
    assert drives.ask("app:sys/d", "Read", source=OTHER) == {"Err": {"NoCap": {"action": "read", "path": "app:sys/d"}}}
    assert "ParseError" in drives.ask("app:sys/.databases/kv-d.db", "Read")["Err"]


def test_code_is_found_by_its_path_with_and_without_its_first_slash(drives: Drives) -> None:
    package, place = APP.package_id, Location("drives", ("app:sys", "pkg", "x.wasm"))
    for path in ("x.wasm", "/x.wasm", "app:sys/pkg/x.wasm", "/app:sys/pkg/x.wasm"):
        assert drives.process.locate(package, path) == place
    assert drives.process.locate(package, "app:sys/d/x.wasm") == Location("drives", ("app:sys", "d", "x.wasm"))


WRITES: list[tuple[str, object]] = [
    ("/app:sys/pkg", "CreateDrive"),
    ("/app:sys/pkg/d", "CreateDir"),
    ("/app:sys/pkg/scripts.json", "Write"),
    ("/app:sys/pkg", "AddZip"),
    ("/app:sys/d/f", {"Rename": {"new_path": "/app:sys/pkg/scripts.json"}}),
    ("/app:sys/d", {"Rename": {"new_path": "/app:sys/pkg"}}),
    ("/app:sys/d/f", {"CopyFile": {"new_path": "/app:sys//pkg/tool.wasm"}}),
]


@pytest.mark.parametrize(("path", "action"), WRITES)
def test_g21_no_process_writes_its_own_packages_folder(drives: Drives, path: str, action: object) -> None:
    drives.ask("/app:sys/d/f", "CreateFile")
    assert list(drives.ask(path, action, b"x")["Err"]) == ["NoCap"]
    assert "NotFound" in drives.ask("/app:sys/pkg", "ReadDir")["Err"]


@pytest.mark.parametrize("right", ['{"root":true}', '{"kind":"write","drive":"/app:sys/pkg"}'])
def test_an_app_store_that_was_given_the_right_writes_packages_folders(drives: Drives, right: str) -> None:
    drives.hold(OTHER, right)
    assert drives.ask("/app:sys/pkg", "CreateDrive", source=OTHER) == "Ok"
    assert drives.ask("/app:sys/pkg/manifest.json", "Write", b"[]", source=OTHER) == "Ok"
    assert drives.ask("/app:sys/pkg/manifest.json", "Read") == ("Read", b"[]")


def test_g23_a_path_has_only_so_many_folders(drives: Drives) -> None:
    path = "/app:sys/d" + "/a" * (MAX_DEPTH - 2)
    assert drives.ask(path, "CreateDirAll") == "Ok"
    assert "ParseError" in drives.ask(f"{path}/a", "CreateDirAll")["Err"]


def test_a_rename_cannot_carry_a_file_into_another_packages_drive(drives: Drives) -> None:
    drives.ask("/app:sys/d/f", "CreateFile")
    assert "NoCap" in drives.ask("/app:sys/d/f", {"Rename": {"new_path": "/other:sys/d/f"}})["Err"]


def test_a_mounted_file_is_read_but_never_written(drives: Drives) -> None:
    drives.disk.put(Location("/home/user", ("file",)), b"mine")
    drives.process.mount("/app:sys/out/1/name", Location("/home/user", ("file",)))
    assert drives.ask("/app:sys/out/1/name", "Read") == ("Read", b"mine")
    assert "read-only" in str(drives.ask("/app:sys/out/1/name", "Write", b"x"))
    assert drives.process.unmount("/app:sys/out/1/name")
    assert "NotFound" in drives.ask("/app:sys/out/1/name", "Read")["Err"]


def test_a_full_disk_is_told_in_the_systems_words(drives: Drives) -> None:
    drives.disk.capacity = 3
    drives.ask("/app:sys/d/f", "CreateFile")
    answer = drives.ask("/app:sys/d/f", {"WriteAt": {"offset": 0}}, b"four")
    assert answer == {"Err": {"IOError": {"error": "No space left on device", "path": "/app:sys/d/f"}}}


def test_one_place_has_one_lane_and_a_hash_its_own(drives: Drives) -> None:
    drives.ask("/app:sys/d/f", "CreateFile")
    drives.ask("/app:sys//d///f", "Read")
    first, second = drives.jobs[-2:]
    assert first.lane == second.lane
    drives.ask("/app:sys/d/f", "CreateFile")
    drives.ask("/app:sys/d/f", "Hash")
    drives.ask("/app:sys/d/f", "Read")
    lanes = [job.lane for job in drives.jobs[-3:]]
    assert lanes[0] == lanes[2] != lanes[1]


def test_g23_a_hash_waits_for_those_of_no_other_package_and_of_no_other_file(drives: Drives) -> None:
    drives.ask("/app:sys/d/f", "Hash")
    drives.ask("/app:sys/d/g", "Hash", source=APP._replace(process="second"))
    drives.hold(OTHER, '{"root":true}')
    drives.ask("/app:sys/d/f", "Hash", source=OTHER)
    first, second, anothers = [job.lane for job in drives.jobs if isinstance(job.operation, Hash)]
    assert len({first, second, anothers}) == 3


def test_a_link_is_shown_as_one(drives: Drives) -> None:
    drives.disk.put(Location("drives", ("app:sys", "d", "l")), b"", target="f")
    assert drives.ask("/app:sys/d", "ReadDir") == {"ReadDir": [{"path": "app:sys/d/l", "file_type": "Symlink"}]}
    assert drives.ask("/app:sys/d/l", "Metadata")["Metadata"]["file_type"] == "Symlink"


def test_a_file_whose_name_is_no_text_is_not_listed(drives: Drives) -> None:
    drives.disk.put(Location("drives", ("app:sys", "d", "\udcff")), b"")
    drives.ask("/app:sys/d/good", "CreateFile")
    listed = drives.ask("/app:sys/d", "ReadDir")["ReadDir"]
    assert [entry["path"] for entry in listed] == ["app:sys/d/good"]


NAMES = st.sampled_from([*ACTIONS, "Nonsense"])


def test_g23_who_asks_for_more_than_the_disk_can_do_is_refused_the_rest_and_told_of_once(
    drives: Drives,
) -> None:
    body = b'{"path": "/app:sys/d/f", "action": "CreateFile"}'
    for _ in range(MAX_REQUESTS + 2):
        drives.send(body, awaited=False)
    assert len(drives.undone) == 1  # they use the cursor: one after the other
    assert [line.source for line in drives.lines] == [str(APP)]
    assert "too much waits" in str(drives.ask("/app:sys/d/g", "Len"))
    assert drives.ask("/other:sys/d", "CreateDrive", source=OTHER) == "Ok"
    while drives.undone:
        drives.work()
    assert drives.ask("/app:sys/d/f", "Len") == {"Len": 0}


def test_g23_what_a_request_keeps_alive_counts_and_nothing_else_is_kept(
    drives: Drives, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = '"' + "ö" * 10_000 + '"'
    monkeypatch.setattr(vfs_queue, "MAX_BYTES", len(metadata.encode()))
    body = b'{"path": "/app:sys/d/f", "action": "Len"}'
    address = Address(OUR, APP)
    request = Request(False, 5, body, metadata)
    for id in (1, 2):
        drives.process.receive(Envelope(id, address, Address(OUR, VFS), ReplyTo(address, id), request), 0.0)
        drives.look()
    assert b"too much waits" in drives.replies[-1].response.body
    (job,) = drives.undone
    kept = job.owner.task.envelope  # type: ignore[attr-defined]
    assert (kept.message, kept.blob) == (Request(False, None, b"", metadata), None)


def test_g23_a_body_that_is_long_to_read_is_refused_unread(drives: Drives) -> None:
    body = b'{"path": "/app:sys/d", "action": "ReadDir"}'
    for length, answered in ((MAX_BODY_BYTES, b'{"ReadDir":[]}'), (MAX_BODY_BYTES + 1, b"longer than")):
        reply = drives.ask_raw(body.ljust(length))
        assert reply is not None
        assert answered in reply.response.body


def test_g4_what_is_asked_of_a_path_is_done_in_order_though_some_must_wait_for_others(drives: Drives) -> None:
    path = "/app:sys/d/f"
    drives.ask(path, "CreateFile")
    for action, blob in (("WriteAll", b"ab"), ("WriteAll", b"cd"), ("Read", None), ({"SetLen": 1}, None)):
        body = json.dumps({"path": path, "action": action}).encode()
        drives.send(body, LazyLoadBlob(None, blob) if blob is not None else None)
    assert len(drives.undone) == 1
    while drives.undone:
        drives.work()
    assert [each.blob.bytes for each in drives.replies if each.blob is not None] == [b"abcd"]
    assert drives.ask(path, "Len") == {"Len": 1}


def test_g4_a_copy_waits_for_what_was_asked_of_both_its_paths(drives: Drives) -> None:
    for name in ("f", "g"):
        drives.ask(f"/app:sys/d/{name}", "CreateFile")
    for path, action, blob in (
        ("/app:sys/d/f", {"WriteAt": {"offset": 0}}, b"new"),
        ("/app:sys/d/g", {"WriteAt": {"offset": 0}}, b"old and long"),
        ("/app:sys/d/f", {"CopyFile": {"new_path": "/app:sys/d/g"}}, None),
        ("/app:sys/d/g", "Read", None),
    ):
        body = json.dumps({"path": path, "action": action}).encode()
        drives.send(body, LazyLoadBlob(None, blob) if blob is not None else None)
    assert len(drives.undone) == 2
    while drives.undone:
        drives.work()
    assert [each.blob.bytes for each in drives.replies if each.blob is not None] == [b"new"]


def test_each_process_has_a_cursor_of_its_own_until_it_closes_the_file_or_ends(drives: Drives) -> None:
    drives.ask("/app:sys/d/f", "Write", b"abcdef")
    for forget in (
        lambda: drives.ask("/app:sys/d/f", "CloseFile"),
        lambda: drives.ask("/app:sys/d/f", {"OpenFile": {"create": False}}),
        lambda: drives.process.ended(APP, 0.0),
    ):
        assert drives.ask("/app:sys/d/f", {"ReadExact": 2}) == ("Read", b"ab")
        forget()
    assert drives.ask("/app:sys/d/f", {"ReadExact": 2}) == ("Read", b"ab")
    drives.ask("/app:sys/d/f", "CloseFile")
    second = APP._replace(process="second")
    assert drives.ask("/app:sys/d/f", {"ReadExact": 2}) == ("Read", b"ab")
    assert drives.ask("/app:sys/d/f", {"ReadExact": 3}, source=second) == ("Read", b"abc")
    assert drives.ask("/app:sys/d/f", {"ReadExact": 2}) == ("Read", b"cd")


def test_g23_a_process_can_have_only_so_many_cursors(drives: Drives) -> None:
    drives.process._cursors[APP] = {str(number): 1 for number in range(MAX_CURSORS)}
    drives.ask("/app:sys/d/f", "Write", b"abcdef")
    assert "open already" in str(drives.ask("/app:sys/d/f", {"ReadExact": 2}))
    drives.process.ended(APP, 0.0)
    assert drives.ask("/app:sys/d/f", {"ReadExact": 2}) == ("Read", b"ab")


@given(
    st.binary(max_size=40)
    | st.builds(lambda path, action: json.dumps({"path": path, "action": action}).encode(), JSON, JSON)
    | st.builds(lambda a, v: json.dumps({"path": "/app:sys/d/f", "action": {a: v}}).encode(), NAMES, JSON),
    st.none() | st.binary(max_size=4),
)
def test_whatever_a_process_sends_it_gets_one_answer(body: bytes, blob: bytes | None) -> None:
    drives = Drives()
    assert drives.ask_raw(body, LazyLoadBlob(None, blob) if blob is not None else None) is not None


def test_an_outcome_that_is_an_error_names_the_path(drives: Drives) -> None:
    job_error = DiskError(DiskFault.OTHER, "Input/output error")
    address = Address(OUR, APP)
    request = Request(False, 5, b'{"path": "/app:sys/d/f", "action": "Read"}')
    drives.process.receive(Envelope(1, address, Address(OUR, VFS), ReplyTo(address, 1), request), 0.0)
    drives.look()
    drives.process.done(drives.undone.popleft(), job_error, 0.0)
    drives.look()
    assert b"Input/output error" in drives.replies[-1].response.body


@pytest.mark.parametrize(
    ("generation", "error"),
    [
        (
            Generation.EARLY,
            {"CapChannelFail": {"error": "the process holds too many capabilities to be given those of the drive"}},
        ),
        (Generation.LATE, "AddCapFailed"),
    ],
)
def test_g20_who_cannot_be_given_the_capabilities_of_a_drive_is_told_so(generation: Generation, error: object) -> None:
    drives = Drives(lambda _: generation)
    drives.holds_too_much = True
    assert drives.ask("/app:sys/new", "CreateDrive") == {"Err": error}
    drives.holds_too_much = False
    assert drives.ask("/app:sys/new", "CreateDrive") == "Ok"
    drives.holds_too_much = True
    assert drives.ask("/app:sys/new", "CreateDrive") == "Ok", "it holds these already"
