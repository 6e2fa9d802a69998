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

from tests.commands import Ended, nectar
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
    files: tuple[int, int] = (0, 0)
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
        status = {"state": state, "bytes": 6, "size": 10, "resumed_from": 6, "note": self.note}
        return injected({"Status": status | dict(zip(("files", "of_files"), self.files, strict=True))})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a file.txt"
    path.write_bytes(b"0123456789")
    return path


def send(network: Path, file: Path, answer: SendingNode, *arguments: str) -> Ended:
    make_network(network)
    with serve_node(network, "send.nec", answer) as node:
        ended = nectar("send", file, "--from", "send.nec", "--to", "recv.nec", *arguments, folder=network)
        assert node.commands().count("share") == node.commands().count("unshare")
    return ended


def test_a_file_that_arrived_is_summed_up_and_its_process_was_told_what_to_send(tmp_path: Path, file: Path) -> None:
    answer = SendingNode(injected({"Done": DONE}))
    ended = send(tmp_path / "net", file, answer)
    told = ("a file.txt → recv.nec: sending, 6 B of 10 B (60%)", "recv.nec has a.txt: 10 B in", "resumed from 6 B")
    where = (f"BLAKE3 {'ab' * 32}", "/file_transfer:sys/inbox/a.txt")
    assert (ended.code, [each for each in (*told, *where) if each not in ended.out]) == (0, [])
    order = answer.asked[0]["Send"]
    assert len(order.pop("id")) == 16
    assert order == {"path": "/file_transfer:sys/outgoing/1/a.txt", "name": "a file.txt", "to": "recv.nec"}


def test_as_json_the_result_is_alone_on_standard_output(tmp_path: Path, file: Path) -> None:
    network = make_network(tmp_path / "net")
    inbox = network / "nodes" / "recv.nec" / "vfs" / "file_transfer:sys" / "inbox"
    inbox.mkdir(parents=True)
    (inbox / "a.txt").write_bytes(b"0123456789")
    ended = send(network, file, SendingNode(injected({"Done": DONE})), "--json")
    result = ended.json
    assert (ended.code, result["bytes"], result["sent"], result["resumed_from"]) == (0, 10, 4, 6)
    assert Path(result["host_path"]).samefile(inbox / "a.txt")
    assert "sending" in ended.err


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
    tmp_path: Path, file: Path, kind: str, code: int, resumable: bool
) -> None:
    failed = {"Failed": {"reason": "recv.nec does not want it.", "kind": kind, "received": 6}}
    ended = send(tmp_path / "net", file, SendingNode(injected(failed)))
    assert (ended.code, ended.err.split("\n")[0]) == (code, "recv.nec does not want it.")
    assert ("To resume (6 B have arrived): nectar send " in ended.err) == resumable


def test_a_folder_is_said_to_be_one_and_its_progress_is_in_files_and_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "stuff"
    folder.mkdir()
    left_out = "left out: 1 link that leads out of the folder, 'x'"
    done = DONE | {"name": "stuff", "files": 3, "left_out": left_out}
    answer = SendingNode(injected({"Done": done}), files=(2, 3))
    ended = send(tmp_path / "net", folder, answer)
    assert (answer.asked[0]["Send"]["folder"], answer.asked[0]["Send"]["name"]) == (True, "stuff")
    told = ("stuff → recv.nec: sending, 2 of 3 files, 6 B of 10 B (60%)", "recv.nec has stuff: 3 files, 10 B in")
    assert (ended.code, [each for each in told if each not in ended.out]) == (0, [])
    assert f"stuff: {left_out}." in ended.err


def test_several_files_to_one_node_are_several_transfers_of_which_each_is_told(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other.txt"
    other.touch()
    make_network(tmp_path / "net")
    answer = SendingNode(injected({"Done": DONE}))
    with serve_node(tmp_path / "net", "send.nec", answer):
        to = ("--from", "send.nec", "--to", "recv.nec")
        ended = nectar("send", file, other, *to, "--json", folder=tmp_path / "net")
    assert [each["Send"]["name"] for each in answer.asked if "Send" in each] == ["a file.txt", "other.txt"]
    rows = [(row["file"], row["to"], row["bytes"]) for row in ended.json["transfers"]]
    assert (ended.code, rows) == (0, [(str(each), "recv.nec", 10) for each in (file, other)])


def test_after_a_node_was_lost_it_is_not_tried_with_the_rest(tmp_path: Path, file: Path) -> None:
    failed = {"Failed": {"reason": "recv.nec is offline", "kind": "Offline", "received": 0}}
    answer = SendingNode(injected(failed))
    make_network(tmp_path / "net")
    with serve_node(tmp_path / "net", "send.nec", answer):
        ended = nectar("send", file, file, "--from", "send.nec", "--to", "recv.nec", folder=tmp_path / "net")
    assert len([each for each in answer.asked if "Send" in each]) == 1
    assert (ended.code, "It was not tried, since the one before was lost." in ended.err) == (3, True)


def test_of_several_transfers_each_that_fails_is_named(tmp_path: Path, file: Path) -> None:
    make_network(tmp_path / "net")
    cancelled = {"Failed": {"reason": "The transfer was cancelled", "kind": "Cancelled", "received": 6}}
    with serve_node(tmp_path / "net", "send.nec", SendingNode(injected(cancelled))):
        to = ("--to", "recv.nec", "--to", "third.nec")
        ended = nectar("send", file, "--from", "send.nec", *to, folder=tmp_path / "net")
    said = [line for line in ended.err.splitlines() if "was cancelled" in line]
    assert said == [f"a file.txt → {target}.nec: The transfer was cancelled." for target in ("recv", "third")]


def test_the_name_of_a_folder_keeps_its_small_letter_at_the_beginning_of_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    failed = {"Failed": {"reason": "photos cannot be read on send.nec: it has gone", "kind": "Other", "received": 0}}
    ended = send(tmp_path / "net", tmp_path / "photos", SendingNode(injected(failed)))
    assert ended.err.startswith("photos cannot be read on send.nec: it has gone.\n")


def test_a_failure_as_json_says_the_same(tmp_path: Path, file: Path) -> None:
    failed = {"Failed": {"reason": "Gone.", "kind": "Offline", "received": 6}}
    ended = send(tmp_path / "net", file, SendingNode(injected(failed)), "--json")
    result = ended.json
    assert (ended.code, result["failed"], result["reason"], result["received"]) == (3, "Offline", "Gone.", 6)
    assert result["resume"].startswith("nectar send ")


def test_what_a_transfer_waits_for_is_one_sentence(tmp_path: Path, file: Path) -> None:
    answer = SendingNode(injected({"Done": DONE}), note="recv.nec asks its user whether to accept the file")
    ended = send(tmp_path / "net", file, answer)
    assert ended.out.count("recv.nec asks its user whether to accept the file. Waiting; Ctrl-C gives up.") == 1
    assert "a file.txt → recv.nec: waiting, 6 B of 10 B (60%)" in ended.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_cancel_the_transfer_and_say_how_to_resume_it(
    tmp_path: Path, file: Path, number: signal.Signals
) -> None:
    cancelled = {"Failed": {"reason": "Cancelled: 60% has arrived.", "kind": "Cancelled", "received": 6}}
    answer = SendingNode(injected(cancelled), on_status=lambda: os.kill(os.getpid(), number))
    ended = send(tmp_path / "net", file, answer)
    assert {"Cancel": {"id": answer.asked[0]["Send"]["id"]}} in answer.asked
    resume = f"nectar send '{file}' --from send.nec --to recv.nec --dir {tmp_path / 'net'}"
    assert (ended.code, resume in ended.err) == (130, True)


def test_a_node_that_ends_during_the_transfer_is_one_sentence(tmp_path: Path, file: Path) -> None:
    ended = send(tmp_path / "net", file, SendingNode(None))
    said = "send.nec stopped during the transfer: start it again with `nectar boot send.nec"
    assert (ended.code, ended.err[: len(said)]) == (1, said)
    assert "To resume (6 B have arrived): " in ended.err


def test_a_node_without_the_package_is_one_sentence(tmp_path: Path, file: Path) -> None:
    ended = send(tmp_path / "net", file, SendingNode({"ok": {"outcome": "timeout", "reason": "no such process"}}))
    assert (ended.code, "file_transfer did not answer on send.nec (no such process)" in ended.err) == (1, True)


@pytest.mark.parametrize("body", ["what?", {"Done": {}}, 1, {"Err": "no such transfer"}])
def test_an_outcome_of_unknown_shape_is_a_failure(tmp_path: Path, file: Path, body: object) -> None:
    assert send(tmp_path / "net", file, SendingNode(injected(body))).code == 1


@pytest.mark.parametrize(
    ("name", "target", "sentence"),
    [
        ("missing", "recv.nec", "There is no file"),
        ("fifo", "recv.nec", "is not a regular file"),
        *(
            (name, "recv.nec", "Send a copy with another name.")
            for name in (".hidden", "x" * 201, "ö" * 101, "two\nlines")
        ),
        ("file", "send.nec", "send.nec would send the file to itself"),
        ("file", "../recv", "'../recv' is not a node name"),
    ],
)
def test_what_cannot_be_sent_is_bad_usage_and_troubles_no_node(
    tmp_path: Path, name: str, target: str, sentence: str
) -> None:
    path = tmp_path / name
    if name == "fifo":
        os.mkfifo(path)
    elif name != "missing":
        path.write_bytes(b"x")
    ended = nectar("send", path, "--from", "send.nec", "--to", target, folder=tmp_path)
    assert (ended.code, sentence in ended.err) == (2, True), ended
