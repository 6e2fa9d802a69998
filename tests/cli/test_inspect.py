"""What `nectar ps` and `nectar peers` print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nectar_node.cli.main import main
from tests.cli.served_node import make_network, serve_node

PROCESS = {
    "address": "a.nec@hello:hello:sys",
    "restarts": 2,
    "capabilities": ["network", "vfs:distro:sys"],
    "state": "waiting for a message",
    "inbox": 0,
    "messages": 3,
    "memory_bytes": 2097152,
    "cpu_seconds": 0.25,
    "public": True,
    "on_exit": "restart",
}
PEER = {"name": "b.nec", "state": "up", "host": "127.0.0.1", "bytes_sent": 2048, "bytes_received": 0, "queued_bytes": 9}


@pytest.mark.parametrize(
    ("command", "answer", "row"),
    [
        ("ps", {"processes": [PROCESS]}, "hello:hello:sys\tidle\t3\t0\t2.0 MiB\t0.25 s\t2\t2\tyes\trestart"),
        ("peers", {"peers": [PEER]}, "b.nec\tup\t127.0.0.1\t2.0 KiB\t0 B\t9 B"),
    ],
)
def test_a_row_for_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, answer: dict[str, object], row: str
) -> None:
    make_network(tmp_path)
    with serve_node(tmp_path, "a.nec", lambda _: {"ok": answer}) as node:
        assert main([command, "--node", "a.nec", "--dir", str(tmp_path)]) == 0
        assert capsys.readouterr().out.splitlines()[1:] == [row]
        assert main([command, "--node", "a.nec", "--dir", str(tmp_path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == answer
        assert node.commands() == [command, command]


def test_one_process_is_shown_in_full_with_its_capabilities_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_network(tmp_path)
    with serve_node(tmp_path, "a.nec", lambda _: {"ok": {"process": PROCESS}}) as node:
        command = ["ps", "hello:hello:sys", "--node", "a.nec", "--dir", str(tmp_path)]
        assert main(command) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[:4] == [
            "address       a.nec@hello:hello:sys",
            "restarts      2",
            "capabilities  network",
            "              vfs:distro:sys",
        ]
        assert "memory        2.0 MiB" in lines
        assert main([*command, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == PROCESS
        assert node.requests[0] == {"command": "ps", "address": "hello:hello:sys"}


def test_a_process_that_waits_for_its_restart_has_dashes_for_what_it_does_not_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_network(tmp_path)
    waiting = {"address": "a.nec@x:y:sys", "restarts": 1, "capabilities": [], "state": "starts again in 2 s"}
    with serve_node(tmp_path, "a.nec", lambda _: {"ok": {"processes": [waiting]}}):
        assert main(["ps", "--node", "a.nec", "--dir", str(tmp_path)]) == 0
    row = capsys.readouterr().out.splitlines()[1]
    assert row == "x:y:sys\tstarts again in 2 s\t-\t-\t-\t-\t1\t0\t-\t-"
