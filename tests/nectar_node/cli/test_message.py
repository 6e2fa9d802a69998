"""What `nectar message` promises."""

from __future__ import annotations

import base64
import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar_node.cli.message import decode_blob_untrusted
from nectar_node.launcher.client import ControlError
from tests.commands import Ended
from tests.kernel.wasm.guests import wat
from tests.nectar_node.cli.real_node import RealNode
from tests.nectar_node.cli.served_node import ServedNode, served

TARGET = "our@hello:hello:sys"


def response(**more: object) -> dict[str, Any]:
    return {"ok": {"outcome": "response", "source": TARGET, "claim": False, "body": "hi", "blob": None, **more}}


def run(network: Path, answer: dict[str, Any], *arguments: str) -> tuple[Ended, ServedNode]:
    return served(network, lambda _: answer, "message", *arguments)


def test_a_response_is_printed_and_the_exit_code_is_0(tmp_path: Path) -> None:
    ended, node = run(tmp_path, response(), TARGET, "hello", "--timeout", "7")
    assert ended == (0, "hi\n", "")
    expected = {"command": "message", "target": TARGET, "body": "hello", "timeout": 7, "blob": None, "mime": None}
    assert node.requests == [expected, {"command": "interfaces", "address": "hello:sys"}]


@pytest.mark.parametrize(("outcome", "code"), [("offline", 3), ("timeout", 4)])
def test_each_failure_has_its_exit_code_and_reason(tmp_path: Path, outcome: str, code: int) -> None:
    answer = {"outcome": outcome, "reason": "no such name"}
    hint = "check the spelling: no node has registered the name a.nec"
    said = f"{outcome.capitalize()}: no response from {TARGET} (no such name): {hint}.\n"
    assert run(tmp_path, {"ok": answer}, TARGET, "x")[0] == (code, "", said)
    shown, _ = run(tmp_path, {"ok": answer}, TARGET, "x", "--json")
    assert (shown.code, shown.json) == (code, answer)


@pytest.mark.parametrize("timeout", [9223372036, 9999999999, (1 << 64) - 1])
def test_g7_a_timeout_longer_than_the_operating_system_can_wait_is_waited_for_all_the_same(
    tmp_path: Path, timeout: int
) -> None:
    ended, node = run(tmp_path, response(), TARGET, "hello", "--timeout", str(timeout))
    assert (ended.code, node.requests[0]["timeout"]) == (0, timeout)


def test_without_a_wait_it_is_sent_and_nothing_else(tmp_path: Path) -> None:
    ended, node = run(tmp_path, {"ok": {"outcome": "sent"}}, TARGET, "hello", "--no-wait")
    assert (ended, node.requests[0]["timeout"]) == ((0, f"Sent to {TARGET}.\n", ""), None)
    shown, _ = run(tmp_path, {"ok": {"outcome": "sent"}}, TARGET, "hello", "--no-wait", "--json")
    assert (shown.code, shown.json) == (0, {"outcome": "sent"})
    for option, value in (("--timeout", "5"), ("--save-blob", "file")):
        refused, node = run(tmp_path, response(), TARGET, "x", "--no-wait", option, value)
        assert refused == (2, "", f"With --no-wait there is no response: leave {option} out.\n")
        assert node.requests == []


def test_a_message_that_nobody_waits_for_reaches_a_process_of_a_real_node(node: RealNode, tmp_path: Path) -> None:
    silent = tmp_path / "silent.wasm"
    silent.write_bytes(wat("(call $receive (i32.const 2048))", "receive"))
    node.does("start", silent)
    node.does("message", "our@silent:silent:local", "x", "--no-wait")
    assert node.nectar("ps", "silent:silent:local").code == 1, "it has ended, because it has got a message"
    node.does("message", "our@silent:silent:local", "into the void", "--no-wait")
    assert "no such process\tinto the void" in node.does("errors")


def test_a_file_travels_as_the_blob(tmp_path: Path) -> None:
    data = bytes(range(256))
    (tmp_path / "blob").write_bytes(data)
    _, node = run(tmp_path, response(), TARGET, "x", "--blob", str(tmp_path / "blob"), "--mime", "image/png")
    assert base64.b64decode(node.requests[0]["blob"]) == data
    assert node.requests[0]["mime"] == "image/png"


def test_a_blob_of_a_response_is_saved_if_wanted_and_otherwise_mentioned(tmp_path: Path) -> None:
    answer = response(blob=base64.b64encode(b"\0\1\2").decode())
    assert run(tmp_path, answer, TARGET, "x", "--save-blob", str(tmp_path / "out"))[0].code == 0
    assert (tmp_path / "out").read_bytes() == b"\0\1\2"
    assert "a blob of 3 B" in run(tmp_path, answer, TARGET, "x")[0].err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((TARGET, "x", "--timeout", "-1"), "--timeout"),
        ((TARGET, "x", "--timeout", "soon"), "--timeout"),
        ((TARGET, "x", "--blob", "/nonexistent/file"), "Cannot read /nonexistent/file"),
        ((TARGET, "x", "--blob", "PIPE"), "it is not a file.\n"),
        (("hello", "x"), "expected node@process:package:publisher"),
    ],
)
def test_what_cannot_be_meant_is_bad_usage_and_asks_nobody(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    os.mkfifo(tmp_path / "pipe")  # which nobody waits for
    ended, node = run(tmp_path, response(), *(str(tmp_path / "pipe") if word == "PIPE" else word for word in arguments))
    assert (ended.code, node.requests, said in ended.err) == (2, [], True)


def test_g7_a_timeout_of_0_is_over_at_the_next_turn_unless_the_response_is_there(
    node: RealNode, tmp_path: Path
) -> None:
    node.does("message", "our@hello:hello:sys", '{"Greet": "you"}', "--timeout", "0")
    silent = tmp_path / "silent.wasm"
    silent.write_bytes(wat("(loop $again (call $receive (i32.const 2048)) (br $again))", "receive"))
    node.does("start", silent)
    ended = node.nectar("message", "our@silent:silent:local", "x", "--timeout", "0")
    assert (ended.code, "Timeout: no response" in ended.err) == (4, True)


def test_terminal_control_characters_of_a_body_are_not_printed(tmp_path: Path) -> None:
    assert run(tmp_path, response(body="\x1b[31mred"), TARGET, "x")[0].out == "\N{REPLACEMENT CHARACTER}[31mred\n"


def test_an_unknown_outcome_is_one_sentence(tmp_path: Path) -> None:
    said = (1, "", "The node's answer has an unknown outcome: 'maybe'.\n")
    assert run(tmp_path, {"ok": {"outcome": "maybe"}}, TARGET, "x")[0] == said


@given(st.none() | st.integers() | st.text())
def test_no_blob_causes_another_error(value: object) -> None:
    with contextlib.suppress(ControlError):
        decode_blob_untrusted(value)
