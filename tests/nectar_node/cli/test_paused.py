"""What people are told of a node whose process somebody has stopped, and of one that is merely busy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.base.folder import is_paused
from nectar_node.cli.main import main
from nectar_node.launcher import client
from nectar_node.launcher.local_network import LocalNetwork
from tests.nectar_node.cli.served_node import make_network, serve_node
from tests.waiting import until

_LISTENS = """
import os, socket, sys
from pathlib import Path
from nectar_node.base.folder import NodeFolder

folder = NodeFolder(Path(sys.argv[1]))
folder.create()
lock = folder.acquire()
os.chdir(folder.path)
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind("control.sock")
    listener.listen()
    print("ready", flush=True)
    connection, _ = listener.accept()
    connection.recv(1)
"""
QUESTIONS = [
    ("ps",),
    ("ps", "hello:hello:sys"),
    ("peers",),
    ("df",),
    ("state", "list"),
    ("errors",),
    ("kill", "hello:hello:sys"),
    ("top",),
    ("trace", "hello:hello:sys"),
    ("net", "diagnose", "b.nec"),
    ("inbox", "list"),
]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return make_network(tmp_path, "a.nec")


@pytest.fixture
def paused(network: Path) -> Iterator[subprocess.Popen[str]]:
    """The process of the node a.nec, which is stopped."""
    command = [sys.executable, "-c", _LISTENS, str(LocalNetwork(network).place("a.nec").path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        until(lambda: is_paused(process.pid))
        yield process
        process.kill()


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_a_paused_node_is_said_to_be_paused_after_a_short_time(
    network: Path,
    paused: subprocess.Popen[str],
    question: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(client, "PAUSED_SECONDS", 0.02)
    assert main([*question, "--node", "a.nec", "--dir", str(network)]) == 1
    on = f"nectar testnet resume a.nec --dir {network}"
    assert capsys.readouterr().err == f"a.nec is paused, as process {paused.pid}: `{on}` lets it go on.\n"


def test_the_short_time_is_three_seconds() -> None:
    assert client.PAUSED_SECONDS == 3.0


def test_a_node_that_is_merely_busy_is_not_called_paused(
    network: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(client, "PAUSED_SECONDS", 0.02)
    monkeypatch.setattr(client, "ANSWER_TIMEOUT", 0.1)
    with serve_node(network, "a.nec", lambda _: b""):
        assert main(["ps", "--node", "a.nec", "--dir", str(network)]) == 1
    logs = f"nectar logs --node a.nec --dir {network}"
    assert capsys.readouterr().err == f"a.nec did not answer in time: see what it is doing with `{logs}`.\n"


def test_a_node_that_goes_on_in_time_answers(
    network: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(client, "PAUSED_SECONDS", 0.02)
    looks = []

    def runs(pid: int) -> bool:
        looks.append(pid)
        return False

    monkeypatch.setattr(client, "is_paused", runs)

    def answer_late(_: object) -> dict[str, object]:
        until(lambda: len(looks) > 2)
        return {"ok": {"processes": []}}

    with serve_node(network, "a.nec", answer_late):
        assert main(["ps", "--node", "a.nec", "--dir", str(network), "--json"]) == 0
    assert set(looks) == {os.getpid()}


def test_a_node_that_ends_within_a_question_names_the_command_that_shows_its_log(
    network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve_node(network, "a.nec", lambda _: None):
        assert main(["ps", "--node", "a.nec", "--dir", str(network)]) == 1
    logs = f"nectar logs --node a.nec --dir {network}"
    assert capsys.readouterr().err == f"a.nec ended before it had answered: `{logs}` may say why.\n"
