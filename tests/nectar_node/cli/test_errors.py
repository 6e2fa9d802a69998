"""What `nectar errors` promises."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nectar_node.cli.errors import clock_time
from tests.nectar_node.cli.real_node import NODE, RealNode
from tests.nectar_node.cli.served_node import make_network, serve_node, served

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


def test_g16_a_message_that_reached_nobody_is_shown_with_its_reason(node: RealNode) -> None:
    assert "there are no dead letters" in node.nectar("errors").err
    node.nectar("message", "our@no:body:sys", "are you there?")
    source, target = f"{NODE}@terminal:terminal:sys", f"{NODE}@no:body:sys"
    shown = node.does("errors").rstrip("\n").split("\t")
    assert shown[1:] == ["request", source, target, "no such process", "are you there?"]


def test_a_crash_is_shown_with_the_lines_of_all_calls_and_with_what_was_handled(node: RealNode, tmp_path: Path) -> None:
    app = tmp_path / "crashing"
    app.mkdir()
    for name in ("zig.wasm", "zig.wasm.debug"):
        shutil.copy(ROOT / "tests" / "guests" / "crashing" / name, app)
    entry = {"process_name": "zig", "process_wasm_path": "/zig.wasm", "on_exit": "None", "request_networking": False}
    (app / "manifest.json").write_text(json.dumps([{**entry, "request_capabilities": [], "public": True}]))
    node.does("start", str(app))
    node.nectar("message", "our@zig:crashing:local", "bounds")
    shown = node.does("errors").splitlines()
    begin = next(at for at, line in enumerate(shown) if line.split("\t")[1:2] == ["crash"])
    process = f"{NODE}@zig:crashing:local"
    assert shown[begin].split("\t")[2:4] == [f"{NODE}@terminal:terminal:sys", process]
    assert shown[begin + 1] == "  index out of bounds: index 6, len 6"
    assert "    at element (crash.zig:26)" in shown[begin:]
    assert f"  It was handling a request from {NODE}@terminal:terminal:sys: bounds" in shown[begin:]
    assert shown[-1] == "  It has saved nothing."
    rows = map(json.loads, node.does("errors", "--json").splitlines())
    (crash,) = (row for row in rows if row["kind"] == "crash")
    assert {"function": "element", "file": "crash.zig", "line": 26} in crash["frames"]
    assert "zig:crashing:local:   at element (crash.zig:26)" in node.log


def test_g3_a_claimed_source_is_marked_and_nothing_controls_the_terminal(tmp_path: Path) -> None:
    answer = [{"ok": {"errors": [LETTER], "lost": 2, "next": 3}}]
    code, out, err = served(tmp_path, answer, "errors")[0]
    assert out.split("\t")[2] == "b.nec@a:b:sys (claim)"
    assert out.rstrip("\n").split("\t")[5] == "line \N{REPLACEMENT CHARACTER}[31mtwo"
    assert (code, err) == (0, "2 older ones are no longer remembered.\n")
    assert served(tmp_path, answer, "errors", "--json")[0].json == LETTER


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
