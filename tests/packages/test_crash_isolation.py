"""A child that crashes costs one job; its parent goes on."""

from __future__ import annotations

import pytest

from tests.packages.lab import Lab

CRASH_ISOLATION = "our@crash_isolation:crash_isolation:sys"


def test_a_good_job_is_done_by_a_child_that_ends_with_it(lab: Lab) -> None:
    assert lab.ask(CRASH_ISOLATION, {"Run": {"data": "3a2b"}}) == {"Ran": {"text": "aaabb"}}
    assert lab.processes("crash_isolation") == ["crash_isolation"]


@pytest.mark.parametrize("data", ["3", "xy", "3a2"])
def test_g14_a_child_that_traps_is_reported_at_once(lab: Lab, data: str) -> None:
    begun = lab.simulation.now
    assert lab.ask(CRASH_ISOLATION, {"Run": {"data": data}}) == {"Crashed": {"data": data}}
    assert lab.simulation.now == begun
    assert lab.processes("crash_isolation") == ["crash_isolation"]


def test_g23_the_parent_and_its_other_jobs_go_on_after_a_crash(lab: Lab) -> None:
    jobs = [lab.begin(CRASH_ISOLATION, {"Run": {"data": data}}) for data in ("1a", "1", "2b", "", "5")]
    answers = [lab.wait(job) for job in jobs]
    crashed = [answer for answer in answers if "Crashed" in answer]
    assert answers[0] == {"Ran": {"text": "a"}}
    assert answers[2] == {"Ran": {"text": "bb"}}
    assert answers[3] == {"Ran": {"text": ""}}
    assert crashed == [{"Crashed": {"data": "1"}}, {"Crashed": {"data": "5"}}]
    assert lab.ask(CRASH_ISOLATION, "Status") == {"Status": {"ran": 3, "crashed": 2}}


def test_the_crash_is_in_the_log_under_the_childs_name(lab: Lab) -> None:
    lab.ask(CRASH_ISOLATION, {"Run": {"data": "3"}})
    crashes = [line for line in lab.node.log if "index out of bounds" in line]
    assert len(crashes) == 1
    assert crashes[0].split(":")[1:3] == ["crash_isolation", "sys"]


def test_a_request_that_is_no_job_is_told_what_one_is(lab: Lab) -> None:
    assert lab.ask(CRASH_ISOLATION, {"Runs": 1}) == {"Err": 'expected {"Run":{"data":TEXT}} or "Status"'}
