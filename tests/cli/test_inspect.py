"""What `nectar ps`, `nectar peers` and `nectar install` print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nectar_node.cli.main import main
from tests.cli.served_node import make_network, serve_node

PROCESS = {
    "address": "a.nec@hello:hello:sys",
    "state": "receive",
    "inbox": 0,
    "messages": 3,
    "memory_bytes": 2097152,
    "public": True,
    "on_exit": "restart",
}
PEER = {"name": "b.nec", "state": "up", "host": "127.0.0.1", "bytes_sent": 2048, "bytes_received": 0, "queued_bytes": 9}


@pytest.mark.parametrize(
    ("command", "answer", "row"),
    [
        ("ps", {"processes": [PROCESS]}, "a.nec@hello:hello:sys\treceive\t0\t3\t2.0 MiB\tyes\trestart"),
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


def test_a_package_is_installed_by_its_absolute_folder(tmp_path: Path) -> None:
    make_network(tmp_path)
    package = tmp_path / "mine" / "pkg"
    package.mkdir(parents=True)
    (package / "manifest.json").write_text("[]")
    with serve_node(tmp_path, "a.nec", lambda _: {"ok": {}}) as node:
        assert main(["install", str(tmp_path / "mine"), "--node", "a.nec", "--dir", str(tmp_path)]) == 0
        assert node.requests == [{"command": "install", "package": str(package)}]


def test_a_folder_that_is_no_package_troubles_no_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", str(tmp_path), "--node", "a.nec", "--dir", str(tmp_path)]) == 2
    assert "is no package" in capsys.readouterr().err
