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
from nectar_node.launcher.client import ControlClient
from nectar_node.launcher.local_network import LocalNetwork
from tests.commands import Ended
from tests.kernel.wasm.guests import wat
from tests.nectar_node.cli.real_node import NODE, RealNode, real_node
from tests.nectar_node.cli.served_node import ServedNode, served

ROOT = Path(__file__).resolve().parents[3]
PRINTED = {"event": {"printed": {"verbosity": 0, "text": "one\x1b[2J"}}}
DETAIL = {"event": {"printed": {"verbosity": 3, "text": "detail"}}}
DONE = {"ok": {"outcome": "response", "source": "our@x:terminal:sys", "body": "done", "blob": None, "failed": False}}


def run(network: Path, answer: list[dict[str, Any]], *arguments: str) -> tuple[Ended, ServedNode]:
    return served(network, answer, "run", *arguments)


def test_what_a_script_prints_comes_before_its_answer(tmp_path: Path) -> None:
    lost = {"event": {"lost": 3}}
    words = ("m", "our@a:b:sys", '{"a": 1}', "-a", "5", "--timeout", "7")
    ended, node = run(tmp_path, [PRINTED, DETAIL, lost, DONE], *words)
    assert (ended.code, ended.out) == (0, "one\N{REPLACEMENT CHARACTER}[2J\ndone\n")
    assert ended.err.startswith("3 lines of what it printed came faster")
    assert node.requests == [{"command": "run", "line": 'm our@a:b:sys {"a": 1} -a 5', "timeout": 7}]
    value = run(tmp_path, [PRINTED, DETAIL, DONE], "echo", "--json")[0].json
    assert ([each["verbosity"] for each in value["printed"]], value["body"]) == ([0, 3], "done")


@pytest.mark.parametrize(("outcome", "code"), [("offline", 3), ("timeout", 4)])
def test_a_script_that_does_not_answer_has_an_exit_code(tmp_path: Path, outcome: str, code: int) -> None:
    ended, _ = run(tmp_path, [{"ok": {"outcome": outcome, "reason": "expired"}}], "echo")
    assert ended == (code, "", f"{outcome.capitalize()}: echo has not answered (expired).\n")


@pytest.mark.parametrize(("failure", "code"), [("offline", 3), ("timeout", 4), ("failed", 1), (None, 1)])
def test_a_script_that_says_why_not_ends_as_a_message_does_and_on_standard_error(
    tmp_path: Path, failure: str | None, code: int
) -> None:
    answer = {"ok": {**DONE["ok"], "body": "b.nec is offline.", "failed": True, "failure": failure}}
    assert run(tmp_path, [answer], "hi", "b.nec", "x")[0] == (code, "", "b.nec is offline.\n")


@pytest.mark.parametrize("timeout", [9223372036, (1 << 64) - 1])
def test_g7_a_timeout_longer_than_the_operating_system_can_wait_is_waited_for_all_the_same(
    tmp_path: Path, timeout: int
) -> None:
    ended, node = run(tmp_path, [DONE], "echo", "x", "--timeout", str(timeout))
    assert (ended.code, ended.out, node.requests[0]["timeout"]) == (0, "done\n", timeout)


# --- with real scripts ----------------------------------------------------------------------------------------------


@pytest.fixture
def scripted(tmp_path: Path, engine: Engine) -> Iterator[RealNode]:
    with real_node(tmp_path, engine, "hello", "terminal") as node:
        yield node


def test_a_real_script_answers_and_is_gone(scripted: RealNode) -> None:
    assert scripted.does("run", "echo", "hello", "you") == "hello you\n"
    out = scripted.does("run", "m", "our@hello:hello:sys", '{"Greet": "you"}', "-a", "5")
    assert json.loads(out) == {"Greeting": f"Hello, you, from {NODE}"}
    told = scripted.nectar("run", "m", "our@nobody:hello:sys", "x", "-a", "5")
    assert (told.code, told.err.startswith(f"{NODE}@nobody:hello:sys did not answer")) == (4, True)
    code, out, err = scripted.nectar("run", "nonsense")
    assert (code, out, "nonsense" in err, "echo" in err) == (1, "", True, True)


def test_g7_a_timeout_of_0_is_over_at_the_next_turn_unless_the_answer_is_there(
    scripted: RealNode, tmp_path: Path
) -> None:
    (tmp_path / "silent.wasm").write_bytes(wat("(loop $on (call $receive (i32.const 2048)) (br $on))", "receive"))
    scripted.does("start", tmp_path / "silent.wasm")
    ended = scripted.nectar("run", "m", "our@silent:silent:local", "x", "-a", "5", "--timeout", "0")
    assert (ended.code, ended.err.startswith("Timeout: m has not answered")) == (4, True)


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
