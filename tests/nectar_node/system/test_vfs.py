"""vfs:distro:sys: requests in, disk jobs and replies out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.address import Address, ProcessId
from kernel.capability import Capability, canonical
from kernel.events import Reply
from kernel.message import Envelope, LazyLoadBlob, ReplyTo, Request, Response
from nectar_node.storage.operations import DiskError, DiskFault, Job, Location, Replace
from nectar_node.system.vfs import VFS, Vfs
from testnet.sim.disk import SimDisk

OUR = "our.nec"
APP = ProcessId("main", "app", "sys")


class Drives:
    """A vfs over a disk in memory."""

    def __init__(self) -> None:
        self.held: set[tuple[ProcessId, Capability]] = set()
        self.vfs = Vfs(OUR, "drives", lambda holder, wanted: (holder, canonical(wanted)) in self.held)
        self.disk = SimDisk(lambda: 1.0)
        self.jobs: list[Job] = []

    def ask_raw(self, body: bytes, blob: bytes | None = None, source: ProcessId = APP) -> Reply | None:
        address = Address(OUR, source)
        carried = LazyLoadBlob(None, blob) if blob is not None else None
        request = Request(False, 5, body, '"echo me"')
        self.vfs.receive(Envelope(1, address, Address(OUR, VFS), ReplyTo(address, 1), request, carried), 0.0)
        while (action := self.vfs.next_action()) is not None:
            if isinstance(action, Reply):
                return action
            self.jobs.append(action)
            self.vfs.done(action, self.disk.perform(action.operation), 0.0)
        return None

    def ask(self, path: str, action: object, blob: bytes | None = None, source: ProcessId = APP) -> Any:
        reply = self.ask_raw(json.dumps({"path": path, "action": action}).encode(), blob, source)
        assert reply is not None
        value = json.loads(reply.response.body)
        return (value, reply.blob.bytes) if reply.blob is not None else value


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
    assert drives.ask("/app:sys/d", "ReadDir") == {"ReadDir": [{"path": path, "file_type": "File"}]}
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


def test_the_metadata_of_a_request_is_echoed(drives: Drives) -> None:
    reply = drives.ask_raw(b'{"path": "/app:sys/d", "action": "ReadDir"}')
    assert reply is not None
    assert reply.response == Response(False, b'{"ReadDir":[]}', '"echo me"')


@pytest.mark.parametrize(
    "path",
    ["/app:sys", "/app:sys/../x/f", "/app:sys/d/../../f", "app:sys/d", "/app/d/f", "/a:b:c/d/f", "/app:sys/d/\0", "/"],
)
def test_no_path_leaves_its_drive(drives: Drives, path: str) -> None:
    answer = drives.ask(path, "Read")
    assert "ParseError" in answer["Err"]


def test_another_packages_drive_needs_its_capability(drives: Drives) -> None:
    other = ProcessId("main", "other", "sys")
    assert "NoCap" in drives.ask("/app:sys/d", "ReadDir", source=other)["Err"]
    params = '{"drive": "/app:sys/d",  "kind": "read"}'
    drives.held.add((other, canonical(Capability(Address(OUR, VFS), params))))
    assert drives.ask("/app:sys/d", "ReadDir", source=other) == {"ReadDir": []}
    assert "NoCap" in drives.ask("/app:sys/d/f", "CreateFile", source=other)["Err"]


def test_a_rename_cannot_carry_a_file_into_another_packages_drive(drives: Drives) -> None:
    drives.ask("/app:sys/d/f", "CreateFile")
    assert "NoCap" in drives.ask("/app:sys/d/f", {"Rename": {"new_path": "/other:sys/d/f"}})["Err"]


def test_a_mounted_file_is_read_but_never_written(drives: Drives) -> None:
    drives.disk.put(Location("/home/user", ("file",)), b"mine")
    drives.vfs.mount("/app:sys/out/1/name", Location("/home/user", ("file",)))
    assert drives.ask("/app:sys/out/1/name", "Read") == ("Read", b"mine")
    assert "read-only" in str(drives.ask("/app:sys/out/1/name", "Write", b"x"))
    assert drives.vfs.unmount("/app:sys/out/1/name")
    assert "NotFound" in drives.ask("/app:sys/out/1/name", "Read")["Err"]


def test_a_full_disk_is_told_in_the_systems_words(drives: Drives) -> None:
    drives.disk.capacity = 3
    drives.ask("/app:sys/d/f", "CreateFile")
    answer = drives.ask("/app:sys/d/f", {"WriteAt": {"offset": 0}}, b"four")
    assert answer == {"Err": {"IOError": {"error": "No space left on device", "path": "/app:sys/d/f"}}}


def test_a_request_that_expects_nothing_gets_nothing(drives: Drives) -> None:
    address = Address(OUR, APP)
    drives.vfs.receive(Envelope(1, address, Address(OUR, VFS), None, Request(False, None, b"x")), 0.0)
    assert drives.vfs.next_action() is None


def test_a_hash_does_not_hold_up_what_else_is_done_with_its_file(drives: Drives) -> None:
    drives.ask("/app:sys/d/f", "CreateFile")
    drives.ask("/app:sys/d/f", "Hash")
    drives.ask("/app:sys/d/f", "Read")
    lanes = [job.lane for job in drives.jobs[-3:]]
    assert lanes[0] == lanes[2] != lanes[1]


def test_one_place_has_one_lane_however_its_path_is_spelt(drives: Drives) -> None:
    drives.ask("/app:sys/d/f", "CreateFile")
    drives.ask("/app:sys//d///f", "Read")
    first, second = drives.jobs[-2:]
    assert first.lane == second.lane


def test_a_file_whose_name_is_no_text_is_not_listed(drives: Drives) -> None:
    drives.disk.put(Location("drives", ("app:sys", "d", "\udcff")), b"")
    drives.ask("/app:sys/d/good", "CreateFile")
    listed = drives.ask("/app:sys/d", "ReadDir")["ReadDir"]
    assert [entry["path"] for entry in listed] == ["/app:sys/d/good"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ACTIONS = st.sampled_from(["Read", "ReadAt", "WriteAt", "Write", "Rename", "SetLen", "OpenFile", "Hash", "Nonsense"])


@given(
    st.binary(max_size=40)
    | st.builds(lambda path, action: json.dumps({"path": path, "action": action}).encode(), JSON, JSON)
    | st.builds(lambda a, v: json.dumps({"path": "/app:sys/d/f", "action": {a: v}}).encode(), ACTIONS, JSON),
    st.none() | st.binary(max_size=4),
)
def test_whatever_a_process_sends_it_gets_one_answer(body: bytes, blob: bytes | None) -> None:
    drives = Drives()
    assert drives.ask_raw(body, blob) is not None


def test_an_outcome_that_is_an_error_names_the_path(drives: Drives) -> None:
    job_error = DiskError(DiskFault.OTHER, "Input/output error")
    address = Address(OUR, APP)
    request = Request(False, 5, b'{"path": "/app:sys/d/f", "action": "Read"}')
    drives.vfs.receive(Envelope(1, address, Address(OUR, VFS), ReplyTo(address, 1), request), 0.0)
    job = drives.vfs.next_action()
    assert isinstance(job, Job)
    drives.vfs.done(job, job_error, 0.0)
    reply = drives.vfs.next_action()
    assert isinstance(reply, Reply)
    assert b"Input/output error" in reply.response.body
