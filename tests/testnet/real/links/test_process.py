"""The process that runs the links, and what `nectar testnet` says of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput, CannotStart, NotRunning
from nectar_node.cli.main import main
from nectar_node.launcher.client import ControlError
from nectar_node.launcher.local_network import LocalNetwork
from testnet.real.links.claim import links_folder
from testnet.real.links.client import LinksProcess
from tests.nectar_node.cli.served_node import make_network
from tests.waiting import LIMIT


@pytest.fixture
def links(tmp_path: Path) -> Iterator[LinksProcess]:
    links = LinksProcess(LocalNetwork(make_network(tmp_path / "testnet")))
    links.start()
    yield links
    links.stop()


def test_it_runs_once_for_its_user_alone_and_refuses_in_words(links: LinksProcess) -> None:
    pid = links.pid
    assert pid is not None
    assert not links.start()
    assert links.pid == pid
    with pytest.raises(BadInput, match=r"There is no fault number 3: there are none\."):
        links.ask("remove", number=3)
    with pytest.raises(Exception, match="ended before it had answered"):
        links.ask("add", name="x" * 200_000)
    assert links.ask("faults") == {"faults": []}
    command = [sys.executable, "-P", "-m", "testnet.real.links", str(links.network.folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, f"links is running already, as process {links.pid}.\n")
    folder = links_folder(links.network.folder)
    assert folder.control.stat().st_mode & 0o777 == 0o600
    assert links.stop() == "stopped"
    assert not folder.control.exists()
    assert links.pid is None


def test_a_node_has_the_same_place_when_it_runs_again(links: LinksProcess) -> None:
    places = [links.connect(name) for name in ("a.nec", "b.nec")]
    links.stop()
    links.start()
    assert [links.connect(name) for name in ("b.nec", "a.nec")] == places[::-1]


def test_ctrl_c_at_its_terminal_ends_it_in_order(tmp_path: Path) -> None:
    ready, reporting = os.pipe()
    command = [sys.executable, "-P", "-m", "testnet.real.links", str(tmp_path), "--ready-descriptor", str(reporting)]
    with subprocess.Popen(command, pass_fds=(reporting,), stderr=subprocess.PIPE) as process:
        os.close(reporting)
        with open(ready) as report:
            assert "endpoint" in json.loads(report.readline())
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, b"")


def test_whoever_has_started_it_is_gone_already_so_it_makes_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    command = [sys.executable, "-P", "-m", "testnet.real.links", "--lifeline", str(reading), str(tmp_path)]
    ended = subprocess.run(command, pass_fds=(reading,), capture_output=True, check=False, timeout=LIMIT)
    os.close(reading)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_runs_there_are_no_faults_and_that_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["testnet", "fault", "list", "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"There is no testnet in {tmp_path}: start one with")
    network = LocalNetwork(make_network(tmp_path, "a.nec"))
    with pytest.raises(NotRunning, match=r"is down: start it with `nectar testnet up --dir"):
        LinksProcess(network).ask("faults")


def test_a_place_that_another_program_listens_at_is_one_sentence(links: LinksProcess) -> None:
    front = links.connect("a.nec").front
    links.stop()
    with socket.socket() as other:
        other.bind(front)
        with pytest.raises(CannotStart, match=rf"^The links cannot listen at {front[0]} port {front[1]}: Address al"):
            links.start()


def test_a_place_that_cannot_be_written_down_is_given_to_nobody(links: LinksProcess) -> None:
    staging = links_folder(links.network.folder).path / ".places.json.new"
    staging.mkdir()
    with pytest.raises(
        ControlError, match=rf"^The place of a\.nec cannot be written to {staging.parent}/places.json: Is a dir"
    ):
        links.connect("a.nec")
    staging.rmdir()
    place = links.connect("a.nec")
    links.stop()
    links.start()
    assert links.connect("a.nec") == place
