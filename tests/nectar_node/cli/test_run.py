"""What `nectar run` promises: a script's output as it comes, its answer, and an exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.wasm.engine import Engine
from nectar_node.cli.main import main
from nectar_node.launcher.client import ControlClient
from nectar_node.launcher.local_network import LocalNetwork
from tests.kernel.wasm.guests import wat
from tests.nectar_node.cli.real_node import NODE, RealNode, real_node
from tests.nectar_node.cli.served_node import ServedNode, make_network, serve_node

ROOT = Path(__file__).resolve().parents[3]
PRINTED = {"event": {"printed": {"verbosity": 0, "text": "one\x1b[2J"}}}
DETAIL = {"event": {"printed": {"verbosity": 3, "text": "detail"}}}
DONE = {"ok": {"outcome": "response", "source": "our@x:terminal:sys", "body": "done", "blob": None, "failed": False}}


def run(network: Path, answer: list[dict[str, Any]], *arguments: str) -> tuple[int, ServedNode]:
    make_network(network)
    lines = b"".join(json.dumps(each).encode() + b"\n" for each in answer)
    with serve_node(network, NODE, lambda _: lines) as node:
        return main(["run", *arguments, "--node", NODE, "--dir", str(network)]), node


def test_what_a_script_prints_comes_before_its_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, node = run(tmp_path, [PRINTED, DETAIL, DONE], "m", "our@a:b:sys", '{"a": 1}', "-a", "5", "--timeout", "7")
    assert (code, capsys.readouterr().out) == (0, "one\N{REPLACEMENT CHARACTER}[2J\ndone\n")
    assert node.requests == [{"command": "run", "line": 'm our@a:b:sys {"a": 1} -a 5', "timeout": 7}]


def test_json_holds_the_answer_and_all_that_was_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, [PRINTED, DETAIL, DONE], "echo", "--json")[0] == 0
    value = json.loads(capsys.readouterr().out)
    assert [each["verbosity"] for each in value["printed"]] == [0, 3]
    assert value["body"] == "done"


@pytest.mark.parametrize(("outcome", "code"), [("offline", 3), ("timeout", 4)])
def test_a_script_that_does_not_answer_has_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], outcome: str, code: int
) -> None:
    assert run(tmp_path, [{"ok": {"outcome": outcome, "reason": "expired"}}], "echo")[0] == code
    assert capsys.readouterr().err == f"{outcome.capitalize()}: echo has not answered (expired).\n"


def test_a_script_that_says_why_not_ends_with_1_and_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, [{"ok": {**DONE["ok"], "body": "No such file.", "failed": True}}], "cat", "/x")[0] == 1
    assert tuple(capsys.readouterr()) == ("", "No such file.\n")


@pytest.mark.parametrize(("failure", "code"), [("offline", 3), ("timeout", 4), ("failed", 1)])
def test_a_script_that_was_told_offline_or_timeout_ends_as_a_message_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], failure: str, code: int
) -> None:
    answer = {"ok": {**DONE["ok"], "body": "b.nec is offline.", "failed": True, "failure": failure}}
    assert run(tmp_path, [answer], "hi", "b.nec", "x")[0] == code
    assert capsys.readouterr().err == "b.nec is offline.\n"


@pytest.mark.parametrize("timeout", [9223372036, (1 << 64) - 1])
def test_g7_a_timeout_longer_than_the_operating_system_can_wait_is_waited_for_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], timeout: int
) -> None:
    code, node = run(tmp_path, [DONE], "echo", "x", "--timeout", str(timeout))
    assert (code, node.requests[0]["timeout"]) == (0, timeout)
    assert capsys.readouterr().out == "done\n"


def test_lines_that_were_lost_are_mentioned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, [{"event": {"lost": 3}}, DONE], "echo")
    assert capsys.readouterr().err.startswith("3 lines of what it printed came faster")


# --- with real scripts ----------------------------------------------------------------------------------------------


@pytest.fixture
def scripted(tmp_path: Path, engine: Engine) -> Iterator[RealNode]:
    with real_node(tmp_path, engine, "hello", "terminal") as node:
        yield node


def test_a_real_script_answers_and_is_gone(scripted: RealNode, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--node", NODE, "--dir", str(scripted.network)]
    assert main(["run", "echo", "hello", "you", *where]) == 0
    assert capsys.readouterr().out == "hello you\n"
    message = '{"Greet": "you"}'
    assert main(["run", "m", "our@hello:hello:sys", message, "-a", "5", *where]) == 0
    assert json.loads(capsys.readouterr().out) == {"Greeting": f"Hello, you, from {NODE}"}


def test_a_real_script_that_is_told_timeout_ends_with_4(scripted: RealNode, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "m", "our@nobody:hello:sys", "x", "-a", "5", "--node", NODE, "--dir", str(scripted.network)]
    assert main(words) == 4
    assert capsys.readouterr().err.startswith(f"{NODE}@nobody:hello:sys did not answer")


def test_g7_a_timeout_of_0_is_over_at_the_next_turn_unless_the_answer_is_there(
    scripted: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--node", NODE, "--dir", str(scripted.network)]
    (tmp_path / "silent.wasm").write_bytes(wat("(loop $on (call $receive (i32.const 2048)) (br $on))", "receive"))
    assert main(["start", str(tmp_path / "silent.wasm"), *where]) == 0
    assert main(["run", "m", "our@silent:silent:local", "x", "-a", "5", "--timeout", "0", *where]) == 4
    assert capsys.readouterr().err.startswith("Timeout: m has not answered")


def test_ctrl_c_ends_the_script_and_the_node_goes_on(tmp_path: Path, engine: Engine) -> None:
    with real_node(tmp_path, engine, "terminal", "heavy_computation") as node:
        command = ["m", "our@heavy_computation:heavy_computation:sys", '{"Run":{"below":60000000}}', "-a", "60"]
        words = [sys.executable, "-P", "-m", "nectar_node", "run", *command, "--node", NODE, "--dir", str(node.network)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        with (
            LocalNetwork(node.network).connect(NODE) as client,
            subprocess.Popen(words, env=environment) as process,
        ):
            wait_for(client, lambda scripts: scripts == 1)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            wait_for(client, lambda scripts: scripts == 0)


def wait_for(client: ControlClient, enough: Callable[[int], bool]) -> None:
    """Ask until the number of scripts that run and have taken their request is `enough`."""
    while True:
        rows = client.request("ps")["processes"]
        scripts = [row for row in rows if row["address"].endswith(":terminal:sys")]
        if enough(len(scripts)) and all(row.get("outstanding") for row in scripts):
            return


def test_an_unknown_script_is_one_sentence_that_lists_those_there_are(
    scripted: RealNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "nonsense", "--node", NODE, "--dir", str(scripted.network)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "nonsense" in err
    assert "echo" in err
