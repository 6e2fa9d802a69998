"""Guided search: deterministic, bounded, within what a scenario draws, and quicker than chance at what needs two things
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from statistics import median
from typing import Any
from zlib import crc32

import pytest

from testnet.faults.draw import MAX_DRAWN
from testnet.journal.ground import PLACES, Ground
from testnet.model.points import Points
from testnet.runs.plans import as_read, find_scenario
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import Plan, Scenario, draw_plan
from testnet.sim.programs import Programs
from testnet.sim.run import PASSED, run
from testnet.sweep.guided import MAX_CORPUS, MAX_MOMENTS, GuidedSearch
from testnet.sweep.sweep import SweepTally, sweep_guided
from testnet.sweep.workers import Workers
from tests.testnet.sweep.planted import HERE, PLANTED, is_caught

SEEDS = range(1, 5001, 1000)
"""From which the planted bug is searched."""


def search(scenario: Scenario, first: int = 1) -> GuidedSearch:
    return GuidedSearch(scenario, first, partial(draw_plan, scenario))


def made_up(plan: Plan) -> list[list[float]]:
    """Ground of a plan that is not played: one place for each fault, at its time."""
    return [[hash((step.at, len(step.fault.words()))) % PLACES, step.at] for step in plan.schedule]


def plans(scenario: Scenario, number: int, first: int = 1) -> Iterator[Plan]:
    guided = search(scenario, first)
    for _ in range(number):
        plan = guided.next_plan()
        yield plan
        guided.learn(plan, made_up(plan))


def meetings(plan: Plan) -> list[list[float]]:
    """Ground of a plan of PLANTED that is not played: each fault that comes or goes while others hold, and when."""
    edges = [(at, step) for step in plan.schedule for at in (step.at, step.until) if at is not None]
    found = []
    for at, step in edges:
        holding = sorted(each.fault.words() for each in plan.schedule if each.at < at <= (each.until or 0.0))
        found.append([crc32(f"{step.fault.words()} {at == step.at} {holding}".encode()) % PLACES, at])
    return found


def test_a_bug_that_needs_two_conditions_is_caught_in_half_the_runs() -> None:
    by_chance, in_guided = [], []
    for first in SEEDS:
        by_chance.append(next(number for number in count(1) if is_caught(draw_plan(PLANTED, first + number - 1))))
        guided = search(PLANTED, first)
        for number in count(1):
            plan = guided.next_plan()
            if is_caught(plan):
                in_guided.append(number)
                break
            guided.learn(plan, meetings(plan))
    assert 2 * median(in_guided) < median(by_chance)


def test_a_fault_that_is_aimed_at_an_event_of_a_run_comes_at_that_event() -> None:
    scenario, programs, ground = SCENARIOS["store"], Programs(), Ground(Points(wanted=True))
    plan, guided = draw_plan(scenario, 3), search(scenario)
    assert run(plan, programs, journal=False, points=ground.points, ground=ground).result == PASSED
    guided.learn(plan, ground.moments())
    varied = (guided.next_plan() for _ in range(200))
    aimed = next(each for each in varied if any(step.event for step in each.schedule))
    assert (aimed.seed, aimed.options) == (plan.seed, plan.options)
    (strike,) = (step for step in aimed.schedule if step.event is not None)
    points = Points(wanted=True, seen=[])
    run(aimed, programs, journal=False, points=points)
    event, seen = strike.event, points.seen or []
    (met,) = (each.at for each in seen if event and (each.node, each.kind, each.number) == (event.node, *event[1:3]))
    assert met == pytest.approx(strike.at, abs=0.001)


def test_the_same_seed_and_answers_lead_to_the_same_plans() -> None:
    assert list(plans(SCENARIOS["store"], 60)) == list(plans(SCENARIOS["store"], 60))
    assert list(plans(SCENARIOS["store"], 60)) != list(plans(SCENARIOS["store"], 60, first=2))


@pytest.mark.parametrize("name", ["store", "backup", "cut_files", "hostile", "greedy"])
def test_a_variation_stays_within_what_the_scenario_draws(name: str) -> None:
    scenario = SCENARIOS[name]
    drawn = [draw_plan(scenario, seed) for seed in range(60)]
    kinds = {type(step.fault) for plan in drawn for step in plan.schedule}
    for plan in plans(scenario, 60):
        assert plan.nodes == scenario.nodes
        assert plan.options.keys() in [each.options.keys() for each in drawn]
        assert as_read(plan).value() == plan.value()
        assert {type(step.fault) for step in plan.schedule} <= kinds
        if scenario.drawers:
            assert len(plan.schedule) <= MAX_DRAWN
            for step in plan.schedule:
                assert step.until is not None
                assert 0.0 <= step.at <= step.until <= scenario.seconds


def test_the_corpus_and_what_it_remembers_of_each_plan_are_bounded() -> None:
    guided = search(PLANTED)
    for number in range(MAX_CORPUS + 50):
        guided.learn(draw_plan(PLANTED, number), [[(number * 300 + each) % PLACES, 1.0] for each in range(300)])
    assert len(guided.corpus) <= MAX_CORPUS
    assert max(len(known.found) for known in guided.corpus) <= MAX_MOMENTS
    assert guided.places <= PLACES


def test_noting_the_ground_changes_nothing_and_the_same_run_reaches_the_same() -> None:
    plan, programs = draw_plan(PLANTED, 3), Programs()
    first, second = Ground(), Ground()
    noted = [run(plan, programs, PLANTED, journal=False, ground=each) for each in (first, second)]
    plain = run(plan, programs, PLANTED, journal=False)
    assert {each.fingerprint for each in (*noted, plain)} == {plain.fingerprint}
    assert first.moments() == second.moments()
    assert len(first.places) > 100


def test_guests_that_note_their_blocks_do_what_they_do_without_and_their_blocks_are_ground() -> None:
    plan, plain, noting = draw_plan(SCENARIOS["store"], 2), Ground(), Ground(Points(wanted=True))
    without = run(plan, Programs(), journal=False, ground=plain)
    noted = run(plan, Programs(notes_blocks=True), journal=False, points=noting.points, ground=noting)
    assert noted.fingerprint == without.fingerprint
    assert len(noting.places) > len(plain.places) + 500


def test_as_many_workers_play_the_same_plans_whichever_is_done_first() -> None:
    scenario = find_scenario(f"{HERE}:PLANTED")
    played = []
    for _ in range(2):
        guided = _Noting(scenario, 1, partial(draw_plan, scenario))
        with Workers(2) as workers:
            sweep_guided(workers, guided, SweepTally(14), True, lambda: None)
        played.append(guided.order)
    assert played[0] == played[1]
    assert len(played[0]) == 14


class _Noting(GuidedSearch):
    """Notes the plans in the order in which it learns of them."""

    def __init__(self, scenario: Scenario, first: int, expand: Callable[[int], Plan]) -> None:
        super().__init__(scenario, first, expand)
        self.order: list[object] = []

    def learn(self, plan: Plan, ground: Sequence[Sequence[Any]]) -> None:
        self.order.append(plan.value())
        super().learn(plan, ground)
