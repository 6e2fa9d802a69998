"""How files are followed, with a node that a test serves: one that keeps its promises, and some that do not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nectar_node.launcher.local_network import LocalNetwork
from testnet.chaos.context import ChaosContext
from testnet.chaos.report import ChaosReport
from testnet.chaos.senders import Sender, kind_of_failure
from tests.nectar_node.cli.served_node import Reply, make_network, serve_node

NODES = ("a.nec", "b.nec")
DONE = {"Done": {"name": "x", "bytes": 1, "sent": 1, "hash": "", "path": "/x"}}
FAILED = {"Failed": {"reason": "gone", "kind": "Offline", "received": 0}}


def follow(tmp_path: Path, arrives: Callable[[bytes], bytes | None], outcome: dict[str, Any]) -> ChaosReport:
    """What is reported of one file: what `arrives` makes of it is there, and its sender is told `outcome`."""
    stage = ChaosContext(LocalNetwork(make_network(tmp_path, "b.nec")), NODES, 1, tmp_path, ChaosReport(1, NODES, 60.0))
    inbox = stage.network.place("b.nec").drives / "file_transfer:sys" / "inbox"
    inbox.mkdir(parents=True)

    def answer(asked: dict[str, Any]) -> Reply:
        if asked["command"] == "share":
            return {"ok": {"path": asked["file"]}}
        stage.finishing.set()
        order = json.loads(asked["body"])["Send"]
        data = arrives(Path(order["path"]).read_bytes())
        if data is not None:
            (inbox / order["name"]).write_bytes(data)
        return {"ok": {"outcome": "response", "body": json.dumps(outcome)}}

    with serve_node(tmp_path, "a.nec", answer):
        sender = Sender(stage, "a.nec", "chaos-token-")
        sender.run()
        sender.sweep()
    assert list(tmp_path.glob("chaos-*")) == []
    assert bool(list(inbox.iterdir())) == bool(stage.report.transfers.wrong and data_is_there(arrives))
    return stage.report


def data_is_there(arrives: Callable[[bytes], bytes | None]) -> bool:
    return arrives(b"") is not None


def test_a_file_that_is_there_as_it_was_sent_is_completed_and_removed(tmp_path: Path) -> None:
    report = follow(tmp_path, lambda data: data, DONE)
    assert (report.transfers.started, report.transfers.completed, report.violations()) == (1, 1, [])


@pytest.mark.parametrize("outcome", [DONE, FAILED])
def test_a_file_that_differs_is_wrong_whatever_its_sender_was_told(tmp_path: Path, outcome: dict[str, Any]) -> None:
    report = follow(tmp_path, lambda data: data + b"!", outcome)
    assert report.violations() == ["wrong files: 1"]
    assert "differs from what a.nec sent" in report.transfers.wrong[0]


def test_a_file_that_is_said_to_be_there_and_is_not_is_wrong(tmp_path: Path) -> None:
    report = follow(tmp_path, lambda _: None, DONE)
    assert "a.nec was told that b.nec has chaos-token-a.nec-1.bin, which is not there" in report.transfers.wrong


def test_a_file_whose_sender_was_told_that_it_is_not_there_has_failed_for_a_reason(tmp_path: Path) -> None:
    report = follow(tmp_path, lambda _: None, FAILED)
    assert (report.transfers.failed, report.violations()) == (Counter(Offline=1), [])


def test_it_may_be_there_though_nobody_was_told_so(tmp_path: Path) -> None:
    report = follow(tmp_path, lambda data: data, FAILED)
    assert (report.transfers.completed, report.violations()) == (0, [])


def test_a_sender_that_gets_no_answer_from_its_own_package_is_told_why() -> None:
    assert kind_of_failure({"outcome": "timeout", "reason": "no such process"}) == "no answer (no such process)"
