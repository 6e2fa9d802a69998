"""G26 to G28: what a process keeps, and what it sees of the host."""

from __future__ import annotations

import json
import shutil

import pytest

from kernel.contract.guest import Arrival
from nectar_node.storage.operations import Location
from tests.conformance import two_nodes
from tests.conformance.lab import OUR, PROBE, SimLab, SocketLab
from tests.conformance.steps import CLEAR_STATE, GET_STATE, TRAP, blob, respond, set_state, spawn, wait_for

OUTPUT = PROBE.parent / "output.wasm"
FILES = ("drive.wasm", "native.wasm")
"""Guests that do with files what they are told, by WASI preview 1 and by WASI 0.2."""


def test_g26_after_a_reboot_a_process_runs_again_with_its_state_and_nothing_else(sockets: SocketLab) -> None:
    a = sockets.probe("a")
    assert a.ask(set_state("kept"), respond("saved")).body == "saved"
    sockets.nodes.restart(OUR)
    assert a.seen() == []
    a.ask(GET_STATE, respond())
    assert [seen.body for seen in a.seen("state")] == ["kept"]


def test_g27_state_is_what_was_set_last(lab: SimLab) -> None:
    a = lab.probe("a")
    a.tell(GET_STATE, set_state("one"), GET_STATE, set_state("two"), GET_STATE, CLEAR_STATE, GET_STATE)
    assert [seen.body for seen in a.seen("state")] == [None, "one", "two", None]


def test_g27_a_process_finds_the_state_of_its_former_life(lab: SimLab) -> None:
    a = lab.probe("a", on_exit="Restart")
    a.tell(set_state("kept"), TRAP)
    lab.rest()
    a.tell(GET_STATE)
    assert [seen.body for seen in a.seen("state")] == ["kept"]


def test_g27_state_is_set_when_it_is_on_the_disk(lab: SimLab) -> None:
    a = lab.probe("a")
    a.inject(b'[{"SetState": "durable"}]')
    lab.crank(5)
    assert (a.seen("saved"), a.kept_state()) == ([], None)  # the disk has not done it yet
    lab.rest()
    assert (len(a.seen("saved")), a.kept_state()) == (1, b"durable")


def test_g27_every_process_has_a_state_of_its_own(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(set_state("a's"), spawn("child"))
    b.tell(GET_STATE)
    a.child("child").tell(GET_STATE)
    assert [seen.body for seen in (*b.seen("state"), *a.child("child").seen("state"))] == [None, None]


def test_g27_a_state_that_finds_no_room_on_the_disk_ends_the_process_with_a_line_in_the_log(lab: SimLab) -> None:
    a = lab.probe("a", on_exit="Restart")
    a.tell(set_state("old"))
    lab.our.disk.capacity = 0
    a.tell(set_state("too much for this disk"))
    assert (
        a.lines()[0] == "ended: its state cannot be used: the disk is full, but for what the node keeps free for itself"
    )
    assert a.kept_state() == b"old"
    lab.our.disk.capacity = 1 << 30
    a.tell(GET_STATE)
    assert [seen.body for seen in a.seen("state")] == ["old"]


def host_guest(lab: SimLab, name: str, on: int = 0) -> list[str]:
    """Run the guest that uses WASI as its name says; what it printed."""
    shutil.copy(OUTPUT, lab.folder / OUTPUT.name)
    return lab.probe(name, path=f"/{OUTPUT.name}", on=on).lines()


def test_g28_what_a_guest_writes_to_its_streams_is_in_the_log(lab: SimLab) -> None:
    assert host_guest(lab, "streams") == ["to stdout", "between", "half a line", "the rest"]


@two_nodes
def test_g28_a_guest_has_its_own_clock_and_randomness(lab: SimLab) -> None:
    began = int(lab.now)
    number, time = host_guest(lab, "random")
    other, later = host_guest(lab, "random", on=1)
    assert number != other
    assert int.from_bytes(bytes.fromhex(time), "little") == began
    assert int.from_bytes(bytes.fromhex(later), "little") == began + 3


def test_g28_a_guest_reaches_no_file_of_the_host_outside_its_drive(lab: SimLab) -> None:
    assert "cannot leave the drive" in host_guest(lab, "file")


class Files:
    """A process that does with files what it is told, by WASI."""

    def __init__(self, lab: SimLab, guest: str) -> None:
        lab.file(guest, (OUTPUT.parent / guest).read_bytes())
        self._lab, self._address = lab, lab.probe("files", path=f"/{guest}", on_exit="Restart").address

    def says(self, text: str) -> str:
        answer = self._lab.our.ask(self._address, text.encode(), 10)
        assert isinstance(answer, Arrival)
        return answer.message.body.decode()


@pytest.mark.parametrize("guest", FILES)
def test_g28_a_guest_sees_its_packages_drive_as_a_folder(lab: SimLab, guest: str) -> None:
    a, files = lab.probe("a", capabilities=("vfs:distro:sys",)), Files(lab, guest)
    vfs = [("", "CreateDrive", None), ("/f", "Write", blob("by the vfs"))]
    for path, action, given in vfs:
        body = json.dumps({"path": f"/probes:sys/d{path}", "action": action})
        a.tell(wait_for("our@vfs:distro:sys", body, expects=10, blob=given))
    asked = ("list /", "read /d/f", "write /d/g by-wasi", "read /d/g", "list /..", "read /etc/passwd")
    assert [files.says(text) for text in asked] == ["d ", "by the vfs", "written", "by-wasi", "refused", "refused"]
    assert lab.our.disk.get(Location(f"{OUR}/vfs", ("probes:sys", "d", "g"))) == b"by-wasi"


@pytest.mark.parametrize("guest", FILES)
def test_g28_what_a_guest_writes_is_there_after_a_crash_and_what_it_has_not_synced_is_not_after_a_power_cut(
    lab: SimLab, guest: str
) -> None:
    files = Files(lab, guest)
    assert files.says("write /note text") == "written"
    lab.reboot()
    assert files.says("read /note") == "text"
    lab.reboot(power=True)
    assert files.says("read /note") == "refused"


def test_g28_a_guest_that_exits_or_aborts_ends_alone(lab: SimLab) -> None:
    a = lab.probe("a")
    assert host_guest(lab, "exit0") == []
    assert "panicked" in host_guest(lab, "abort")
    assert a.ask(respond("well")).body == "well"
