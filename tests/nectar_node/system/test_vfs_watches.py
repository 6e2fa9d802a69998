"""Processes are told of changes in drives, and no process can flood another with that."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest

from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability, canonical
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import Envelope, Reason, ReplyTo, Request, Response, SendError, SendErrorKind
from nectar_node.base.system_processes import TERMINAL, VFS
from nectar_node.contract.memory_budget import LEAST_BYTES, MemoryBudget
from nectar_node.storage.operations import Location
from nectar_node.system import vfs_watches
from nectar_node.system.process import SystemToken
from nectar_node.system.vfs_watches import (
    ANSWER_SECONDS,
    MAX_CHANGES,
    MAX_MISSED,
    MAX_OF_PACKAGE,
    MAX_OF_PROCESS,
    PAUSE_SECONDS,
    Watches,
)
from tests.nectar_node.system.driven import APP, OTHER, OUR
from tests.nectar_node.system.drives import Drives

DRIVE = "/app:sys/d"
WATCHER = ProcessId("watcher", "app", "sys")
ANSWER = Arrival(Address(OUR, WATCHER), Response(False, b""), None, None)


@pytest.fixture
def drives() -> Drives:
    drives = Drives()
    assert drives.ask(DRIVE, "CreateDrive") == "Ok"
    assert drives.ask(f"{DRIVE}/a", "CreateDir") == "Ok"
    return drives


def watch(drives: Drives, path: str, watcher: ProcessId = WATCHER) -> None:
    assert drives.ask(path, "Watch", source=watcher) == "Ok"


def told(drives: Drives) -> list[Any]:
    """What was told since the last time."""
    found = [json.loads(each.request.body) for each in drives.told]
    drives.told.clear()
    return found


def changed(path: str, *changes: str, more: bool = False) -> object:
    return {"Changed": {"path": path, "changes": list(changes), "more": more}}


def answer(drives: Drives) -> None:
    """The watcher answers what it was told last."""
    (last,) = drives.told[-1:]
    assert isinstance(last.token, SystemToken)
    drives.process.answered(last.token.token, ANSWER, drives.now)
    drives.look()


def test_a_process_is_told_of_a_change_below_the_path_that_it_watches(drives: Drives) -> None:
    watch(drives, DRIVE)
    drives.ask(f"{DRIVE}/a/f", "Write", b"x")
    (inject,) = drives.told
    assert inject.source == VFS
    assert inject.target == Address(OUR, WATCHER)
    assert inject.request.expects_response == ANSWER_SECONDS
    assert told(drives) == [changed(DRIVE, f"{DRIVE}/a/f")]


@pytest.mark.parametrize(
    ("action", "blob"),
    [
        ("CreateFile", None),
        ("Write", b"new"),
        ("WriteAll", b"new"),
        ({"WriteAt": {"offset": 1}}, b"new"),
        ("Append", b"new"),
        ({"SetLen": 1}, None),
        ("RemoveFile", None),
        ({"Rename": {"new_path": f"{DRIVE}/elsewhere"}}, None),
    ],
    ids=str,
)
def test_whatever_changes_a_file_is_told(drives: Drives, action: object, blob: bytes | None) -> None:
    drives.ask(f"{DRIVE}/a/f", "Write", b"old")
    watch(drives, f"{DRIVE}/a/f")
    assert drives.ask(f"{DRIVE}/a/f", action, blob) == "Ok"
    assert told(drives) == [changed(f"{DRIVE}/a/f", f"{DRIVE}/a/f")]


@pytest.mark.parametrize(
    ("path", "action"),
    [
        (f"{DRIVE}/a", "RemoveDirAll"),
        (f"{DRIVE}/a", {"Rename": {"new_path": f"{DRIVE}/c"}}),
        (f"{DRIVE}/b", {"Rename": {"new_path": f"{DRIVE}/a"}}),
        (f"{DRIVE}/b/c", {"CopyFile": {"new_path": f"{DRIVE}/a/f"}}),
        (f"{DRIVE}/b", {"CopyDirAll": {"new_path": f"{DRIVE}/a"}}),
    ],
    ids=str,
)
def test_what_happens_above_a_path_or_puts_something_there_is_told(drives: Drives, path: str, action: Any) -> None:
    drives.ask(f"{DRIVE}/b/c", "CreateDirAll")
    drives.ask(f"{DRIVE}/b/c", "RemoveDir")
    drives.ask(f"{DRIVE}/b/c", "Write", b"x")
    if action == {"CopyDirAll": {"new_path": f"{DRIVE}/a"}}:
        drives.ask(f"{DRIVE}/a", "RemoveDir")
    watch(drives, f"{DRIVE}/a/f")
    assert drives.ask(path, action) == "Ok"
    assert told(drives) == [changed(f"{DRIVE}/a/f", f"{DRIVE}/a/f")]


@pytest.mark.parametrize(
    ("path", "action"),
    [
        (f"{DRIVE}/a/f", "Read"),
        (f"{DRIVE}/a/f", {"OpenFile": {"create": False}}),
        (f"{DRIVE}/a/f", "SyncAll"),
        (f"{DRIVE}/a", "ReadDir"),
        (f"{DRIVE}/b", "CreateDir"),
        (f"{DRIVE}/ab", {"OpenFile": {"create": True}}),
        (f"{DRIVE}/a", "CreateDir"),
        (f"{DRIVE}/a/missing", "RemoveFile"),
        (f"{DRIVE}/a/f", {"CopyFile": {"new_path": f"{DRIVE}/copy"}}),
    ],
    ids=str,
)
def test_what_changes_nothing_there_is_not_told(drives: Drives, path: str, action: object) -> None:
    drives.ask(f"{DRIVE}/a/f", "Write", b"x")
    watch(drives, f"{DRIVE}/a")
    drives.ask(path, action)
    assert told(drives) == []


def test_nobody_is_told_of_what_it_has_changed_itself(drives: Drives) -> None:
    watch(drives, DRIVE)
    drives.ask(f"{DRIVE}/f", "Write", b"x", source=WATCHER)
    assert told(drives) == []
    drives.ask(f"{DRIVE}/f", "Write", b"x")
    assert told(drives) == [changed(DRIVE, f"{DRIVE}/f")]


def test_g23_a_writer_in_a_loop_sends_one_message_until_the_watcher_answers_and_a_pause_is_over(drives: Drives) -> None:
    watch(drives, DRIVE)
    for number in range(1000):
        drives.ask(f"{DRIVE}/{number % 4}", "Write", b"%d" % number)
    assert len(drives.told) == 1
    assert drives.process.next_deadline() is None
    answer(drives)
    assert told(drives) == [changed(DRIVE, f"{DRIVE}/0")]
    assert drives.process.next_deadline() == PAUSE_SECONDS
    drives.pass_to(PAUSE_SECONDS - 0.001)
    assert told(drives) == []
    drives.pass_to(PAUSE_SECONDS)
    assert told(drives) == [changed(DRIVE, *(f"{DRIVE}/{number}" for number in (1, 2, 3, 0)))]
    assert drives.process.next_deadline() is None


def test_g23_what_there_is_no_room_to_gather_is_told_as_more(drives: Drives, monkeypatch: pytest.MonkeyPatch) -> None:
    watch(drives, DRIVE)
    for number in range(MAX_CHANGES + 2):
        drives.ask(f"{DRIVE}/{number}", "CreateFile")
    answer(drives)
    drives.told.clear()
    drives.pass_to(1.0)
    assert told(drives) == [changed(DRIVE, *(f"{DRIVE}/{number}" for number in range(1, MAX_CHANGES + 1)), more=True)]
    monkeypatch.setattr(vfs_watches, "MAX_CHANGE_BYTES", 3)
    watch(drives, f"{DRIVE}/a")
    for name in ("b", "c", "d"):
        drives.ask(f"{DRIVE}/a/{name}", "CreateFile")
    answer(drives)
    drives.told.clear()
    drives.pass_to(2.0)
    assert told(drives) == [changed(f"{DRIVE}/a", f"{DRIVE}/a/c", more=True)]


def miss(drives: Drives) -> int | None:
    """The watcher does not answer what it was told last; the seconds that it had."""
    last = drives.told[-1]
    assert isinstance(last.token, SystemToken)
    error = SendError(SendErrorKind.TIMEOUT, last.target, last.request, None, Reason.EXPIRED)
    drives.told.clear()
    drives.process.answered(last.token.token, Failure(error, None), drives.now)
    drives.look()
    return last.request.expects_response


def test_g23_who_answers_nothing_is_told_more_and_more_seldom_and_then_no_more(drives: Drives) -> None:
    watch(drives, DRIVE)
    for missed in range(MAX_MISSED):
        drives.ask(f"{DRIVE}/{missed}", "CreateFile")
        drives.pass_to(drives.now + 1.0)
        drives.ask(f"{DRIVE}/{missed}", "Write", b"x")
        assert len(drives.told) == 1
        assert miss(drives) == ANSWER_SECONDS << missed
    reason = {"IOError": {"error": f"{MAX_MISSED} messages were not answered", "path": DRIVE}}
    assert told(drives) == [{"Unwatched": {"path": DRIVE, "reason": reason}}]
    drives.ask(f"{DRIVE}/f", "Write", b"x")
    drives.pass_to(drives.now + 1.0)
    assert told(drives) == []


def test_an_answer_makes_up_for_those_that_were_missed(drives: Drives) -> None:
    watch(drives, DRIVE)
    for number in range(2 * MAX_MISSED):
        drives.ask(f"{DRIVE}/{number}", "CreateFile")
        drives.pass_to(drives.now + 1.0)
        if number % MAX_MISSED == 0:
            answer(drives)
            drives.told.clear()
        else:
            miss(drives)
    assert len(drives.process._watches._by_number) == 1


def test_a_watch_ends_with_unwatch(drives: Drives) -> None:
    watch(drives, DRIVE)
    assert drives.ask(DRIVE, "Unwatch", source=WATCHER) == "Ok"
    drives.ask(f"{DRIVE}/f", "Write", b"x")
    assert told(drives) == []
    assert drives.ask(DRIVE, "Unwatch", source=WATCHER) == {"Err": {"NotFound": {"path": DRIVE}}}


def test_a_watch_ends_with_its_process_and_nothing_of_it_is_left(drives: Drives) -> None:
    watch(drives, DRIVE)
    watch(drives, f"{DRIVE}/a/b")
    drives.ask(f"{DRIVE}/f", "Write", b"x")
    drives.ask(f"{DRIVE}/g", "Write", b"x")
    last = drives.told[-1]
    drives.end(WATCHER)
    drives.told.clear()
    assert isinstance(last.token, SystemToken)
    drives.process.answered(last.token.token, ANSWER, 1.0)
    drives.ask(f"{DRIVE}/f", "Write", b"x")
    drives.pass_to(9.0)
    assert told(drives) == []
    watches = drives.process._watches
    assert not any((watches._by_number, watches._of, watches._of_package, watches._at, watches._below))


def test_g21_a_watch_of_anothers_drive_needs_its_capability_and_ends_when_that_is_revoked(drives: Drives) -> None:
    refused = {"Err": {"NoCap": {"action": "read", "path": DRIVE}}}
    assert drives.ask(DRIVE, "Watch", source=OTHER) == refused
    drives.hold(OTHER, f'{{"kind":"read","drive":"{DRIVE}"}}')
    watch(drives, DRIVE, OTHER)
    drives.ask(f"{DRIVE}/f", "Write", b"x")
    answer(drives)
    assert told(drives) == [changed(DRIVE, f"{DRIVE}/f")]
    drives.held.discard((OTHER, canonical(Capability(Address(OUR, VFS), f'{{"kind":"read","drive":"{DRIVE}"}}'))))
    for _ in range(2):
        drives.ask(f"{DRIVE}/secret", "Write", b"x")
        drives.pass_to(drives.now + 1.0)
    assert told(drives) == [{"Unwatched": {"path": DRIVE, "reason": {"NoCap": {"action": "read", "path": DRIVE}}}}]
    assert not drives.process._watches._by_number


def test_g23_watches_of_a_process_and_of_a_package_are_bounded(drives: Drives) -> None:
    for number in range(MAX_OF_PACKAGE // MAX_OF_PROCESS):
        process = WATCHER._replace(process=f"child {number}")
        for each in range(MAX_OF_PROCESS):
            watch(drives, f"{DRIVE}/{each}", process)
        watch(drives, f"{DRIVE}/0", process)  # it has that one already
        error = drives.ask(f"{DRIVE}/more", "Watch", source=process)["Err"]["IOError"]["error"]
        assert error == f"the process watches {MAX_OF_PROCESS} paths already"
    error = drives.ask(DRIVE, "Watch", source=WATCHER)["Err"]["IOError"]["error"]
    assert error == f"the package's processes watch {MAX_OF_PACKAGE} paths already"
    drives.ask(f"{DRIVE}/0", "Unwatch", source=WATCHER._replace(process="child 0"))
    watch(drives, DRIVE)


def test_g23_watches_are_paid_for_by_the_processs_share_of_the_nodes_memory() -> None:
    memory = MemoryBudget(LEAST_BYTES)
    watches, before, taken = Watches(memory), memory.used, list[int]()
    for depth in (3, 3, 90):
        location = Location("drives", ("app:sys", "d", *map(str, range(len(taken), len(taken) + depth))))
        assert watches.add(WATCHER, DRIVE, location) is None
        gc.collect()
        taken.append(memory.used - before - sum(taken))
    assert taken[0] == taken[1] >= 16 << 10
    assert taken[2] >= 100 << 10
    watches.remove(WATCHER, location)
    assert memory.used - before == 2 * taken[0]
    watches.ended(WATCHER)
    assert memory.used == before


def test_a_user_who_is_no_process_watches_nothing(drives: Drives) -> None:
    drives.hold(TERMINAL, '{"root":true}')
    assert "process that runs" in drives.ask(DRIVE, "Watch", source=TERMINAL)["Err"]["IOError"]["error"]


def test_what_a_removal_has_removed_before_it_was_given_up_is_told(drives: Drives) -> None:
    drives.ask(f"{DRIVE}/a/f", "Write", b"x")
    watch(drives, f"{DRIVE}/a")
    body = json.dumps({"path": f"{DRIVE}/a", "action": "RemoveDirAll"}).encode()
    address = Address(OUR, APP)
    envelope = Envelope(9, address, Address(OUR, VFS), ReplyTo(address, 9), Request(False, 5, body))
    drives.process.receive(envelope, 0.0)
    drives.look()
    drives.end(APP)
    drives.work()
    assert told(drives) == [changed(f"{DRIVE}/a", f"{DRIVE}/a")]


def test_a_path_may_be_written_in_any_way_and_is_told_as_it_was_asked_for(drives: Drives) -> None:
    watch(drives, "/app:sys//d/a/")
    drives.ask("/app:sys/d//a/f", "Write", b"x")
    assert told(drives) == [changed("/app:sys//d/a/", "/app:sys//d/a/f")]
    assert drives.ask(f"{DRIVE}/a", "Unwatch", source=WATCHER) == "Ok"
