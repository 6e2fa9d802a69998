"""What the page is told of the promises that a chaos run checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.launcher.local_network import LocalNetwork
from testnet.chaos.report import ChaosReport
from testnet.web.chaos_runs import ChaosRuns, promises


def states(report: ChaosReport, *, over: bool) -> list[str]:
    return [each["state"] for each in promises(report, over=over)]


def test_a_promise_is_open_until_the_run_is_over_and_broken_at_once() -> None:
    report = ChaosReport(7, ("a.nec", "b.nec"), 60.0, unwatched="")
    assert set(states(report, over=False)) == {"open"}
    assert set(states(report, over=True)) == {"held"}
    report.requests.lost = 2
    (broken,) = [each for each in promises(report, over=False) if each["state"] == "broken"]
    assert broken == {"words": "No request is lost (G5)", "state": "broken", "more": "requests lost (G5): 2"}


def test_what_nobody_watches_is_not_said_to_hold() -> None:
    rows = promises(ChaosReport(7, ("a.nec", "b.nec"), 60.0), over=True)
    assert (rows[-1]["state"], "write no traces" in rows[-1]["more"]) == ("unwatched", True)


def test_a_violation_of_any_kind_breaks_a_promise() -> None:
    report = ChaosReport(7, ("a.nec", "b.nec"), 60.0, problems=["a step was wrong"])
    report.apart.append("a.nec does not reach b.nec")
    assert states(report, over=True).count("broken") == len(report.violations()) == 2


def test_a_run_of_no_possible_length_does_not_begin(tmp_path: Path) -> None:
    runs = ChaosRuns(LocalNetwork(tmp_path))
    for minutes in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="not a time to run"):
            runs.begin(minutes, 1)
    assert not runs.runs


def test_why_a_run_could_not_begin_is_told(tmp_path: Path) -> None:
    runs = ChaosRuns(LocalNetwork(tmp_path / "none"))
    runs.begin(1.0, 1)
    assert runs.wait(60.0)
    told = runs.value()
    assert (told["running"], told["results"]) == (None, [])
    assert told["failure"].startswith("There is no testnet in ")
