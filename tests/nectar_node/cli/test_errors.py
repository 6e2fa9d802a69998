"""What `nectar errors` promises."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nectar_node.cli.errors import clock_time
from nectar_node.cli.main import main
from tests.nectar_node.cli.real_node import NODE, RealNode
from tests.nectar_node.cli.served_node import make_network, serve_node

ROOT = Path(__file__).resolve().parents[3]
LETTER = {
    "time": "2026-11-24T01:48:16.123+00:00",
    "source": "b.nec@a:b:sys",
    "claim": True,
    "target": "a.nec@c:d:sys",
    "kind": "request",
    "reason": "no such process",
    "beginning": "line\n\x1b[31mtwo",
}


def errors(*arguments: str, network: Path) -> int:
    return main(["errors", *arguments, "--node", NODE, "--dir", str(network)])


def test_g16_a_message_that_reached_nobody_is_shown_with_its_reason(
    node: RealNode, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["message", "our@no:body:sys", "are you there?", "--node", NODE, "--dir", str(node.network)])
    capsys.readouterr()
    assert errors(network=node.network) == 0
    (line,) = capsys.readouterr().out.splitlines()
    source, target = f"{NODE}@terminal:terminal:sys", f"{NODE}@no:body:sys"
    assert line.split("\t")[1:] == ["request", source, target, "no such process", "are you there?"]


def test_where_there_are_none_it_says_so(node: RealNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert errors(network=node.network) == 0
    assert "there are no dead letters" in capsys.readouterr().err


def test_g3_a_claimed_source_is_marked_and_nothing_controls_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_network(tmp_path)
    answer = {"ok": {"errors": [LETTER], "lost": 2, "next": 3}}
    with serve_node(tmp_path, NODE, lambda _: answer):
        assert errors(network=tmp_path) == 0
        out, err = capsys.readouterr()
        assert out.split("\t")[2] == "b.nec@a:b:sys (claim)"
        assert out.rstrip("\n").split("\t")[5] == "line \N{REPLACEMENT CHARACTER}[31mtwo"
        assert err == "2 older ones are no longer remembered.\n"
        assert errors("--json", network=tmp_path) == 0
        assert json.loads(capsys.readouterr().out) == LETTER


def test_following_shows_each_one_once_and_goes_on(tmp_path: Path) -> None:
    make_network(tmp_path)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        after = int(request["after"])
        letters = [{**LETTER, "beginning": str(after)}] if after < 3 else []
        return {"ok": {"errors": letters, "lost": 0, "next": min(after + 1, 3)}}

    command = [sys.executable, "-P", "-m", "nectar_node", "errors", "-f", "--json", "--node", NODE]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (
        serve_node(tmp_path, NODE, answer) as node,
        subprocess.Popen([*command, "--dir", str(tmp_path)], stdout=subprocess.PIPE, env=environment) as process,
    ):
        assert process.stdout is not None
        assert [json.loads(process.stdout.readline())["beginning"] for _ in range(3)] == ["0", "1", "2"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert node.requests[:3] == [{"command": "errors", "after": after} for after in range(3)]


@pytest.mark.parametrize("value", [None, 7, "yesterday", "9999-99-99"])
def test_a_time_that_is_none_is_a_dash(value: object) -> None:
    assert clock_time(value) == "-"
