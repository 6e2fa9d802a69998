"""Whatever prints a result for people prints it as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from nectar_node.cli.main import build
from nectar_node.contract.config import NODES_FOLDER
from testnet.runs.result import PASSED, Result
from testnet.scenarios.scenario import Plan
from tests.commands import nectar
from tests.nectar_node.cli.served_node import make_network


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below a group, by the words that call it; groups that do something by themselves too."""
    names = group.list_commands(None) if hasattr(group, "list_commands") else None
    if names is None or getattr(group, "invoke_without_command", False):
        yield words, group
    for name in names or ():
        yield from commands(group.get_command(None, name), (*words, name))


PASSED_ON = ("testnet", "on")
"""What follows it is another command, with options of its own."""
ALL = {words: command for words, command in commands(typer.main.get_command(build())) if words != PASSED_ON}


def test_there_are_commands() -> None:
    assert {("ps",), ("keys", "rotate"), ("testnet", "fault", "add"), ("sim", "report")} <= ALL.keys()


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_the_option_json(words: tuple[str, ...]) -> None:
    assert any("--json" in parameter.opts for parameter in ALL[words].params)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return tmp_path / "net"


@pytest.fixture
def key(net: Path) -> str:
    """The public key of a.nec."""
    told = result("keys", "new", "a.nec", "--no-password", folder=net)
    assert told == {"name": "a.nec", "public_key": told["public_key"], "protected": False}
    return str(told["public_key"])


def result(*words: str | Path, folder: Path | None = None) -> Any:
    ended = nectar(*words, "--json", folder=folder)
    assert ended.code == 0, ended
    return ended.json


def test_of_a_key(net: Path, key: str, tmp_path: Path) -> None:
    copy, secret = tmp_path / "copy", tmp_path / "secret"
    secret.write_text("a good password")
    secret.chmod(0o600)
    told = {"name": "a.nec", "public_key": key, "protected": False}
    assert result("keys", "export", "a.nec", copy, folder=net) == {**told, "file": str(copy)}
    assert result("keys", "import", copy, folder=tmp_path / "other") == told
    protected = result("keys", "passwd", "a.nec", "--new-password-file", secret, folder=net)
    assert protected == {**told, "protected": True}
    rotated = result("keys", "rotate", "a.nec", "--password-file", secret, folder=net)
    assert rotated["previous"] == key
    assert rotated["public_key"] not in (key, None)


def test_of_a_signed_directory(net: Path, key: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    words = ("directory", "sign", out, "--authority", "a.nec", "--node", "a.nec=127.0.0.1:9000", "--days")
    told = result(*words, "1", folder=net)
    assert told == {"file": out, "nodes": ["a.nec"], "authority": key, "expires_at": told["expires_at"]}
    assert isinstance(told["expires_at"], int)
    assert result(*words, "0", folder=net)["expires_at"] is None


def test_of_a_log(net: Path) -> None:
    make_network(net, "a.nec")
    log = net / NODES_FOLDER / "a.nec" / "log"
    log.write_text("10:00:01 net: connected to b.nec\n10:00:02 hello:hello:sys: it: works\nTraceback\n")
    shown = nectar("logs", "--node", "a.nec", "--json", folder=net)
    assert (shown.code, [json.loads(line) for line in shown.out.splitlines()]) == (
        0,
        [
            {"time": "10:00:01", "source": "net", "text": "connected to b.nec"},
            {"time": "10:00:02", "source": "hello:hello:sys", "text": "it: works"},
            {"time": None, "source": None, "text": "Traceback"},
        ],
    )


def test_of_a_node_that_is_booted(net: Path) -> None:
    said = "--json is for --detach: a node in the foreground shows its log.\n"
    assert nectar("boot", "registrar.nec", "--json", folder=net) == (2, "", said)
    make_network(net)
    (net / "testnet.json").unlink()
    (net / NODES_FOLDER).mkdir()
    try:
        told = result("boot", "registrar.nec", "--detach", folder=net)
        assert told == {"name": "registrar.nec", "pid": told["pid"], "endpoint": told["endpoint"], "warning": None}
        assert told["endpoint"][0] == "127.0.0.1"
    finally:
        assert nectar("testnet", "down", folder=net).code == 0


def test_of_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = Plan("file_transfer", 1, ("send.nec", "recv.nec"), {"files": []})
    Result(plan, (), "", 0.0, PASSED).write(Path("x.journal"))
    told = {"page": "page.html", "journal": "x.journal"}
    assert result("sim", "report", "x.journal", "-o", "page.html") == told
