"""What takes long is given up when nobody waits for it any more (G23)."""

from __future__ import annotations

import json

import pytest

from kernel.contract.address import Address
from kernel.contract.message import LazyLoadBlob, ReplyTo
from nectar_node.storage.operations import Replace
from tests.nectar_node.system.driven import APP, OUR
from tests.nectar_node.system.drives import Drives

FILE = "/app:sys/d/f"
TIMEOUT = 5.0
"""Seconds, of every request (`Drives.send`)."""
LONG = {
    "Hash": None,
    "CopyFile": {"new_path": "/app:sys/d/g"},
    "CopyDirAll": {"new_path": "/app:sys/d/g"},
    "RemoveDirAll": None,
    "AddZip": None,
    "ReadDir": None,
    "Write": None,
}


@pytest.fixture
def drives() -> Drives:
    drives = Drives()
    drives.ask("/app:sys/d", "CreateDrive")
    drives.ask(FILE, "Write", b"content")
    drives.replies.clear()
    return drives


def begin(drives: Drives, action: str, path: str = FILE, *, awaited: bool = True) -> None:
    """Ask, and let the disk not have done it yet."""
    argument = LONG.get(action)
    body = {"path": path, "action": {action: argument} if argument is not None else action}
    drives.send(json.dumps(body).encode(), LazyLoadBlob(None, b"new"), awaited=awaited)


@pytest.mark.parametrize("action", LONG)
def test_g23_what_its_requester_has_got_timeout_for_is_given_up(drives: Drives, action: str) -> None:
    begin(drives, action)
    (job,) = drives.undone
    assert drives.process.next_deadline() == TIMEOUT
    drives.pass_to(TIMEOUT)
    assert drives.stopped == [job.ticket]
    drives.work()
    assert drives.replies == []
    assert drives.process.next_deadline() is None


@pytest.mark.parametrize("action", LONG)
def test_g23_what_a_process_that_has_ended_waited_for_is_given_up(drives: Drives, action: str) -> None:
    begin(drives, action)
    (job,) = drives.undone
    drives.end(APP._replace(process="another"))
    assert drives.stopped == []
    drives.end(APP)
    assert drives.stopped == [job.ticket]


def test_g23_what_waits_behind_it_never_gets_to_the_disk(drives: Drives) -> None:
    for _ in range(3):
        begin(drives, "Hash")
    drives.end(APP)
    while drives.undone:
        drives.work()
    assert len([job for job in drives.jobs if job.ticket]) == 2  # the Write before, and the first Hash
    assert drives.process._queue._usage == {}
    begin(drives, "Hash")
    drives.work()
    assert len(drives.replies) == 1


def test_g23_a_request_that_continues_anothers_is_awaited_as_long_as_that(drives: Drives) -> None:
    drives.awaited[ReplyTo(Address(OUR, APP), drives.number + 1)] = 77.0
    begin(drives, "Hash")
    assert drives.process.next_deadline() == 77.0


def test_what_was_done_in_time_has_no_deadline_any_more(drives: Drives) -> None:
    begin(drives, "Hash")
    drives.work()
    assert drives.process.next_deadline() is None
    drives.end(APP)
    assert drives.stopped == []


def test_what_was_written_without_waiting_is_written_though_the_writer_has_ended(drives: Drives) -> None:
    begin(drives, "Write", awaited=False)
    begin(drives, "Append")
    drives.end(APP)
    assert drives.stopped == []
    assert [type(job.operation) for job in drives.undone] == [Replace]
    while drives.undone:
        drives.work()
    assert drives.ask(FILE, "Read", source=APP)[1] == b"newnew"
