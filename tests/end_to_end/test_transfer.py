"""A file goes from send.nec to recv.nec, whatever happens on the way."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from testnet.faults.reset import ConnectionReset
from testnet.model.where import Where
from tests.end_to_end.lab import MIB, RECEIVER, SENDER, Lab, random_file

LARGE = 32 * MIB


IN_FLIGHT = 16 * MIB
"""More than may be on the way at any time."""


def test_a_file_arrives_under_its_own_name_and_no_byte_of_it_enters_the_memory_of_a_guest(
    lab: Lab, tmp_path: Path
) -> None:
    result = lab.send(random_file(tmp_path / "Ein Brief an Zoë, 世界.bin", 5 * MIB + 1))
    assert (result["name"], result["resumed_from"]) == ("Ein Brief an Zoë, 世界.bin", 0)
    assert result["bytes"] == result["sent"] == 5 * MIB + 1
    for node in (SENDER, RECEIVER):
        # Of all guests that ever ran there: the worker that moved the file has ended by now.
        assert lab.nodes.status(node)["blob_bytes_loaded"] == 0


def test_a_cut_in_the_middle_costs_no_more_than_what_was_on_the_way(lab: Lab, tmp_path: Path) -> None:
    size = 3 * IN_FLIGHT
    file = random_file(tmp_path / "cut.bin", size)
    lab.links.cut(Where(SENDER, RECEIVER))  # bytes are counted from the beginning of a connection
    before, connections = lab.links.counts(SENDER, RECEIVER), lab.connections()
    with lab.links.applied(ConnectionReset(byte=size * 2 // 3, where=Where(SENDER, RECEIVER, both=False))):
        lab.send(file)
    after = lab.links.counts(SENDER, RECEIVER)
    assert after.resets > before.resets
    assert lab.connections() > connections
    assert after.bytes - before.bytes < size * 1.02 + IN_FLIGHT


def resumes(lab: Lab, file: Path) -> None:
    """The file has not arrived, and goes on from where it was."""
    lab.mend()
    assert file.name not in lab.arrived()
    assert lab.send(file)["resumed_from"] > LARGE // 8


def test_a_receiver_that_crashes_has_kept_what_arrived(lab: Lab, tmp_path: Path) -> None:
    file = random_file(tmp_path / "receiver crash.bin", LARGE)
    with lab.sending(file, LARGE // 2) as command:
        lab.nodes.kill(RECEIVER)
        lab.release()
        assert command.wait(30) in (3, 4)
        assert command.stderr is not None
        assert "To resume" in command.stderr.read()
    resumes(lab, file)


def test_a_sender_that_crashes_resumes(lab: Lab, tmp_path: Path) -> None:
    file = random_file(tmp_path / "sender crash.bin", LARGE)
    with lab.sending(file, LARGE // 2) as command:
        lab.nodes.kill(SENDER)
        assert command.wait(30) == 1
        assert command.stderr is not None
        said = "send.nec stopped during the transfer: start it again with `nectar boot send.nec"
        assert said in command.stderr.read()
    resumes(lab, file)


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
    resumes(lab, file)


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
