"""What a chaos run reports."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest

from testnet.chaos.report import ChaosReport, Held, words
from testnet.chaos.tally import RequestCounts, TransferCounts
from testnet.faults.crash import Crash
from testnet.faults.partition import Partition
from testnet.faults.schedule import Step
from testnet.model.where import Where


def whole() -> ChaosReport:
    faults = [
        Held(Step(1.0, 3.0, Crash("a.nec")), 1.02, 3.5),
        Held(Step(4.0, 5.0, Partition(Where("a.nec", "b.nec"))), 4.0, refused="It is not to be."),
    ]
    transfers = TransferCounts(started=5, completed=2, bytes=2048, failed=Counter({"Offline": 2}), died=1)
    requests = RequestCounts(started=10, answered=6, offline=2, timeout=1, died=1)
    return ChaosReport(7, ("a.nec", "b.nec"), 60.0, 60.0, faults, transfers, requests, healed=1.25)


def text(report: ChaosReport) -> str:
    return words(report, lambda node: f"nectar logs --node {node}")


def test_a_run_in_which_everything_holds_says_so() -> None:
    report = whole()
    assert report.violations() == []
    assert text(report).splitlines() == [
        "Chaos with seed 7 for 1:00 on a.nec, b.nec.",
        "The same seed gives the same faults at the same times; their effects differ from run to run.",
        "",
        "Faults: 2",
        "     1.0 s to    3.5 s  kill a.nec",
        "     4.0 s  partition a.nec from b.nec (not injected: It is not to be.)",
        "",
        "Transfers: 5 started",
        "  2 completed, 2.0 KiB",
        "  2 failed with an error: Offline 2",
        "  1 died with their node",
        "  0 without an outcome, 0 wrong",
        "Requests: 10 started",
        "  6 answered, 0 returned on their way",
        "  2 Offline, 1 Timeout",
        "  1 died with their node",
        "  0 lost, 0 doubled, 0 out of order, 0 from the wrong node",
        "Traces: not watched. The nodes were running already, so they write no traces.",
        "Healing: all nodes reached each other 1.2 s after the last fault.",
        "",
        "All promises held.",
    ]


def lose(report: ChaosReport) -> None:
    report.requests.lost = 1


def double(report: ChaosReport) -> None:
    report.requests.doubled = 1


def disorder(report: ChaosReport) -> None:
    report.requests.disordered = 1


def mistake(report: ChaosReport) -> None:
    report.requests.wrong_node = 1


def garble(report: ChaosReport) -> None:
    report.transfers.wrong.append("x.bin differs")


def leave_open(report: ChaosReport) -> None:
    report.transfers.unended = 1


def part(report: ChaosReport) -> None:
    report.apart.append("a.nec does not reach b.nec")


def fail(report: ChaosReport) -> None:
    report.problems.append("b.nec has not come back")


@pytest.mark.parametrize("break_it", [lose, double, disorder, mistake, garble, leave_open, part, fail])
def test_each_thing_that_must_not_be_is_a_violation_with_what_to_look_at(
    break_it: Callable[[ChaosReport], None],
) -> None:
    report = whole()
    break_it(report)
    (violation,) = report.violations()
    shown = text(report)
    assert f"VIOLATED: {violation}.\n" in shown
    assert shown.endswith("Look at:\n  nectar logs --node a.nec\n  nectar logs --node b.nec")
    assert all(line in shown for line in report.evidence())


def test_a_run_whose_traces_were_watched_says_so_and_how_much_that_was() -> None:
    report = whole()
    report.steps, report.unwatched = 1200, ""
    assert "Traces: 1200 steps of messages, in which G2 to G5 and G24 were watched\n" in text(report)
    assert report.value()["traced_steps"] == 1200


def test_what_ended_early_says_so() -> None:
    report = whole()
    report.seconds = 12.0
    assert text(report).startswith("Chaos with seed 7 for 12 s, ended early (of 1:00) on")


def test_as_json_it_is_complete() -> None:
    value = json.loads(json.dumps(whole().value()))
    assert (value["seed"], value["violations"], value["healed_seconds"]) == (7, [], 1.25)
    assert value["traced_steps"] is None
    assert value["faults"][0] == {
        "kind": "crash",
        "node": "a.nec",
        "at": 1.0,
        "until": 3.0,
        "words": "kill a.nec",
        "began": 1.02,
        "ended": 3.5,
        "refused": None,
    }
    assert (value["transfers"]["failed"], value["requests"]["died"]) == ({"Offline": 2}, 1)
