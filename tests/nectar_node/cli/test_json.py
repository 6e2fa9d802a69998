"""Whatever prints a result for people prints it as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from nectar_node.cli.main import build, main
from nectar_node.contract.config import NODES_FOLDER
from tests.nectar_node.cli.served_node import make_network


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below a group, by the words that call it; groups that do something by themselves too."""
    below = getattr(group, "commands", None)
    if below is None or getattr(group, "invoke_without_command", False):
        yield words, group
    for name, command in (below or {}).items():
        yield from commands(command, (*words, name))


ALL = dict(commands(typer.main.get_command(build())))


def test_there_are_commands() -> None:
    assert {("ps",), ("keys", "rotate"), ("testnet", "fault", "add"), ("sim", "report")} <= ALL.keys()


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_the_option_json(words: tuple[str, ...]) -> None:
    assert any("--json" in parameter.opts for parameter in ALL[words].params)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return tmp_path / "net"


@pytest.fixture
def key(net: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The public key of a.nec."""
    told = result(capsys, "keys", "new", "a.nec", "--no-password", "--json", "--dir", str(net))
    assert told == {"name": "a.nec", "public_key": told["public_key"], "protected": False}
    return str(told["public_key"])


def result(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(list(words)) == 0
    return json.loads(capsys.readouterr().out)


def test_of_a_key(net: Path, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where, copy, secret = ("--json", "--dir", str(net)), str(tmp_path / "copy"), tmp_path / "secret"
    secret.write_text("a good password")
    secret.chmod(0o600)
    told = {"name": "a.nec", "public_key": key, "protected": False}
    assert result(capsys, "keys", "export", "a.nec", copy, *where) == {**told, "file": copy}
    assert result(capsys, "keys", "import", copy, "--json", "--dir", str(tmp_path / "other")) == told
    protected = result(capsys, "keys", "passwd", "a.nec", "--new-password-file", str(secret), *where)
    assert protected == {**told, "protected": True}
    rotated = result(capsys, "keys", "rotate", "a.nec", "--password-file", str(secret), *where)
    assert rotated["previous"] == key
    assert rotated["public_key"] not in (key, None)


def test_of_a_signed_directory(net: Path, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    words = ("directory", "sign", out, "--authority", "a.nec", "--node", "a.nec=127.0.0.1:9000", "--days", "1")
    told = result(capsys, *words, "--json", "--dir", str(net))
    assert told == {"file": out, "nodes": ["a.nec"], "authority": key, "expires_at": told["expires_at"]}
    assert isinstance(told["expires_at"], int)
    assert result(capsys, *words[:-1], "0", "--json", "--dir", str(net))["expires_at"] is None


def test_of_a_log(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_network(net, "a.nec")
    log = net / NODES_FOLDER / "a.nec" / "log"
    log.write_text("10:00:01 net: connected to b.nec\n10:00:02 hello:hello:sys: it: works\nTraceback\n")
    assert main(["logs", "--node", "a.nec", "--json", "--dir", str(net)]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"time": "10:00:01", "source": "net", "text": "connected to b.nec"},
        {"time": "10:00:02", "source": "hello:hello:sys", "text": "it: works"},
        {"time": None, "source": None, "text": "Traceback"},
    ]


def test_of_a_node_that_is_booted(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boot", "registrar.nec", "--json", "--dir", str(net)]) == 2
    assert capsys.readouterr().err == "--json is for --detach: a node in the foreground shows its log.\n"
    make_network(net)
    (net / "testnet.json").unlink()
    (net / NODES_FOLDER).mkdir()
    try:
        told = result(capsys, "boot", "registrar.nec", "--detach", "--json", "--dir", str(net))
        assert told == {"name": "registrar.nec", "pid": told["pid"], "endpoint": told["endpoint"], "warning": None}
        assert told["endpoint"][0] == "127.0.0.1"
    finally:
        assert main(["testnet", "down", "--dir", str(net)]) == 0


def test_of_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    journal = result(capsys, "sim", "run", "file_transfer", "--seed", "1", "--json")["journal"]
    assert result(capsys, "sim", "report", journal, "-o", "page.html", "--json") == {
        "page": "page.html",
        "journal": journal,
    }
