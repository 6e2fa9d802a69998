"""A file goes from send.nec to recv.nec, whatever happens on the way."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path

import pytest

from testnet.faults.reset import ConnectionReset
from testnet.model.where import Where
from tests.end_to_end.lab import FILE_TRANSFER, MIB, RECEIVER, SENDER, Lab, random_file

LARGE = 48 * MIB
IN_FLIGHT = 16 * MIB
"""More than may be on the way at any time."""


def test_a_file_arrives_byte_for_byte_under_its_own_name(lab: Lab, tmp_path: Path) -> None:
    file = random_file(tmp_path / "Ein Brief an Zoë, 世界.bin", 5 * MIB + 1)
    result = lab.send(file)
    assert result["name"] == file.name
    assert Path(result["host_path"]).read_bytes() == file.read_bytes()
    assert (result["bytes"], result["sent"], result["resumed_from"]) == (5 * MIB + 1, 5 * MIB + 1, 0)


def test_no_byte_of_a_file_enters_the_memory_of_a_guest(lab: Lab, tmp_path: Path) -> None:
    lab.send(random_file(tmp_path / "by reference.bin", 5 * MIB))
    for node in (SENDER, RECEIVER):
        # Of all guests that ever ran there: the worker that moved the file has ended by now.
        assert lab.nodes.status(node)["blob_bytes_loaded"] == 0


def test_an_empty_file_arrives(lab: Lab, tmp_path: Path) -> None:
    result = lab.send(random_file(tmp_path / "empty", 0))
    assert result["bytes"] == 0
    assert Path(result["host_path"]).read_bytes() == b""


def test_the_same_file_again_sends_nothing(lab: Lab, tmp_path: Path) -> None:
    file = random_file(tmp_path / "twice.bin", MIB)
    first, second = lab.send(file), lab.send(file)
    assert (second["sent"], second["path"]) == (0, first["path"])


def test_another_file_of_that_name_leaves_the_first_one_alone(lab: Lab, tmp_path: Path) -> None:
    first = lab.send(random_file(tmp_path / "name.bin", 1000))
    (tmp_path / "name.bin").write_bytes(b"something else")
    second = lab.send(tmp_path / "name.bin")
    assert Path(first["host_path"]).stat().st_size == 1000
    assert Path(second["host_path"]).read_bytes() == b"something else"


def test_a_cut_in_the_middle_costs_no_more_than_what_was_on_the_way(lab: Lab, tmp_path: Path) -> None:
    file = random_file(tmp_path / "cut.bin", LARGE)
    lab.links.cut(Where(SENDER, RECEIVER))  # bytes are counted from the beginning of a connection
    before, connections = lab.links.counts(SENDER, RECEIVER), lab.connections()
    with lab.links.applied(ConnectionReset(byte=LARGE * 2 // 3, where=Where(SENDER, RECEIVER, both=False))):
        result = lab.send(file)
    after = lab.links.counts(SENDER, RECEIVER)
    assert Path(result["host_path"]).read_bytes() == file.read_bytes()
    assert after.resets > before.resets
    assert lab.connections() > connections
    assert after.bytes - before.bytes < LARGE * 1.02 + IN_FLIGHT


def test_a_receiver_that_crashes_has_kept_what_arrived(lab: Lab, tmp_path: Path) -> None:
    file = random_file(tmp_path / "receiver crash.bin", LARGE)
    with lab.sending(file, LARGE // 2) as command:
        lab.nodes.kill(RECEIVER)
        lab.release()
        assert command.wait(30) in (3, 4)
        assert command.stderr is not None
        assert "To resume" in command.stderr.read()
    lab.mend()
    assert file.name not in lab.arrived()
    result = lab.send(file)
    assert result["resumed_from"] > LARGE // 8
    assert Path(result["host_path"]).read_bytes() == file.read_bytes()


def test_a_sender_that_crashes_resumes(lab: Lab, tmp_path: Path) -> None:
    file = random_file(tmp_path / "sender crash.bin", LARGE)
    with lab.sending(file, LARGE // 2) as command:
        lab.nodes.kill(SENDER)
        assert command.wait(30) == 1
        assert command.stderr is not None
        assert (
            "send.nec stopped during the transfer: start it again with `nectar boot send.nec" in command.stderr.read()
        )
    lab.mend()
    assert file.name not in lab.arrived()
    result = lab.send(file)
    assert result["resumed_from"] > LARGE // 8
    assert Path(result["host_path"]).read_bytes() == file.read_bytes()


def test_ctrl_c_stops_both_sides_and_the_same_command_resumes(lab: Lab, tmp_path: Path) -> None:
    file = random_file(tmp_path / "ctrl c.bin", 2 * LARGE)
    with lab.sending(file, LARGE) as command:
        command.send_signal(signal.SIGINT)
        assert command.stdout is not None
        while "Stopping the transfer" not in command.stdout.readline():
            assert command.poll() is None
        lab.release()
        assert command.wait(30) == 130
        assert command.stderr is not None
        resume = f"nectar send '{file}' --from send.nec --to recv.nec --dir {lab.folder}"
        assert resume in command.stderr.read()
    assert file.name not in lab.arrived()
    result = lab.send(file)
    assert result["resumed_from"] > LARGE // 8
    assert Path(result["host_path"]).read_bytes() == file.read_bytes()


def test_a_file_that_changes_while_it_is_sent_does_not_arrive(lab: Lab, tmp_path: Path) -> None:
    file = random_file(tmp_path / "changing.bin", LARGE)
    with lab.sending(file, LARGE // 2) as command:
        with file.open("r+b") as writing:
            writing.seek(-1, os.SEEK_END)
            writing.write(b"x")
        lab.release()
        assert command.wait(30) == 1
        assert command.stderr is not None
        assert "changed" in command.stderr.read()
    assert file.name not in lab.arrived()


def test_a_receiver_that_does_not_want_the_file_refuses_it(lab: Lab, tmp_path: Path) -> None:
    file = random_file(tmp_path / "unwanted.bin", MIB)
    lab.ask(FILE_TRANSFER, {"Policy": {"accept": "none", "max_size": None}}, node=RECEIVER)
    try:
        ended = lab.nectar("send", file, "--from", SENDER, "--to", RECEIVER, "--json")
    finally:
        lab.ask(FILE_TRANSFER, {"Policy": {"accept": "all", "max_size": None}}, node=RECEIVER)
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["failed"] == "Refused"
    assert file.name not in lab.arrived()


def test_a_disk_without_room_ends_the_transfer_with_one_sentence(lab: Lab, tmp_path: Path) -> None:
    file = random_file(tmp_path / "too large.bin", LARGE)
    pid = lab.nodes.pid(RECEIVER)
    assert pid is not None
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4 * MIB, before[1]))
    try:
        ended = lab.nectar("send", file, "--from", SENDER, "--to", RECEIVER)
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    assert ended.returncode == 1
    assert RECEIVER in ended.stderr
    assert file.name not in lab.arrived()


@pytest.mark.parametrize("target", ["nobody.nec", RECEIVER])
def test_a_node_that_is_not_there_is_offline(lab: Lab, tmp_path: Path, target: str) -> None:
    lab.nodes.stop(RECEIVER)
    file = random_file(tmp_path / "nowhere.bin", 1000)
    ended = lab.nectar("send", file, "--from", SENDER, "--to", target)
    assert ended.returncode == 3, ended.stderr
    assert target in ended.stderr
