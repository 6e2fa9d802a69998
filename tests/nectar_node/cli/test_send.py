"""What `nectar send` does with what a node tells it."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nectar_node.cli.main import main
from tests.nectar_node.cli.served_node import Reply, make_network, serve_node

DONE = {"name": "a.txt", "bytes": 10, "sent": 4, "hash": "ab" * 32, "path": "/file_transfer:sys/inbox/a.txt"}


def injected(body: object) -> dict[str, Any]:
    text = json.dumps(body)
    return {"ok": {"outcome": "response", "source": "x", "claim": False, "body": text, "blob": None}}


@dataclass
class SendingNode:
    """Answers as a node that runs file_transfer; the transfer ends after the first question for its progress."""

    outcome: Reply
    on_status: Any = None
    note: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    end: threading.Event = field(default_factory=threading.Event)

    def __call__(self, request: dict[str, Any]) -> Reply:
        match request["command"]:
            case "share":
                return {"ok": {"path": "/file_transfer:sys/outgoing/1/a.txt"}}
            case "message":
                return self._message(json.loads(request["body"]))
            case _:
                return {"ok": {}}

    def _message(self, body: dict[str, Any]) -> Reply:
        self.asked.append(body)
        if "Send" in body:
            assert self.end.wait(10)
            return self.outcome
        if "Cancel" in body:
            self.end.set()
            return injected("Cancelled")
        if self.on_status is not None:
            self.on_status()
        else:
            self.end.set()
        state = "waiting" if self.note else "sending"
        return injected({"Status": {"state": state, "bytes": 6, "size": 10, "resumed_from": 6, "note": self.note}})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a file.txt"
    path.write_bytes(b"0123456789")
    return path


def send(network: Path, file: Path, answer: SendingNode, *arguments: str) -> int:
    make_network(network)
    with serve_node(network, "send.nec", answer) as node:
        command = ["send", str(file), "--from", "send.nec", "--to", "recv.nec", "--dir", str(network), *arguments]
        code = main(command)
        assert node.commands().count("share") == node.commands().count("unshare")
    return code


def test_a_file_that_arrived_is_summed_up(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = SendingNode(injected({"Done": DONE}))
    assert send(tmp_path / "net", file, answer) == 0
    text = capsys.readouterr().out
    assert "a file.txt → recv.nec: sending, 6 B of 10 B (60%)" in text
    assert "recv.nec has a.txt: 10 B in" in text
    assert "resumed from 6 B" in text
    assert f"BLAKE3 {'ab' * 32}" in text
    assert "/file_transfer:sys/inbox/a.txt" in text


def test_the_process_is_told_what_to_send(tmp_path: Path, file: Path) -> None:
    answer = SendingNode(injected({"Done": DONE}))
    send(tmp_path / "net", file, answer)
    order = answer.asked[0]["Send"]
    assert len(order.pop("id")) == 16
    assert order == {"path": "/file_transfer:sys/outgoing/1/a.txt", "name": "a file.txt", "to": "recv.nec"}


def test_as_json_the_result_is_alone_on_standard_output(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = make_network(tmp_path / "net")
    inbox = network / "nodes" / "recv.nec" / "vfs" / "file_transfer:sys" / "inbox"
    inbox.mkdir(parents=True)
    (inbox / "a.txt").write_bytes(b"0123456789")
    assert send(network, file, SendingNode(injected({"Done": DONE})), "--json") == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert (result["bytes"], result["sent"], result["resumed_from"]) == (10, 4, 6)
    assert Path(result["host_path"]).samefile(inbox / "a.txt")
    assert "sending" in captured.err


@pytest.mark.parametrize(
    ("kind", "code", "resumable"),
    [
        ("Offline", 3, True),
        ("Timeout", 4, True),
        ("Refused", 1, False),
        ("Changed", 1, False),
        ("Disk", 1, True),
        ("Superseded", 1, False),
    ],
)
def test_a_failure_has_its_sentence_its_exit_code_and_how_to_go_on(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str], kind: str, code: int, resumable: bool
) -> None:
    failed = {"Failed": {"reason": "recv.nec does not want it.", "kind": kind, "received": 6}}
    assert send(tmp_path / "net", file, SendingNode(injected(failed))) == code
    err = capsys.readouterr().err
    assert err.startswith("recv.nec does not want it.\n")
    assert ("To resume (6 B have arrived): nectar send " in err) == resumable


def test_a_failure_as_json_says_the_same(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = {"Failed": {"reason": "Gone.", "kind": "Offline", "received": 6}}
    assert send(tmp_path / "net", file, SendingNode(injected(failed)), "--json") == 3
    result = json.loads(capsys.readouterr().out)
    assert (result["failed"], result["reason"], result["received"]) == ("Offline", "Gone.", 6)
    assert result["resume"].startswith("nectar send ")


def test_what_a_transfer_waits_for_is_one_sentence(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = SendingNode(injected({"Done": DONE}), note="recv.nec asks its user whether to accept the file")
    assert send(tmp_path / "net", file, answer) == 0
    text = capsys.readouterr().out
    assert text.count("recv.nec asks its user whether to accept the file. Waiting; Ctrl-C gives up.") == 1
    assert "a file.txt → recv.nec: waiting, 6 B of 10 B (60%)" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_cancel_the_transfer_and_say_how_to_resume_it(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    cancelled = {"Failed": {"reason": "Cancelled: 60% has arrived.", "kind": "Cancelled", "received": 6}}
    answer = SendingNode(injected(cancelled), on_status=lambda: os.kill(os.getpid(), number))
    assert send(tmp_path / "net", file, answer) == 130
    assert {"Cancel": {"id": answer.asked[0]["Send"]["id"]}} in answer.asked
    resume = f"nectar send '{file}' --from send.nec --to recv.nec --dir {tmp_path / 'net'}"
    assert resume in capsys.readouterr().err


def test_a_node_that_ends_during_the_transfer_is_one_sentence(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(tmp_path / "net", file, SendingNode(None)) == 1
    err = capsys.readouterr().err
    assert err.startswith("send.nec stopped during the transfer: start it again with `nectar boot send.nec")
    assert "To resume (6 B have arrived): " in err


def test_a_node_without_the_package_is_one_sentence(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = SendingNode({"ok": {"outcome": "timeout", "reason": "no such process"}})
    assert send(tmp_path / "net", file, answer) == 1
    assert "file_transfer did not answer on send.nec (no such process)" in capsys.readouterr().err


@pytest.mark.parametrize("body", ["what?", {"Done": {}}, 1, {"Err": "no such transfer"}])
def test_an_outcome_of_unknown_shape_is_a_failure(tmp_path: Path, file: Path, body: object) -> None:
    assert send(tmp_path / "net", file, SendingNode(injected(body))) == 1


def unsendable(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "it"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [("missing", "There is no file"), ("folder", "is a folder"), ("fifo", "is not a regular file")],
)
def test_what_cannot_be_sent_is_bad_usage_and_troubles_no_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, sentence: str
) -> None:
    path = unsendable(tmp_path, kind)
    assert main(["send", str(path), "--from", "send.nec", "--to", "recv.nec", "--dir", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", [".hidden", "x" * 201, "ö" * 101, "two\nlines"])
def test_a_name_that_the_receiver_would_refuse_is_bad_usage_and_troubles_no_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert main(["send", str(tmp_path / name), "--from", "send.nec", "--to", "recv.nec", "--dir", str(tmp_path)]) == 2
    assert "Send a copy with another name." in capsys.readouterr().err


def test_a_node_does_not_send_to_itself(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", str(file), "--from", "send.nec", "--to", "send.nec"]) == 2
    assert "send.nec would send the file to itself" in capsys.readouterr().err


def test_a_target_that_is_no_node_name_is_bad_usage(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", str(file), "--from", "send.nec", "--to", "../recv"]) == 2
    assert "'../recv' is not a node name" in capsys.readouterr().err
