"""What `nectar testnet` says of nodes that a test serves; `tests/end_to_end` starts real ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nectar_node.base.errors import AlreadyRunning, BadInput
from nectar_node.cli.main import main
from nectar_node.launcher.local_network import LocalNetwork
from testnet.cli import testnet
from tests.nectar_node.cli.served_node import make_network, serve_node

STATUS = {
    "name": "a.nec",
    "pid": 12,
    "endpoint": ["127.0.0.1", 9000],
    "boot_id": "x",
    "uptime": 1.5,
    "peers": [{"name": "b.nec", "state": "up"}, {"name": "c.nec", "state": "down"}],
    "processes": 4,
}


def test_those_nodes_are_started_that_there_are_and_that_are_down(tmp_path: Path) -> None:
    assert testnet.nodes_to_start(LocalNetwork(tmp_path), "") == ["registrar.nec", "send.nec", "recv.nec"]
    network = LocalNetwork(make_network(tmp_path, "registrar.nec", "x.nec"))
    assert testnet.nodes_to_start(network, "") == ["registrar.nec", "x.nec"]


def test_only_those_that_are_down_are_started_and_if_all_run_that_is_said(tmp_path: Path) -> None:
    network = LocalNetwork(make_network(tmp_path))
    with serve_node(tmp_path, "registrar.nec", lambda _: None), serve_node(tmp_path, "a.nec", lambda _: None):
        assert testnet.nodes_to_start(network, "a.nec,b.nec") == ["b.nec"]
    network = LocalNetwork(make_network(tmp_path))
    with (
        serve_node(tmp_path, "registrar.nec", lambda _: None),
        serve_node(tmp_path, "a.nec", lambda _: None),
        pytest.raises(AlreadyRunning, match=rf"in {tmp_path} runs already \(registrar\.nec, a\.nec\)"),
    ):
        testnet.nodes_to_start(network, "a.nec")


def test_a_node_is_watched_from_now_on(tmp_path: Path) -> None:
    network = LocalNetwork(make_network(tmp_path, "a.nec"))
    new = testnet.follow_from_now(network, "b.nec")
    assert list(new.lines()) == []
    log = network.place("a.nec").log
    log.write_text("an earlier run\n")
    follower = testnet.follow_from_now(network, "a.nec")
    log.write_text("an earlier run\nthis run\n")
    assert list(follower.lines()) == ["this run"]


def test_a_name_that_is_none_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"'a\.nec/\.\.' is not a node name"):
        testnet.nodes_to_start(LocalNetwork(tmp_path), "b.nec,a.nec/..")
    assert not list(tmp_path.iterdir())


def test_status_shows_process_endpoint_peers_and_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_network(tmp_path, "down.nec")
    with serve_node(tmp_path, "a.nec", lambda _: {"ok": STATUS}):
        assert main(["testnet", "status", "--dir", str(tmp_path)]) == 0
    assert [line.split("\t") for line in capsys.readouterr().out.splitlines()] == [
        ["NODE", "STATE", "PID", "ENDPOINT", "HTTP", "PEERS", "PROCESSES", "FILES"],
        ["a.nec", "running", "12", "127.0.0.1:9000", "-", "b.nec", "4", "-"],
        ["down.nec", "down", "-", "-", "-", "-", "-", "-"],
    ]


def test_status_as_json_has_what_each_node_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_network(tmp_path, "down.nec")
    with serve_node(tmp_path, "a.nec", lambda _: {"ok": STATUS}):
        assert main(["testnet", "status", "--dir", str(tmp_path), "--json"]) == 0
    nodes = json.loads(capsys.readouterr().out)["nodes"]
    assert nodes == [{**STATUS, "state": "running"}, {"name": "down.nec", "state": "down"}]


def test_a_node_that_does_not_answer_spoils_no_others_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_network(tmp_path)
    with serve_node(tmp_path, "a.nec", lambda _: None), serve_node(tmp_path, "b.nec", lambda _: {"ok": STATUS}):
        assert main(["testnet", "status", "--dir", str(tmp_path), "--json"]) == 0
    silent, running = json.loads(capsys.readouterr().out)["nodes"]
    assert (silent["state"], silent["pid"], running["state"]) == ("silent", os.getpid(), "running")


@pytest.mark.parametrize("command", [["testnet", "status"], ["testnet", "down"], ["ps", "--node", "a.nec"]])
def test_where_there_is_no_testnet_every_command_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main([*command, "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"There is no testnet in {tmp_path}: start one with `nectar testnet up")


def test_down_where_nothing_runs_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_network(tmp_path, "a.nec")
    assert main(["testnet", "down", "--dir", str(tmp_path)]) == 0
    assert "was running" in capsys.readouterr().out
