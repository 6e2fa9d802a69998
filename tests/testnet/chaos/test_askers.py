"""How requests of a witness are followed, with a node that a test serves: one that breaks its promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nectar_node.launcher.local_network import LocalNetwork
from testnet.chaos.askers import Author
from testnet.chaos.context import ChaosContext
from testnet.chaos.report import ChaosReport
from tests.nectar_node.cli.served_node import Reply, make_network, serve_node

NODES = ("a.nec", "b.nec")
ROW = {"target": "b.nec", "sent": 100, "answered": 90, "returned": 0, "offline": 4, "timeout": 1}


class FakeWitness:
    """Says that it has begun a run, and then what `tell` makes of its name; None: it hangs up."""

    def __init__(self, tell: Callable[[str], Any]) -> None:
        self._tell = tell
        self._run = ""
        self.looks = 0

    def answer(self, asked: dict[str, Any]) -> Reply:
        if asked["command"] == "ps":
            return {"ok": {"processes": [{"address": "a.nec@witness:witness:sys"}]}}
        body = json.loads(asked["body"])
        if isinstance(body, dict):
            self._run = body["Begin"]["run"]
            return _response("Begun")
        if body == "Report" and self._run:
            self.looks += 1
            told = self._tell(self._run)
            return None if told is None else _response(told)
        return _response({"Report": _report()} if body == "Report" else "Forgotten")


def _response(body: object) -> Reply:
    return {"ok": {"outcome": "response", "body": json.dumps(body)}}


def _report(*asked: dict[str, Any]) -> dict[str, Any]:
    return {"asked": list(asked), "noted": [], "wrong": [], "wrong_left_out": 0, "notes_left_out": 0}


def follow(tmp_path: Path, witness: FakeWitness, ending: Callable[[ChaosContext], None]) -> ChaosReport:
    """What is reported of that witness, which is to begin one run, if `ending` comes after its second look."""
    stage = ChaosContext(
        LocalNetwork(make_network(tmp_path)), NODES, 1, tmp_path, ChaosReport(1, NODES, 60.0), ends_within=0.0
    )

    def answer(asked: dict[str, Any]) -> Reply:
        if "Begin" in str(asked.get("body")):
            stage.finishing.set()
        if witness.looks >= 2:
            ending(stage)
        return witness.answer(asked)

    with serve_node(tmp_path, "a.nec", answer):
        Author(stage, "a.nec").run()
    return stage.report


def out_of_patience(stage: ChaosContext) -> None:
    stage.be_patient(-1.0)


def test_requests_without_an_outcome_when_all_time_is_over_are_lost(tmp_path: Path) -> None:
    report = follow(tmp_path, FakeWitness(lambda run: {"Report": _report({**ROW, "run": run})}), out_of_patience)
    assert (report.requests.started, report.requests.lost, report.requests.died) == (100, 5, 0)
    assert report.violations() == ["requests lost (G5): 5"]


def test_requests_that_a_user_does_not_wait_for_are_abandoned(tmp_path: Path) -> None:
    def abandon(stage: ChaosContext) -> None:
        stage.abandoned = True

    report = follow(tmp_path, FakeWitness(lambda run: {"Report": _report({**ROW, "run": run})}), abandon)
    assert (report.requests.lost, report.requests.abandoned) == (0, 5)


def test_a_node_that_hangs_up_and_lives_owes_its_outcomes(tmp_path: Path) -> None:
    looks = iter([True, False])

    def tell(run: str) -> Any:
        return {"Report": _report({**ROW, "run": run})} if next(looks, False) else None

    report = follow(tmp_path, FakeWitness(tell), out_of_patience)
    assert (report.requests.started, report.requests.lost, report.requests.died) == (100, 5, 0)
    assert report.violations() == ["requests lost (G5): 5", "a.nec hung up though it runs"]


def test_a_witness_that_has_forgotten_what_it_began_has_ended_and_its_requests_are_lost(tmp_path: Path) -> None:
    looks = iter([True, False])

    def tell(run: str) -> Any:
        return {"Report": _report({**ROW, "run": run}) if next(looks, False) else _report()}

    report = follow(tmp_path, FakeWitness(tell), out_of_patience)
    assert report.requests.lost == 5
    assert "the witness on a.nec has ended while its node ran" in report.problems


def test_a_node_that_has_asked_nobody_when_nothing_is_to_begin_asks_once_all_the_same(tmp_path: Path) -> None:
    stage = ChaosContext(LocalNetwork(make_network(tmp_path)), NODES, 1, tmp_path, ChaosReport(1, NODES, 60.0))
    stage.finishing.set()
    witness = FakeWitness(lambda run: {"Report": _report({**ROW, "timeout": 6, "run": run})})
    with serve_node(tmp_path, "a.nec", witness.answer) as node:
        author = Author(stage, "a.nec")
        author.run()
        author.check()
    assert sum("Begin" in str(asked.get("body")) for asked in node.requests) == 1
    assert (stage.report.requests.started, stage.report.violations()) == (100, [])


def test_a_witness_that_runs_though_its_node_died_before_it_said_so_ends_with_the_run(tmp_path: Path) -> None:
    stage = ChaosContext(
        LocalNetwork(make_network(tmp_path)), NODES, 1, tmp_path, ChaosReport(1, NODES, 60.0), ends_within=0.0
    )
    stage.finishing.set()
    witness, asked_for = FakeWitness(lambda run: {"Report": _report({**ROW, "timeout": 6, "run": run})}), list[str]()

    def answer(asked: dict[str, Any]) -> Reply:
        if asked["command"] == "start":
            asked_for.append(asked["package"])
            return None
        return {"ok": {"processes": []}} if not asked_for else witness.answer(asked)

    with serve_node(tmp_path, "a.nec", answer):
        author = Author(stage, "a.nec")
        author.run()
    assert (len(asked_for), author.installed) == (1, True)


def test_whoever_is_in_a_hurry_does_not_wait_for_a_node_to_ask(tmp_path: Path) -> None:
    stage = ChaosContext(LocalNetwork(make_network(tmp_path)), NODES, 1, tmp_path, ChaosReport(1, NODES, 60.0))
    stage.finishing.set()
    stage.hurried.set()
    with serve_node(tmp_path, "a.nec", FakeWitness(lambda run: None).answer) as node:
        author = Author(stage, "a.nec")
        author.run()
        author.check()
    assert "Begin" not in str(node.requests)
    assert stage.report.violations() == []
