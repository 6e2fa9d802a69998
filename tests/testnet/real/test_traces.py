"""The pipes into which real nodes write their traces: nothing that was written is lost, and nobody waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nectar_node.base.folder import NodeFolder
from testnet.real.traces import TracePipes

MORE = 3 << 20
"""Bytes; more than any pipe holds."""


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[TracePipes]:
    with closing(TracePipes(tmp_path / "traces")) as traces:
        yield traces


def expected(traces: TracePipes, host: str, folder: Path) -> Path:
    traces.expect(host, NodeFolder(folder))
    return NodeFolder(folder).trace


def test_what_is_written_into_pipes_is_in_files(traces: TracePipes, tmp_path: Path) -> None:
    one, two = (expected(traces, name, tmp_path / name) for name in ("one", "two"))
    one.write_bytes(b"1" * MORE)
    two.write_bytes(b"2")
    one.write_bytes(b"3")
    assert traces.catch_up() == MORE + 2
    assert traces.files["one"].read_bytes() == b"1" * MORE + b"3"
    assert traces.files["two"].read_bytes() == b"2"


def test_what_a_process_wrote_that_was_killed_is_there(traces: TracePipes, tmp_path: Path) -> None:
    pipe = expected(traces, "one", tmp_path / "one")
    code = "import os, sys; os.write(os.open(sys.argv[1], os.O_WRONLY), b'last words'); os.kill(os.getpid(), 9)"
    command = [sys.executable, "-c", code, str(pipe)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    traces.catch_up()
    assert traces.files["one"].read_bytes() == b"last words"


def test_what_is_written_again_is_behind_what_is_there(traces: TracePipes, tmp_path: Path) -> None:
    for text in (b"first", b"second"):
        expected(traces, "one", tmp_path / "one").write_bytes(text)
    traces.catch_up()
    assert traces.files["one"].read_bytes() == b"firstsecond"
    place = NodeFolder(tmp_path / "two")
    place.path.mkdir()
    os.mkfifo(place.trace)  # which an earlier network has left
    expected(traces, "two", place.path).write_bytes(b"x")
    traces.catch_up()
    assert traces.files["two"].read_bytes() == b"x"


def test_a_host_whose_folder_is_a_new_one_has_a_new_pipe_and_the_same_file(traces: TracePipes, tmp_path: Path) -> None:
    for number in range(2):
        pipe = expected(traces, "one", tmp_path / f"{number}")
        pipe.write_bytes(b"%d" % number)
        traces.catch_up()
        os.unlink(pipe)
    assert traces.files["one"].read_bytes() == b"01"


def test_what_a_user_let_a_node_write_is_there_again_at_the_end(tmp_path: Path) -> None:
    place = NodeFolder(tmp_path / "one")
    place.path.mkdir()
    place.trace.write_text("the user's")
    with closing(TracePipes(tmp_path / "traces")) as traces:
        expected(traces, "one", place.path).write_bytes(b"x")
    assert traces.files["one"].read_bytes() == b"x"
    assert place.trace.read_text() == "the user's"
    assert list(place.path.iterdir()) == [place.trace]


def test_a_file_that_an_earlier_network_has_left_is_begun_anew(tmp_path: Path) -> None:
    for text in (b"earlier", b"now"):
        with closing(TracePipes(tmp_path / "traces")) as traces:
            expected(traces, "one", tmp_path / text.decode()).write_bytes(text)
    assert traces.files["one"].read_bytes() == b"now"


def test_a_full_disk_is_told_and_keeps_no_node_waiting(traces: TracePipes, tmp_path: Path) -> None:
    one, two = (expected(traces, name, tmp_path / name) for name in ("one", "two"))
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, next(iter(traces._into.values())))
    os.close(full)
    one.write_bytes(b"1" * MORE)
    two.write_bytes(b"2" * MORE)
    assert traces.catch_up() == 2 * MORE
    assert traces.problem == f"The traces of the nodes cannot be kept in {traces.folder}: No space left on device."


def test_at_the_end_the_files_are_left_and_no_descriptor(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    traces = TracePipes(tmp_path / "traces")
    expected(traces, "one", tmp_path / "one").write_bytes(b"x")
    traces.close()
    traces.close()
    assert traces.catch_up() == 1
    assert traces.files["one"].read_bytes() == b"x"
    assert set(os.listdir("/proc/self/fd")) == before
