"""A pool of workers on several nodes: every job's result comes once, whatever becomes of workers and children."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.faults.crash import Crash
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.model.where import Where
from tests.packages.lab import Lab
from tests.seeds import sample

BOSS, WORKER = "our@boss:pool:sys", "our@worker:pool:sys"
HOME, TWO, THREE = NODES = ("one.nec", "two.nec", "three.nec")
CHILDREN = 4
"""What a worker does at a time."""


def sum_of_primes(below: int) -> int:
    """By a sieve, so not as the children do it."""
    sieve = bytearray([0, 0]) + bytearray([1]) * below
    for number in range(2, below):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(sieve[number * number :: number]))
    return sum(number for number in range(2, below) if sieve[number])


def order(jobs: int, workers: tuple[str, ...] = NODES, **more: object) -> dict[str, Any]:
    return {"Run": {"jobs": jobs, "workers": workers, "timeout": 40, **more}}


def check(answer: Any, jobs: int, below: int = 1000) -> dict[int, str]:
    """Every result is there once and right; by job, who did it."""
    results = answer["Done"]["results"]
    assert [result["job"] for result in results] == list(range(jobs))
    assert [result["sum"] for result in results] == [sum_of_primes(below + 100 * job) for job in range(jobs)]
    return {result["job"]: result["worker"] for result in results}


def status(lab: Lab) -> dict[str, int]:
    found: dict[str, int] = lab.ask(BOSS, "Status")["Status"]
    return found


@pytest.mark.parametrize(("jobs", "below"), sample([(1, 0), (40, 1000), (1, 2), (3, 3), (256, 1), (1, 100_000)], 2))
def test_every_jobs_result_is_there_once_and_right(lab: Lab, jobs: int, below: int) -> None:
    answer = lab.ask(BOSS, order(jobs, below=below))
    check(answer, jobs, below)
    assert answer["Done"]["retried"] == 0


def test_the_jobs_are_spread_over_all_workers(lab: Lab) -> None:
    done_by = check(lab.ask(BOSS, order(24)), 24)
    assert set(done_by.values()) == set(NODES)


def test_no_worker_has_more_children_than_it_may_and_none_is_left(lab: Lab) -> None:
    run = lab.begin(BOSS, order(20, (HOME,), rest=1000))
    begun = lab.simulation.now
    lab.simulation.rest(0.5)
    assert len(lab.processes("pool")) == 2 + CHILDREN
    check(lab.wait(run), 20)
    assert lab.simulation.now == begun + 20 / CHILDREN
    assert lab.processes("pool") == ["boss", "worker"]


def test_boss_answers_at_once_while_a_run_is_under_way(lab: Lab) -> None:
    assert status(lab) == {"jobs": 0, "waiting": 0, "running": 0, "done": 0, "retried": 0}
    run = lab.begin(BOSS, order(10, (HOME,), rest=1000))
    lab.simulation.rest(1.5)
    now = lab.simulation.now
    assert status(lab) == {"jobs": 10, "waiting": 2, "running": 4, "done": 4, "retried": 0}
    assert lab.ask(BOSS, order(1)) == {"Err": "a run is under way"}
    assert lab.simulation.now == now
    check(lab.wait(run), 10)
    assert status(lab) == {"jobs": 10, "waiting": 0, "running": 0, "done": 10, "retried": 0}


def test_g23_a_worker_goes_on_after_its_children_trap(lab: Lab) -> None:
    answer = lab.ask(BOSS, order(12, trap=[0, 5, 11]))
    check(answer, 12)
    assert answer["Done"]["retried"] == 3
    told = [line for node in NODES for line in lab.at(node).log if "was to trap" in line]
    assert sum('"' not in line for line in told) == 3  # and a traceback has the source's line, too
    assert set(check(lab.ask(BOSS, order(12)), 12).values()) == set(NODES)


def test_a_job_that_trapped_goes_to_another_worker(lab: Lab) -> None:
    first = check(lab.ask(BOSS, order(1)), 1)[0]
    second = check(lab.ask(BOSS, order(1, trap=[0])), 1)[0]
    assert first != second


def test_g13_the_jobs_of_a_worker_that_is_down_are_done_by_others(lab: Lab) -> None:
    with lab.simulation.apply(Crash(TWO)):
        answer = lab.ask(BOSS, order(20))
        assert TWO not in check(answer, 20).values()
        assert answer["Done"]["retried"] > 0


def test_g14_the_jobs_of_a_worker_that_crashes_at_work_are_done_by_others(lab: Lab) -> None:
    run = lab.begin(BOSS, order(12, rest=2000))
    lab.simulation.rest(1)
    assert status(lab)["running"] == 12
    with lab.simulation.apply(Crash(THREE)):
        answer = lab.wait(run)
    assert THREE not in check(answer, 12).values()
    assert answer["Done"]["retried"] == CHILDREN


def test_a_worker_that_was_too_slow_is_not_waited_for_and_its_late_answers_count_for_nothing(lab: Lab) -> None:
    run = lab.begin(BOSS, order(12, rest=2000, timeout=5))
    lab.simulation.rest(1)
    with lab.simulation.apply(Pause(TWO)):
        lab.simulation.rest(6)
    answer = lab.wait(run)
    assert TWO not in check(answer, 12).values()
    assert answer["Done"]["retried"] == CHILDREN
    lab.simulation.rest(60)
    assert status(lab) == {"jobs": 12, "waiting": 0, "running": 0, "done": 12, "retried": CHILDREN}


def test_a_worker_gets_jobs_again_when_it_is_back(lab: Lab) -> None:
    run = lab.begin(BOSS, order(100, (TWO, THREE), rest=2000))
    with lab.simulation.apply(Crash(TWO)):
        lab.simulation.rest(10)
    answer = lab.wait(run, 120)
    assert set(check(answer, 100).values()) == {TWO, THREE}


def test_a_run_waits_for_the_only_worker_to_come_back(lab: Lab) -> None:
    with lab.simulation.apply(Partition(Where(HOME, TWO))):
        run = lab.begin(BOSS, order(3, (TWO,)), timeout=300)
        lab.simulation.rest(60)
        assert status(lab)["done"] == 0
    check(lab.wait(run, 60), 3)


def test_a_job_that_fails_at_every_attempt_ends_the_run_and_another_can_begin(lab: Lab) -> None:
    answer = lab.ask(BOSS, order(9, ("nobody.nec",), attempts=3))
    assert answer == {"Failed": {"job": 0, "attempts": 3}}
    check(lab.ask(BOSS, order(9)), 9)


def test_two_bosses_share_a_worker(lab: Lab) -> None:
    runs = [lab.begin(BOSS, order(12, (THREE,), rest=1000), 300, where=node) for node in (HOME, TWO)]
    for run in runs:
        answer = lab.wait(run, 300)
        check(answer, 12)
        assert answer["Done"]["retried"] == 0


def test_after_a_restart_boss_and_worker_take_jobs(lab: Lab) -> None:
    lab.begin(BOSS, order(12, rest=2000))
    lab.simulation.rest(1)
    for node in (HOME, TWO):
        lab.simulation.restart(node)
    lab.simulation.settle()
    lab.simulation.rest(10)
    check(lab.ask(BOSS, order(12)), 12)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("Run", 'expected {"Run":{"jobs":N,"workers":[NODE,…],"timeout":SECONDS}} or "Status"'),
        (order(0), "a run has 1 to 256 jobs"),
        (order(257), "a run has 1 to 256 jobs"),
        (order(1, below=999_901), "a job goes up to 1,000,000 at most"),
        (order(1, ()), "a run has 1 to 16 workers"),
        (order(1, ("",)), "a worker is not a node's name"),
        (order(1, timeout=0), "a job's timeout is 1 to 3600 seconds"),
        (order(1, attempts=0), "a job needs one attempt at least"),
        (order(1, trap=[1]), "a job that is to trap does not exist"),
    ],
)
def test_a_run_that_cannot_be_is_refused(lab: Lab, body: object, reason: str) -> None:
    assert lab.ask(BOSS, body) == {"Err": reason}


def test_a_worker_says_what_it_does_not_do(lab: Lab) -> None:
    assert lab.ask(WORKER, "Do") == {"Err": 'expected {"Do":JOB}'}
    much = {"Do": {"number": 0, "below": 1_000_001}}
    assert lab.ask(WORKER, much) == {"Err": "a job goes up to 1,000,000 at most"}


def test_other_nodes_cannot_begin_a_run(lab: Lab) -> None:
    answer = lab.ask(f"{TWO}@boss:pool:sys", order(1))
    assert answer == {"Err": "only processes of this node may ask this"}
