"""Children that await one answer after another, and a parent that never waits."""

from __future__ import annotations

from tests.packages.lab import Lab

AWAITING = "our@awaiting:awaiting:sys"
ADA = {"Ran": {"order": "1042", "customer": "ada", "city": "london", "courier": "grace"}}
LINUS = {"Ran": {"order": "1043", "customer": "linus", "city": "helsinki", "courier": "margaret"}}


def test_g8_three_questions_of_a_second_each_are_asked_one_after_another(lab: Lab) -> None:
    begun = lab.simulation.now
    assert lab.ask(AWAITING, {"Run": {"order": "1042"}}) == ADA
    assert lab.simulation.now == begun + 1 + 1 + 1


def test_several_jobs_take_no_longer_than_one(lab: Lab) -> None:
    begun = lab.simulation.now
    jobs = [lab.begin(AWAITING, {"Run": {"order": order}}) for order in ("1042", "1043") * 5]
    assert [lab.wait(job) for job in jobs] == [ADA, LINUS] * 5
    assert lab.simulation.now == begun + 1 + 1 + 1


def test_the_parent_answers_at_once_while_its_children_wait(lab: Lab) -> None:
    begun = lab.simulation.now
    job = lab.begin(AWAITING, {"Run": {"order": "1042"}})
    assert lab.ask(AWAITING, "Status") == {"Status": {"started": 1}}
    assert lab.simulation.now == begun
    assert lab.answer(job) is None
    assert lab.wait(job) == ADA


def test_g10_the_child_answers_the_requester_itself(lab: Lab) -> None:
    job = lab.begin(AWAITING, {"Run": {"order": "1043"}})
    lab.simulation.run_until(lambda: len(lab.processes("awaiting")) == 3, lab.simulation.now + 1)
    (child,) = set(lab.processes("awaiting")) - {"awaiting", "registry"}
    assert lab.wait(job) == LINUS
    assert lab.source(job).process == child
    assert lab.processes("awaiting") == ["awaiting", "registry"]


def test_a_step_that_fails_ends_the_job_with_its_reason(lab: Lab) -> None:
    begun = lab.simulation.now
    reason = "the registry tells nothing about the customer nobody"
    assert lab.ask(AWAITING, {"Run": {"order": "1044"}}) == {"Err": reason}
    assert lab.simulation.now == begun + 1 + 1


def test_a_request_that_is_no_job_is_told_what_one_is(lab: Lab) -> None:
    assert lab.ask(AWAITING, "Run") == {"Err": 'expected {"Run":{"order":NUMBER}} or "Status"'}
