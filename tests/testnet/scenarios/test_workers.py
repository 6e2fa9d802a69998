"""The scenario workers: it holds on many seeds, and finds each way in which it could not."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.check import NoLostUpdate, OperationHistory, VerdictKind
from testnet.faults.crash import Crash
from testnet.faults.pause import Pause
from testnet.faults.schedule import Step
from testnet.model.lab import Outcome
from testnet.scenarios.scenario import Plan, Violation
from testnet.scenarios.workers import WORKERS, check_run, check_status, check_workers, give, results_of, sum_of_primes
from testnet.sim.programs import Programs
from tests.testnet.scenarios.played import passes
from tests.testnet.scenarios.told import Told

BOSS, ONE, TWO, THREE = WORKERS.nodes


def test_it_holds_when_one_worker_after_another_vanishes(programs: Programs) -> None:
    faults = (Step(1.0, 6.0, Crash(ONE)), Step(3.0, 12.0, Pause(TWO)), Step(5.0, 9.0, Crash(THREE)))
    order = {"jobs": 40, "below": 200, "workers": [ONE, TWO, THREE], "timeout": 5, "rest": 1000, "trap": [3, 39]}
    events = [[0.5, "run", order | {"attempts": 1000}], [4.0, "look", None]]
    passes(Plan("workers", 5, WORKERS.nodes, {"events": events}, faults), programs)


ORDER: dict[str, Any] = {"jobs": 2, "below": 10, "workers": [ONE, TWO], "trap": []}


def result(job: int, sum: int, worker: str = ONE) -> dict[str, Any]:
    return {"job": job, "sum": sum, "worker": worker}


def test_a_sum_of_primes_is_known() -> None:
    assert [sum_of_primes(below) for below in (0, 2, 3, 10, 110, 1000)] == [0, 0, 2, 17, 1480, 76127]


def jobs(*results: dict[str, Any]) -> VerdictKind:
    """Say of a run that came to these results whether each job came back once, and right."""
    clock = iter(range(1000))
    found = OperationHistory(lambda: float(next(clock)))
    give(found, BOSS, 0, ORDER)
    found.call(BOSS, "read", 0).ok(results_of({"Done": {"results": list(results)}}))
    ((_, verdict),) = found.check(NoLostUpdate(always=True))
    return verdict.ruling


@pytest.mark.parametrize(
    "results",
    [
        [result(0, 17)],
        [result(0, 17), result(0, 17)],
        [result(0, 17), result(1, 1480), result(1, 1480)],
        [result(0, 17), result(1, 1480), result(2, 3000)],
        [result(0, 17), result(1, 1479)],
        [result(0, 17), result(1, 1480), result(1, 1479)],
    ],
)
def test_results_that_are_missing_doubled_or_wrong_are_found(results: list[dict[str, Any]]) -> None:
    assert jobs(*results) is VerdictKind.VIOLATED
    assert jobs(result(0, 17), result(1, 1480, TWO)) is VerdictKind.HOLDS


def test_a_result_of_somebody_who_is_no_worker_is_found() -> None:
    with pytest.raises(Violation, match="job 1 was done by"):
        check_workers(ORDER, [result(0, 17), result(1, 1480, THREE)])
    check_workers(ORDER, [result(0, 17), result(1, 1480, TWO)])


def test_results_that_are_not_in_the_order_of_their_jobs_are_found() -> None:
    with pytest.raises(Violation, match=r"came in the order \[1, 0\]"):
        check_workers(ORDER, [result(1, 1480), result(0, 17)])


def test_a_run_that_is_refused_says_nothing_of_its_jobs() -> None:
    clock = iter(range(1000))
    found = OperationHistory(lambda: float(next(clock)), (NoLostUpdate(always=True),))
    for number, body in enumerate(({"Err": "a run is under way"}, {"Done": {"results": [result(0, 17)]}})):
        give(found, BOSS, number, ORDER | {"jobs": 1})
        found.follow(BOSS, Told(Outcome("response", body), 900.0), "read", number, result=results_of)
    assert found.check()[0][1].ruling is VerdictKind.HOLDS


def test_a_run_that_never_ends_is_found_unless_the_boss_may_have_ended() -> None:
    gone = Outcome("timeout", reason="the node has ended")
    with pytest.raises(Violation, match="never came to an end"):
        check_run(ORDER, gone, lost=False)
    check_run(ORDER, gone, lost=True)


@pytest.mark.parametrize("body", [{"Failed": {"job": 1, "attempts": 9}}, {"Err": "out of order"}])
def test_a_run_that_fails_is_found(body: dict[str, Any]) -> None:
    with pytest.raises(Violation, match="ended with"):
        check_run(ORDER, Outcome("response", body), lost=True)


def test_a_trap_that_cost_no_second_attempt_is_found() -> None:
    done = {"Done": {"results": [result(0, 17), result(1, 1480)], "retried": 0}}
    with pytest.raises(Violation, match="trapped"):
        check_run(ORDER | {"trap": [1]}, Outcome("response", done), lost=False)
    check_run(ORDER, Outcome("response", done), lost=False)


def test_jobs_in_no_state_are_found() -> None:
    status = {"jobs": 3, "waiting": 1, "running": 1, "done": 0, "retried": 0}
    with pytest.raises(Violation, match="of 3 jobs"):
        check_status(Outcome("response", {"Status": status}))
    check_status(Outcome("response", {"Status": status | {"done": 1}}))
