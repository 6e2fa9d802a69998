"""What need not be typed: a folder and a node from the environment, the only node, and what a shell completes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path

import pytest

from nectar_node.cli.main import main
from nectar_node.launcher.local_network import DEFAULT_FOLDER, LocalNetwork
from tests.nectar_node.cli.served_node import make_network, serve_node

ANSWER: dict[str, dict[str, list[object]]] = {"ok": {"processes": []}}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NECTAR_DIR", "NECTAR_NODE"):
        monkeypatch.delenv(variable, raising=False)


def test_the_version_and_the_folder_of_the_sdk_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nectar {version('nectar-node')}\n"
    assert main(["--sdk"]) == 0
    folder = Path(capsys.readouterr().out.removesuffix("\n"))
    assert (folder / "zig" / "start.zig").is_file()
    assert (folder / "zig" / "wit" / "nectar-process-0.7.0.wit").is_file()


def test_the_folder_may_be_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_network(tmp_path / "mine")
    monkeypatch.setenv("NECTAR_DIR", str(tmp_path / "mine"))
    with serve_node(tmp_path / "mine", "a.nec", lambda _: ANSWER):
        assert main(["ps", "--node", "a.nec", "--json"]) == 0
    capsys.readouterr()
    assert main(["ps", "--node", "a.nec"]) == 1
    assert f"`nectar boot a.nec --detach --join {tmp_path / 'mine'}`" in capsys.readouterr().err
    assert main(["ps", "--node", "a.nec", "--dir", str(tmp_path / "other")]) == 1
    assert f"There is no testnet in {tmp_path / 'other'}" in capsys.readouterr().err


def test_a_command_to_paste_names_the_folder_unless_it_is_the_one_that_need_not_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LocalNetwork(DEFAULT_FOLDER).command("ps") == "nectar ps"
    monkeypatch.setenv("NECTAR_DIR", str(tmp_path))
    assert LocalNetwork(tmp_path).command("ps") == "nectar ps"
    assert LocalNetwork(DEFAULT_FOLDER).command("ps") == f"nectar ps --dir {DEFAULT_FOLDER}"


def test_the_node_may_be_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_network(tmp_path, "b.nec")
    monkeypatch.setenv("NECTAR_NODE", "a.nec")
    with serve_node(tmp_path, "a.nec", lambda _: ANSWER) as node:
        assert main(["ps", "--dir", str(tmp_path), "--json"]) == 0
    assert node.commands() == ["ps"]


@pytest.mark.parametrize("dir_by", ["option", "variable", "current folder"])
def test_the_only_node_beside_the_registrar_need_not_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dir_by: str
) -> None:
    network = make_network(tmp_path / ".nectar", "registrar.nec")
    words = ["--dir", str(network)] if dir_by == "option" else []
    if dir_by == "variable":
        monkeypatch.setenv("NECTAR_DIR", str(network))
    else:
        monkeypatch.chdir(tmp_path)
    with serve_node(network, "a.nec", lambda _: ANSWER) as node:
        assert main(["ps", "--json", *words]) == 0
        assert main(["peers", "--json", *words]) == 0
    assert node.commands() == ["ps", "peers"]


def test_where_there_are_several_nodes_or_none_one_must_be_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_network(tmp_path / "two", "registrar.nec", "a.nec", "b.nec")
    assert main(["ps", "--dir", str(tmp_path / "two")]) == 2
    assert capsys.readouterr().err == "Which node? There are a.nec, b.nec: say --node NAME, or set NECTAR_NODE.\n"
    make_network(tmp_path / "none", "registrar.nec")
    assert main(["ps", "--dir", str(tmp_path / "none")]) == 2
    said = "Which node? There are none but registrar.nec: say --node NAME, or set NECTAR_NODE.\n"
    assert capsys.readouterr().err == said


def completed(folder: Path, *words: str, between: str = " ") -> list[str]:
    """What bash is offered for the last word."""
    line, out = between.join(["nectar", *words]), io.StringIO()
    told = {"_NECTAR_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
        patch.chdir(folder)
        for variable, value in told.items():
            patch.setenv(variable, value)
        with pytest.raises(SystemExit, match=r"^0$"):
            main([])
    return out.getvalue().split()


def test_commands_options_and_nodes_are_completed(tmp_path: Path) -> None:
    make_network(tmp_path / ".nectar", "registrar.nec", "alpha.nec", "beta.nec")
    assert completed(tmp_path, "te") == ["testnet"]
    assert {"pause", "play"} <= {*completed(tmp_path, "testnet", "p")}
    assert completed(tmp_path, "ps", "--no") == ["--node"]
    assert completed(tmp_path, "ps", "--node", "al") == ["alpha.nec"]
    assert completed(tmp_path / ".nectar", "ps", "--dir", str(tmp_path / ".nectar"), "--node", "be") == ["beta.nec"]
    assert completed(tmp_path, "send", "x", "--from", "a") == ["alpha.nec"]
    assert completed(tmp_path, "testnet", "pause", "al") == ["alpha.nec"]
    assert completed(tmp_path / ".nectar", "ps", "--node", "al") == []


def test_completion_can_be_installed(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "nectar_node", "--install-completion", "bash"]
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    environment["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert any(b"_NECTAR_COMPLETE" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
