"""What `nectar message` promises."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar_node.cli.main import main
from nectar_node.cli.message import decode_blob_untrusted
from nectar_node.launcher.client import ControlError
from tests.kernel.wasm.guests import wat
from tests.nectar_node.cli.real_node import NODE, RealNode
from tests.nectar_node.cli.served_node import ServedNode, make_network, serve_node

TARGET = "our@hello:hello:sys"


def response(**more: object) -> dict[str, Any]:
    return {"ok": {"outcome": "response", "source": TARGET, "claim": False, "body": "hi", "blob": None, **more}}


def run(network: Path, answer: dict[str, Any], *arguments: str) -> tuple[int, ServedNode]:
    make_network(network)
    with serve_node(network, "a.nec", lambda _: answer) as node:
        return main(["message", *arguments, "--node", "a.nec", "--dir", str(network)]), node


def test_a_response_is_printed_and_the_exit_code_is_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, node = run(tmp_path, response(), TARGET, "hello", "--timeout", "7")
    assert (code, *capsys.readouterr()) == (0, "hi\n", "")
    expected = {"command": "message", "target": TARGET, "body": "hello", "timeout": 7, "blob": None, "mime": None}
    assert node.requests == [expected]


@pytest.mark.parametrize(("outcome", "code"), [("offline", 3), ("timeout", 4)])
def test_each_failure_has_its_exit_code_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], outcome: str, code: int
) -> None:
    assert run(tmp_path, {"ok": {"outcome": outcome, "reason": "no such name"}}, TARGET, "x")[0] == code
    out, err = capsys.readouterr()
    assert out == ""
    hint = "check the spelling: no node has registered the name a.nec"
    assert err == f"{outcome.capitalize()}: no response from {TARGET} (no such name): {hint}.\n"


@pytest.mark.parametrize("timeout", [9223372036, 9999999999, (1 << 64) - 1])
def test_g7_a_timeout_longer_than_the_operating_system_can_wait_is_waited_for_all_the_same(
    tmp_path: Path, timeout: int
) -> None:
    code, node = run(tmp_path, response(), TARGET, "hello", "--timeout", str(timeout))
    assert (code, node.requests[0]["timeout"]) == (0, timeout)


def test_without_a_wait_it_is_sent_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, node = run(tmp_path, {"ok": {"outcome": "sent"}}, TARGET, "hello", "--no-wait")
    assert (code, *capsys.readouterr()) == (0, f"Sent to {TARGET}.\n", "")
    assert node.requests[0]["timeout"] is None
    assert run(tmp_path / "other", {"ok": {"outcome": "sent"}}, TARGET, "hello", "--no-wait", "--json")[0] == 0
    assert json.loads(capsys.readouterr().out) == {"outcome": "sent"}


@pytest.mark.parametrize("option", [("--timeout", "5"), ("--save-blob", "file")])
def test_who_does_not_wait_gets_no_response_to_save_nor_a_timeout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    code, node = run(tmp_path, response(), TARGET, "x", "--no-wait", *option)
    assert (code, node.requests) == (2, [])
    assert capsys.readouterr().err == f"With --no-wait there is no response: leave {option[0]} out.\n"


def test_a_message_that_nobody_waits_for_reaches_a_process_of_a_real_node(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--node", NODE, "--dir", str(node.network)]
    silent = tmp_path / "silent.wasm"
    silent.write_bytes(wat("(call $receive (i32.const 2048))", "receive"))
    assert main(["start", str(silent), *where]) == 0
    assert main(["message", "our@silent:silent:local", "x", "--no-wait", *where]) == 0
    assert main(["ps", "silent:silent:local", *where]) == 1, "it has ended, because it has got a message"
    assert main(["message", "our@silent:silent:local", "into the void", "--no-wait", *where]) == 0
    assert main(["errors", *where]) == 0
    assert "no such process\tinto the void" in capsys.readouterr().out


def test_json_shows_the_whole_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"outcome": "timeout", "reason": "expired"}
    assert run(tmp_path, {"ok": answer}, TARGET, "x", "--json")[0] == 4
    assert json.loads(capsys.readouterr().out) == answer


def test_a_file_travels_as_the_blob(tmp_path: Path) -> None:
    data = bytes(range(256))
    (tmp_path / "blob").write_bytes(data)
    _, node = run(tmp_path, response(), TARGET, "x", "--blob", str(tmp_path / "blob"), "--mime", "image/png")
    assert base64.b64decode(node.requests[0]["blob"]) == data
    assert node.requests[0]["mime"] == "image/png"


def test_the_blob_of_a_response_can_be_saved(tmp_path: Path) -> None:
    answer = response(blob=base64.b64encode(b"\0\1\2").decode())
    assert run(tmp_path, answer, TARGET, "x", "--save-blob", str(tmp_path / "out"))[0] == 0
    assert (tmp_path / "out").read_bytes() == b"\0\1\2"


def test_a_blob_that_was_not_asked_for_is_mentioned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, response(blob=base64.b64encode(b"123").decode()), TARGET, "x")
    assert "a blob of 3 B" in capsys.readouterr().err


def test_what_is_no_address_is_bad_usage_and_asks_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, node = run(tmp_path, response(), "hello", "x")
    assert (code, node.requests) == (2, [])
    assert "expected node@process:package:publisher" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--timeout", "-1"], ["--timeout", "soon"], ["--blob", "/nonexistent/file"]])
def test_bad_options_are_bad_usage(tmp_path: Path, arguments: list[str]) -> None:
    assert run(tmp_path, response(), TARGET, "x", *arguments)[0] == 2


def test_a_pipe_is_refused_as_a_blob_and_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code, node = run(tmp_path, response(), TARGET, "x", "--blob", str(pipe))
    assert (code, node.requests) == (2, [])
    assert capsys.readouterr().err == f"Cannot read {pipe}: it is not a file.\n"


def test_g7_a_timeout_of_0_is_over_at_the_next_turn_unless_the_response_is_there(
    node: RealNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--timeout", "0", "--node", NODE, "--dir", str(node.network)]
    assert main(["message", "our@hello:hello:sys", '{"Greet": "you"}', *where]) == 0
    silent = tmp_path / "silent.wasm"
    silent.write_bytes(wat("(loop $again (call $receive (i32.const 2048)) (br $again))", "receive"))
    assert main(["start", str(silent), "--node", NODE, "--dir", str(node.network)]) == 0
    assert main(["message", "our@silent:silent:local", "x", *where]) == 4
    assert "Timeout: no response" in capsys.readouterr().err


def test_terminal_control_characters_of_a_body_are_not_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, response(body="\x1b[31mred"), TARGET, "x")
    assert capsys.readouterr().out == "\N{REPLACEMENT CHARACTER}[31mred\n"


def test_an_unknown_outcome_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, {"ok": {"outcome": "maybe"}}, TARGET, "x")[0] == 1
    assert capsys.readouterr().err == "The node's answer has an unknown outcome: 'maybe'.\n"


@given(st.none() | st.integers() | st.text())
def test_no_blob_causes_another_error(value: object) -> None:
    with contextlib.suppress(ControlError):
        decode_blob_untrusted(value)
