"""Histories of real nodes are recorded and checked as those of a simulation: in real time, with what nobody knows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from testnet.check import CounterModel, Linearizable, OperationHistory, Status
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.model.lab import NodePlan, SentRequest
from testnet.model.where import Where
from testnet.real.socket_lab import SocketLab, open_socket_lab
from testnet.scenarios.timing import ended

COUNTER, REPLICAS = "our@counter:counter:sys", "our@replicas:replicas:local"
ONE, TWO, THREE = NODES = ("one.nec", "two.nec", "three.nec")
GUEST = Path(__file__).parents[2] / "guests" / "replicas.wasm"
LIMIT = 60.0
"""Seconds after which something is taken never to come; no test waits for it to pass."""


def package(folder: Path) -> Path:
    """Write the package of a counter with replicas."""
    folder.mkdir()
    shutil.copy(GUEST, folder)
    named = {"process_name": "replicas", "process_wasm_path": "/replicas.wasm"}
    rights = {"request_networking": True, "request_capabilities": [], "grant_capabilities": [], "public": True}
    (folder / "manifest.json").write_text(json.dumps([{**named, "on_exit": "Restart", **rights}]))
    (folder / "metadata.json").write_text('{"package": "replicas", "publisher": "local"}')
    return folder


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SocketLab]:
    """Three real nodes on loopback."""
    folder = tmp_path_factory.mktemp("histories")
    with open_socket_lab(folder / "testnet", 1) as lab:
        own = str(package(folder / "replicas"))
        lab.boot(*(NodePlan(node, ("counter", own)) for node in NODES))
        yield lab


def counted(body: Any) -> Any:
    """What a counter says."""
    return body["Count"]


def add(lab: SocketLab, history: OperationHistory) -> SentRequest:
    request = lab.begin(ONE, COUNTER, {"Add": 1}, 30)
    history.follow(ONE, request, "add", 1, result=counted)
    return request


def read(lab: SocketLab, history: OperationHistory) -> SentRequest:
    request = lab.begin(ONE, COUNTER, "Get", 30)
    history.follow(ONE, request, "read", result=counted)
    return request


def test_a_counter_is_one_in_real_time_also_when_nobody_knows_what_came_of_some_additions(lab: SocketLab) -> None:
    history = lab.history(Linearizable(CounterModel()), name="the counter")
    lab.wait(ended([what(lab, history) for _ in range(20) for what in (add, read)]), LIMIT)
    with lab.apply(Pause(ONE)):
        begun = [add(lab, history) for _ in range(3)]
        lab.crash(ONE)
    lab.wait(ended(begun), LIMIT)
    lab.start(ONE)
    lab.wait(lambda: lab.ready(ONE), LIMIT)
    lab.wait(ended([read(lab, history), add(lab, history)]), LIMIT)
    (verdict,) = (each for _, each in history.check())
    assert verdict, verdict.words()
    found = history.operations
    assert [each.status for each in found].count(Status.UNKNOWN) == 3
    assert any(one.called < other.called < one.returned for one, other in pairwise(found))  # at once
    # The same history with one answer changed.
    wrong = history.call(ONE, "read")
    wrong.ok(0)
    (verdict,) = (each for _, each in history.check())
    assert not verdict


def test_a_replica_that_lacks_what_is_called_replicated_is_found_and_drawn(lab: SocketLab) -> None:
    history = lab.history(Linearizable(CounterModel()), name="the replicas")
    start = {"Start": {"replicas": [TWO, THREE], "hasty": True}}
    assert lab.ask(ONE, REPLICAS, start, 30).body == "Started"

    def added(body: Any) -> Any:
        return body["Added"]["count"]

    with lab.apply(Partition(Where(ONE, THREE))):
        request = lab.begin(ONE, REPLICAS, {"Add": 1}, 30)
        history.follow(ONE, request, "add", 1, result=added)
        lab.wait(ended([request]), LIMIT)
        request = lab.begin(THREE, REPLICAS, "Read", 30)
        history.follow(THREE, request, "read", result=counted)
        lab.wait(ended([request]), LIMIT)
    (verdict,) = (each for _, each in history.check())
    assert [each.words() for each in verdict.operations] == ["add(1) → 1", "read() → 0"]
    text = lab.histories.judge()
    assert text is not None
    assert "these 2 operations" in text
    drawn = [line for line in lab.journal if " operation " in line]
    assert sum('"history":"the replicas"' in line and '"wrong":true' in line for line in drawn) == 2
