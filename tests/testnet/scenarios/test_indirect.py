"""The scenario indirect: one router is enough, whatever becomes of the other; without any, it says so."""

from __future__ import annotations

from itertools import permutations

import pytest

from nectar_node.base.errors import BadInput
from net.base.limits import MAX_CIRCUITS, MAX_CIRCUITS_PER_NODE
from testnet.faults.crash import Crash
from testnet.faults.pause import Pause
from testnet.faults.schedule import Schedule, Step
from testnet.model.fields import nodes_of
from testnet.runs.plans import expand
from testnet.scenarios.indirect import INDIRECT
from testnet.scenarios.scenario import Plan, draw_plan
from testnet.sim.programs import Programs
from tests.seeds import sample
from tests.testnet.scenarios.played import passes, violation

ROUTER, OTHER, HIDDEN, A, B = INDIRECT.nodes


def plan(schedule: Schedule, *lost: str) -> Plan:
    pace = {"count": 30, "gap_ms": 500, "timeout": 120, "blob": 0}
    runs = [
        {"author": author, "targets": targets} | pace for author, *targets in ((HIDDEN, A, B), (A, HIDDEN), (B, HIDDEN))
    ]
    return Plan("indirect", 3, INDIRECT.nodes, {"runs": runs, "lost": list(lost)}, schedule)


def test_one_router_can_carry_a_circuit_in_each_direction_between_all_nodes_that_it_may_have() -> None:
    names = INDIRECT.names(INDIRECT.most_nodes)
    routers, hidden, last = names[:2], names[2:-1], names[-1]
    assert sum(node.routers == routers for node in INDIRECT.topology(names)) == len(hidden)
    directions = list(permutations(hidden, 2)) + [(last, each) for each in hidden]
    assert len(directions) <= MAX_CIRCUITS
    assert 2 * len(hidden) <= MAX_CIRCUITS_PER_NODE
    with pytest.raises(BadInput, match="indirect runs with 4 to 19 nodes, and not with 20"):
        expand(INDIRECT, 0, INDIRECT.most_nodes + 1)


@pytest.mark.long
def test_it_holds_with_the_most_nodes(programs: Programs) -> None:
    passes(draw_plan(INDIRECT, 3, INDIRECT.most_nodes), programs)


def test_only_one_router_fails_in_what_is_drawn() -> None:
    faults = [step.fault for seed in range(200) for step in draw_plan(INDIRECT, seed).schedule]
    assert len(faults) > 400
    assert all(ROUTER in nodes_of(fault) for fault in faults)


@pytest.mark.parametrize("seconds", sample([18.0, 1.0]))
@pytest.mark.parametrize("fault", [Crash(ROUTER), Pause(ROUTER)])
def test_it_holds_when_one_router_ends_or_says_nothing_any_more(
    programs: Programs, fault: Crash | Pause, seconds: float
) -> None:
    passes(plan((Step(1.0, 1.0 + seconds, fault),)), programs)


@pytest.mark.parametrize("lost", ["hidden", "others", "restart", "away"])
def test_it_holds_when_connections_to_both_routers_are_lost(programs: Programs, lost: str) -> None:
    passes(plan((), lost), programs)


def test_when_both_routers_fail_it_says_who_is_not_reached(programs: Programs) -> None:
    text = violation(plan((Step(5.0, 15.0, Crash(ROUTER)), Step(5.0, 15.0, Crash(OTHER)))), programs)
    assert text.startswith(f"one of two routers was there, but {HIDDEN}'s run run 0 to {A}: 30 sent, ")
