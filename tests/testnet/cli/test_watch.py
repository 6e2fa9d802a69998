"""`nectar testnet watch`, of nodes that a test serves."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from nectar_node.base.folder import NodeFolder
from nectar_node.cli.main import main
from nectar_node.launcher.local_network import LocalNetwork
from testnet.watch.pollers import NodePoller
from testnet.watch.snapshot import Letter, NodeState
from tests.nectar_node.cli.served_node import make_network, serve_node
from tests.nectar_node.cli.terminal import check_screen

ROOT = Path(__file__).resolve().parents[3]
STATUS = {"name": "a.nec", "pid": 1, "boot_id": "x", "uptime": 5.0, "processes": 4, "outstanding": 2, "answered": 9}
LETTER = {"time": "2026-01-01T00:00:00", "source": "a.nec@p:q:r", "target": "b.nec@p:q:r", "reason": "refused"}


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    if asked["command"] == "status":
        return {"ok": {**STATUS, "peers": [{"name": "b.nec", "state": "up"}, {"name": "c.nec", "state": "down"}]}}
    return {"ok": {"errors": [LETTER] if asked["after"] == 0 else [], "next": 1}}


def test_a_node_is_asked_over_one_connection_and_tells_each_error_once(tmp_path: Path) -> None:
    make_network(tmp_path)
    with serve_node(tmp_path, "a.nec", answer) as node:
        eye = NodePoller("a.nec", node.folder)
        look, letters = eye.look()
        assert (look.state, look.processes, look.peers, look.counts) == (
            NodeState.RUNNING,
            4,
            ("b.nec",),
            {"answered": 9},
        )
        assert letters == [Letter(LETTER["time"], "a.nec", LETTER["source"], LETTER["target"], "refused")]
        assert eye.look()[1] == []
        eye.shut()


@pytest.mark.parametrize("reply", [None, b"nonsense\n"])
def test_a_node_that_says_nonsense_or_hangs_up_is_silent(tmp_path: Path, reply: bytes | None) -> None:
    make_network(tmp_path)
    with serve_node(tmp_path, "a.nec", lambda _: reply) as node:
        assert NodePoller("a.nec", node.folder).look()[0].state is NodeState.SILENT


def test_a_node_whose_socket_is_not_there_yet_is_starting(tmp_path: Path) -> None:
    folder = NodeFolder(tmp_path / "a.nec")
    folder.create()
    lock = folder.acquire()
    assert NodePoller("a.nec", folder).look()[0].state is NodeState.STARTING
    os.close(lock)
    assert NodePoller("a.nec", folder).look()[0].state is NodeState.DOWN


def test_a_node_that_never_answers_holds_up_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_network(tmp_path, "down.nec")
    hung = threading.Event()

    def hang(_: dict[str, Any]) -> None:
        hung.wait(60)

    with serve_node(tmp_path, "a.nec", answer), serve_node(tmp_path, "hung.nec", hang):
        assert main(["testnet", "watch", "--once", "--json", "--dir", str(tmp_path)]) == 0
        hung.set()
    nodes = {node["name"]: node for node in json.loads(capsys.readouterr().out)["nodes"]}
    assert {name: node["state"] for name, node in nodes.items()} == {
        "a.nec": "running",
        "down.nec": "down",
        "hung.nec": "silent",
    }
    assert nodes["a.nec"]["counts"] == {"answered": 9}


def test_without_a_terminal_it_is_one_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_network(tmp_path)
    with serve_node(tmp_path, "a.nec", answer):
        assert main(["testnet", "watch", "--dir", str(tmp_path)]) == 0
    title, heading, node, empty, errors, error = capsys.readouterr().out.splitlines()
    assert title.startswith(f"{tmp_path}: 1 running; no links")
    assert heading.split()[:2] == ["NODE", "STATE"]
    assert node.split()[:4] == ["a.nec", "running", "5.0", "s"]
    assert (empty, errors.split()[:2], error.split()[3]) == ("", ["LAST", "ERROR"], "refused")


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_on_a_terminal_it_goes_on_until_q_or_ctrl_c_and_leaves_the_terminal_as_it_was(
    tmp_path: Path, key: bytes
) -> None:
    make_network(tmp_path)
    with serve_node(tmp_path, "a.nec", answer):
        check_screen(("testnet", "watch", "--dir", str(tmp_path), "--interval", "0.1"), b"running", key)


def test_where_there_is_no_testnet_it_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["testnet", "watch", "--dir", str(tmp_path / "none")]) == 1
    assert "start one with `nectar testnet up" in capsys.readouterr().err
    assert LocalNetwork(tmp_path / "none").names() == []
