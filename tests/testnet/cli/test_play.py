"""`nectar testnet play`, as people type it: with real nodes, and with what is wrong said in one sentence."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typing_extensions import Buffer

from nectar_node.cli.main import main
from testnet.journal.journal import read_journal_untrusted
from testnet.model.lab import Level
from tests.levels.labs import REAL
from tests.levels.playing import unavailable

LIMIT = 60.0
"""Seconds after which a command is taken to hang."""
SHORT = """
from dataclasses import replace
from testnet.scenarios.file_transfer import FILE_TRANSFER

SHORT = replace(FILE_TRANSFER, options=lambda names, chance: {"files": [[0.1, *names, 1000]]}, seconds=1.0)
"""
PARTITION = '[[fault]]\nkind = "partition"\nnode = "recv.nec"\nat = 0\nuntil = 0.5\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Journals go below the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.py").write_text(SHORT)
    (tmp_path / "faults.toml").write_text(PARTITION)
    return tmp_path


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The sentence of a command that is wrong."""
    assert main(["testnet", "play", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err.strip()


def command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it ends just now
        return b""


def test_a_run_with_real_nodes_says_what_it_came_to_and_its_journal_can_be_played_and_replayed(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    words = ["short.py:SHORT", "--seed", "4", "--faults", "faults.toml"]
    assert main(["sim", "run", *words, "--output", "x.journal"]) == 0
    capsys.readouterr()
    assert main(["testnet", "play", "x.journal", "--output", "real.journal"]) == 0
    out, err = capsys.readouterr()
    assert "outcomes    file0.bin, 1000 bytes, send.nec to recv.nec: Done; the file is there\n" in out
    assert "\nresult      passed\n" in out
    assert "\njournal     real.journal\n" in out
    assert "fault 1 begins: partition recv.nec from all" in err
    events = read_journal_untrusted(Path("real.journal")).events
    assert any(event.text.startswith("log net: connected") for event in events)
    assert main(["sim", "replay", "real.journal"]) == 0
    assert "The same result, on real nodes, whose times are others in each run:" in capsys.readouterr().out


def test_what_is_wrong_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert fails(capsys, "nothing").startswith("There is no scenario 'nothing'.")
    assert fails(capsys, "chat", "--level", "moon") == "There is no level 'moon': choose loopback or namespaces."
    assert "`nectar sim run`" in fails(capsys, "chat", "--level", "simulation")
    assert fails(capsys, "x" * 5000).startswith("There is no scenario 'xxx")
    assert fails(capsys, "chat", "--seed", "-1").startswith("Invalid value for '--seed'")
    assert fails(capsys, "chat", "--nodes", "500").startswith("chat runs with 2 to 32 nodes")
    assert fails(capsys, "faults.toml").startswith("faults.toml is not a journal of a simulation")
    assert "leave --nodes and --seed out" in fails(capsys, "faults.toml", "--seed", "3")
    assert fails(capsys, "none.journal") == "none.journal cannot be read: No such file or directory."
    assert fails(capsys, "short.py") == "Which scenario of short.py? Say short.py:FILE_TRANSFER or short.py:SHORT."


def test_without_root_the_hosts_of_their_own_are_refused_in_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said = fails(capsys, "chat", "--level", "namespaces")
    assert said == "Network namespaces need root: run this as root, or go without."


@pytest.mark.parametrize("level", REAL)
def test_ctrl_c_twice_ends_it_and_leaves_nothing(level: Level, folder: Path) -> None:
    if (why := unavailable(level)) is not None:
        pytest.skip(why)
    made = folder / "made"
    made.mkdir()
    command = [sys.executable, "-P", "-m", "nectar_node", "testnet", "play", "file_transfer", "--level", level.value]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(made)}
    ) as playing:
        assert playing.stderr is not None
        assert "boots" in playing.stderr.readline()
        for _ in range(2):
            playing.send_signal(signal.SIGINT)
        assert playing.wait(LIMIT) == 130
        assert "Stopping: the nodes end, and their files are removed." in playing.stderr.read()
    (file,) = folder.glob(".nectar/sim/*.journal")
    assert read_journal_untrusted(file).end.result == "interrupted"
    assert list(made.iterdir()) == []
    assert not [process for process in Path("/proc").glob("[0-9]*") if os.fsencode(made) in command_line(process)]
    assert not list(Path("/var/run/netns").glob(f"nectar-{playing.pid}-*"))
    assert not list(Path("/var/run/netns").glob(f"nectar-{playing.pid}-*"))


class Interrupting(io.RawIOBase):
    """A terminal at which somebody presses Ctrl-C twice while the first line of a node's life is being written."""

    def __init__(self) -> None:
        self.written = b""
        self._armed = True

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        self.written += bytes(data)
        if self._armed and b"boots" in self.written:
            self._armed = False
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                signal.raise_signal(signal.SIGINT)
        return len(bytes(data))


def test_ctrl_c_twice_in_the_middle_of_a_line_of_output_ends_it_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    terminal = Interrupting()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BufferedWriter(terminal), write_through=True))
    assert main(["testnet", "play", "short.py:SHORT", "--seed", "4", "--json"]) == 130
    assert b"Stopping: the nodes end, and their files are removed." in terminal.written
    told = json.loads(capsys.readouterr().out)
    assert (told["level"], told["result"]) == ("loopback", "interrupted")
    (file,) = folder.glob(".nectar/sim/*.journal")
    assert read_journal_untrusted(file).end.result == "interrupted"
