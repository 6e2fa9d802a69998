"""A child that computes for long, and a parent that answers meanwhile."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nectar_node.launcher.boot_options import BootOptions
from packages.build import PACKAGES
from testnet.real.local import LocalTestnet
from tests.packages.lab import Lab

HEAVY_COMPUTATION = "our@heavy_computation:heavy_computation:sys"


@pytest.mark.parametrize(("below", "primes"), [(0, 0), (3, 1), (100, 25), (100_000, 9592)])
def test_the_worker_counts_right_and_ends(lab: Lab, below: int, primes: int) -> None:
    answer = lab.ask(HEAVY_COMPUTATION, {"Run": {"below": below}})
    assert answer == {"Ran": {"below": below, "primes": primes}}
    assert lab.processes("heavy_computation") == ["heavy_computation"]
    assert lab.ask(HEAVY_COMPUTATION, "Status") == {"Status": {"jobs": []}}


def test_several_workers_compute_at_once_and_each_answer_goes_to_its_requester(lab: Lab) -> None:
    jobs = [lab.begin(HEAVY_COMPUTATION, {"Run": {"below": below}}) for below in (1000, 10, 100)]
    primes = [lab.wait(job)["Ran"]["primes"] for job in jobs]
    assert primes == [168, 4, 25]


def test_a_number_that_would_take_for_ever_is_refused(lab: Lab) -> None:
    answer = lab.ask(HEAVY_COMPUTATION, {"Run": {"below": 100_000_001}})
    assert answer == {"Err": "N must be at most 100,000,000"}


def test_a_request_that_is_no_job_is_told_what_one_is(lab: Lab) -> None:
    expected = {"Err": 'expected {"Run":{"below":N}} or "Status"'}
    assert lab.ask(HEAVY_COMPUTATION, {"Run": {"below": -1}}) == expected


def test_g23_the_parent_answers_while_its_worker_computes_on_a_real_node(tmp_path: Path) -> None:
    # In virtual time computing takes no time at all; here it takes more than a second.
    below, primes = 3_000_000, 216_816

    def ask(body: object) -> Any:
        answer = nodes.message("one.nec", HEAVY_COMPUTATION, json.dumps(body), 60)
        assert answer["outcome"] == "response", answer
        return json.loads(answer["body"])

    with LocalTestnet(tmp_path / "testnet") as nodes, ThreadPoolExecutor() as pool:
        nodes.start()
        nodes.add("one.nec", BootOptions(packages=(PACKAGES / "heavy_computation",)))
        run = pool.submit(ask, {"Run": {"below": below}})
        seen: set[int] = set()
        while not run.done():
            seen.update(job["tested"] for job in ask("Status")["Status"]["jobs"])
        assert run.result() == {"Ran": {"below": below, "primes": primes}}
        assert len({tested for tested in seen if 0 < tested < below}) > 2
        assert ask("Status") == {"Status": {"jobs": []}}
