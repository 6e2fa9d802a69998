"""What is left of a plan that fails is what matters, found in few runs and the same ones each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testnet.faults.crash import Crash
from testnet.faults.schedule import Step
from testnet.model.fields import nodes_of
from testnet.scenarios.scenario import Plan
from testnet.sweep.shrink import MAX_RUNS, SHORTEST, Shrinking, shrink

NODES = tuple(f"n{number}.nec" for number in range(8))


def plan_of(crashes: Sequence[int], numbers: Sequence[int] = (), nodes: Sequence[str] = NODES) -> Plan:
    """Faults that are told apart by their nodes, at times in order."""
    steps = tuple(Step(number, number + 0.5, Crash(NODES[which])) for number, which in enumerate(crashes))
    return Plan("x", 1, tuple(nodes), {"numbers": list(numbers), "size": 7}, steps)


def crashed(plan: Plan) -> set[str]:
    return {name for step in plan.schedule for name in nodes_of(step.fault)}


def shrunk(plan: Plan, fails: Callable[[Plan], bool], least_nodes: int = 1, runs: int = 10_000) -> Shrinking:
    shrinking = Shrinking(plan)
    shrink(shrinking, least_nodes, fails, runs, lambda: None)
    return shrinking


@given(st.lists(st.integers(0, 7), min_size=1, max_size=20), st.data())
def test_of_the_faults_those_are_left_that_it_takes(crashes: list[int], data: st.DataObject) -> None:
    needed = {NODES[each] for each in data.draw(st.sets(st.sampled_from(crashes)))}
    found = shrunk(plan_of(crashes), lambda plan: needed <= crashed(plan))
    assert crashed(found.best) == needed
    assert len(found.best.schedule) == len(needed)
    assert found.complete


@given(st.lists(st.integers(0, 9), max_size=20), st.data())
def test_of_an_option_that_is_a_list_those_elements_are_left_that_it_takes(
    numbers: list[int], data: st.DataObject
) -> None:
    needed = data.draw(st.sets(st.sampled_from(numbers))) if numbers else set()
    found = shrunk(plan_of([0], numbers), lambda plan: needed <= set(plan.options["numbers"]))
    assert sorted(found.best.options["numbers"]) == sorted(needed)
    assert found.best.options["size"] == 1


def test_counts_and_sizes_become_as_small_as_they_can_be() -> None:
    plan = plan_of([0], [900, 3])
    found = shrunk(plan, lambda plan: plan.options["size"] >= 3 and sum(plan.options["numbers"]) >= 100)
    assert found.best.options == {"numbers": [112], "size": 3}


def test_a_node_goes_with_its_faults_and_with_what_the_options_say_of_it() -> None:
    asks = {"asks": [{"from": name, "to": NODES[0]} for name in NODES]}
    found = shrunk(replace(plan_of([3, 5]), options=asks), lambda plan: len(plan.options["asks"]) >= 1)
    assert found.best.nodes == NODES[:1]
    assert found.best.schedule == ()


@given(st.lists(st.integers(0, 7), max_size=12), st.lists(st.integers(0, 9), max_size=12), st.integers())
def test_whatever_it_depends_on_the_smallest_fails_and_nothing_can_be_left_out_of_it(
    crashes: list[int], numbers: list[int], salt: int
) -> None:
    first = plan_of(crashes, numbers)

    def fails(plan: Plan) -> bool:
        counts = [nodes_of(step.fault) for step in plan.schedule], plan.options["numbers"]
        return plan == first or sha256(f"{salt} {counts}".encode()).digest()[0] < 90

    found = shrunk(first, fails, len(NODES))
    best = found.best
    assert fails(best)
    for index in range(len(best.schedule)):
        assert not fails(replace(best, schedule=best.schedule[:index] + best.schedule[index + 1 :])), (salt, best)
    for index in range(len(best.options["numbers"])):
        fewer = best.options["numbers"][:index] + best.options["numbers"][index + 1 :]
        assert not fails(replace(best, options={**best.options, "numbers": fewer})), (salt, best)


def test_the_same_answers_lead_to_the_same_trials_and_to_none_twice() -> None:
    def trials() -> list[Plan]:
        tried: list[Plan] = []

        def fails(plan: Plan) -> bool:
            tried.append(plan)
            return NODES[3] in crashed(plan) and 5 in plan.options["numbers"]

        shrunk(plan_of([0, 3, 1, 3, 2], [1, 5, 5, 2]), fails)
        return tried

    assert trials() == trials()
    tried: list[Plan] = []

    def fails(plan: Plan) -> bool:
        tried.append(plan)
        return NODES[3] in crashed(plan)

    found = shrunk(plan_of([0, 3, 1, 2, 4, 5]), fails)
    assert found.runs == len(tried)
    assert all(plan not in tried[:index] for index, plan in enumerate(tried))


def test_nodes_that_nothing_is_about_are_left_out_but_for_the_least_number_of_them() -> None:
    found = shrunk(plan_of([3, 2]), lambda plan: NODES[3] in crashed(plan))
    assert found.best.nodes == (NODES[3],)
    found = shrunk(plan_of([3, 2]), lambda plan: NODES[3] in crashed(plan), least_nodes=3)
    assert found.best.nodes == (NODES[0], NODES[1], NODES[3])


def test_faults_become_as_short_as_they_can_be_and_their_times_round() -> None:
    step = Step(1.234, 9.876, Crash(NODES[0]))
    plan = Plan("x", 1, NODES[:1], {}, (step,))

    def fails(plan: Plan) -> bool:
        return any(step.until is not None and step.at <= 4.1 <= step.until for step in plan.schedule)

    (left,) = shrunk(plan, fails).best.schedule
    assert left.until is not None
    assert fails(replace(plan, schedule=(left,)))
    assert (left.at, left.until) == (4.0, 4.2)


def test_a_fault_does_not_become_shorter_than_anybody_cares_nor_end_where_it_lasts() -> None:
    plan = Plan("x", 1, NODES[:1], {}, (Step(1.0, 2.0, Crash(NODES[0])),))
    (left,) = shrunk(plan, lambda plan: bool(plan.schedule)).best.schedule
    assert left.until is not None
    assert left.until - left.at >= SHORTEST
    plan = Plan("x", 1, NODES[:1], {}, (Step(1.234, None, Crash(NODES[0])),))
    (left,) = shrunk(plan, lambda plan: bool(plan.schedule)).best.schedule
    assert (left.at, left.until) == (1.2, None)


def test_after_the_most_runs_the_smallest_so_far_is_kept() -> None:
    found = shrunk(plan_of([0, 3, 1, 2, 4, 5] * 10), lambda plan: NODES[3] in crashed(plan), runs=5)
    assert (found.runs, found.complete) == (5, False)
    assert NODES[3] in crashed(found.best)
    assert len(found.best.schedule) < 60


def test_what_interrupts_it_leaves_the_smallest_so_far() -> None:
    shrinking = Shrinking(plan_of([0, 3, 1, 2, 4, 5] * 10))

    def fails(plan: Plan) -> bool:
        if shrinking.runs == 5:
            raise KeyboardInterrupt
        return NODES[3] in crashed(plan)

    with pytest.raises(KeyboardInterrupt):
        shrink(shrinking, 1, fails, MAX_RUNS, lambda: None)
    assert NODES[3] in crashed(shrinking.best)
    assert len(shrinking.best.schedule) < 60
