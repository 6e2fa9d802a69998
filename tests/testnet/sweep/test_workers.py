"""Runs in processes of their own: what breaks one of them is told, and none is left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from testnet.journal.journal import read_journal_untrusted
from testnet.runs.plans import expand, find_scenario
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from testnet.sim.run import run
from testnet.sweep.sweep import SweepTally, sweep
from testnet.sweep.verdict import DIED, RunVerdict
from testnet.sweep.workers import Worker, Workers
from tests.testnet.sim.own import HERE


def plan(name: str, seed: int) -> Plan:
    return expand(find_scenario(f"{HERE}:{name}"), seed)


def swept(workers: Workers, name: str, seeds: range, keep_going: bool) -> SweepTally:
    tally = SweepTally(len(seeds))
    sweep(workers, (plan(name, seed) for seed in seeds), tally, keep_going, lambda: None)
    return tally


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as workers:
        yield workers


def test_a_worker_comes_to_the_same_verdict_and_journal_as_a_run_here(workers: Workers, tmp_path: Path) -> None:
    here = run(plan("FAILS", 5), Programs(), find_scenario(f"{HERE}:FAILS"))
    there = workers.play(plan("FAILS", 5), tmp_path / "journal")
    assert (there.result, there.text, there.digest) == (here.result, here.text, here.digest)
    assert read_journal_untrusted(tmp_path / "journal").end == here.end


def test_a_sweep_stops_at_the_first_failure_and_names_the_lowest_seed(workers: Workers) -> None:
    whole = swept(workers, "FAILS", range(40), keep_going=True)
    assert (whole.done, whole.passed) == (40, 40 - len(whole.failures))
    failed = sorted(each.plan.seed for each in whole.failures)
    assert failed, "a scenario for this test must fail with some seed"
    part = swept(workers, "FAILS", range(40), keep_going=False)
    ((first, *_),) = part.kinds().values()
    assert first.plan.seed == failed[0]
    assert part.done < 40


def test_failures_of_one_kind_are_put_together() -> None:
    def failure(seed: int, text: str) -> RunVerdict:
        return RunVerdict("", 0, 0.0, "violated", text, plan("FAILS", seed))

    tally = SweepTally(3, failures=[failure(2, "G5: b"), failure(3, "G4: a"), failure(1, "G5: a")])
    assert [[each.plan.seed for each in kind] for kind in tally.kinds().values()] == [[1, 2], [3]]


def test_a_process_that_dies_is_one_sentence_and_the_sweep_goes_on(workers: Workers) -> None:
    tally = swept(workers, "DIES", range(6), keep_going=True)
    (failure,) = tally.failures
    assert (failure.plan.seed, failure.result, tally.passed) == (3, DIED, 5)
    assert failure.text.startswith("the process that ran it ended with exit code 7")


def test_a_process_that_is_killed_from_outside_is_told(workers: Workers) -> None:
    worker = Worker()
    try:
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.wait()
        worker.begin(plan("FAILS", 1))
        assert worker.verdict().text == "the process that ran it ended with signal SIGKILL"
    finally:
        worker.close()


def test_a_journal_that_cannot_be_written_is_told_in_a_sentence(workers: Workers, tmp_path: Path) -> None:
    (tmp_path / "journal").symlink_to("/dev/full")
    verdict = workers.play(plan("DIES", 1), tmp_path / "journal")
    assert verdict.result == DIED
    assert verdict.text.endswith("/dev/full cannot be written: No space left on device.")


def test_a_worker_ends_with_its_input_in_the_midst_of_a_plan_too() -> None:
    worker = Worker()
    try:
        worker.begin(plan("FAILS", 1))
        assert worker.process.stdin is not None
        worker.process.stdin.close()
        assert worker.process.wait(60) == 0
    finally:
        worker.plan = None
        worker.close()


def test_leaving_the_workers_ends_their_processes() -> None:
    with Workers(1) as workers:
        workers.begin(plan("FAILS", 1))
        (busy,) = workers._busy
    assert busy.process.returncode == -signal.SIGKILL
