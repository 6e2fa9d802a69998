"""The scenario store: it holds on many seeds, and finds each way in which it could not."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.faults.crash import Crash
from testnet.faults.disk_full import DiskFull
from testnet.faults.partition import Partition
from testnet.faults.unsynced import Unsynced
from testnet.scenarios.scenario import Plan, Violation, draw_plan
from testnet.scenarios.store import STORE, Look, Put, check_kept, check_looks, durable
from testnet.schedule import Step
from testnet.sim.programs import Programs
from testnet.sim.run import PASSED, run
from tests.testnet.scenarios.told import NOTHING, answered

MAIN, COPY = NODES = STORE.nodes


@pytest.mark.parametrize("seed", range(25))
def test_it_holds_whatever_is_drawn(programs: Programs, seed: int) -> None:
    result = run(draw_plan(STORE, seed), programs)
    assert result.result == PASSED, (seed, result.text)


@pytest.mark.parametrize("fault", [Crash, Unsynced, DiskFull])
@pytest.mark.parametrize("node", NODES)
def test_it_holds_when_a_node_fails_while_much_is_put(
    programs: Programs, fault: type[Crash | Unsynced | DiskFull], node: str
) -> None:
    faults = (Step(1.0, 3.0, fault(node)), Step(5.0, 6.0, fault(node)), Step(7.0, 13.0, Partition()))
    events: list[list[Any]] = [[number * 0.1, "put", "abcde"[number % 5]] for number in range(150)]
    events += [[number * 0.5 + 0.05, "look", NODES[number % 2]] for number in range(30)]
    result = run(Plan("store", 5, NODES, {"events": sorted(events)}, faults), programs)
    assert result.result == PASSED, result.text


def test_the_same_seed_writes_the_same_journal(programs: Programs) -> None:
    plan = draw_plan(STORE, 3)
    assert run(plan, programs).digest == run(plan, programs).digest


def put(key: str, value: str, version: int, replicated: bool = True) -> Put:
    return Put(key, value, 1.0, answered({"Put": {"version": version, "replicated": replicated}}))


def dump(*entries: tuple[str, str, int]) -> dict[str, Any]:
    rows = [{"key": key, "value": value, "version": version} for key, value, version in entries]
    return {"version": max((version for _, _, version in entries), default=0), "entries": rows}


def look(floor: int, *entries: tuple[str, str, int]) -> Look:
    return Look(COPY, floor, answered({"Dump": dump(*entries)}))


def test_what_is_acknowledged_counts_as_durable_on_the_replica_only_if_it_was_replicated() -> None:
    puts = [put("a", "x", 3), put("b", "y", 4, replicated=False), Put("c", "z", 1.0, NOTHING)]
    assert durable(puts, replicated=True) == 3
    assert durable(puts, replicated=False) == 4
    assert durable([], replicated=True) == 0


@pytest.mark.parametrize(
    "looks",
    [
        [look(1)],
        [look(0, ("a", "x", 2)), look(0, ("a", "x", 1))],
        [look(0, ("a", "x", 2), ("b", "y", 3)), look(0, ("a", "x", 1), ("b", "y", 3))],
        [look(0, ("a", "x", 2)), look(0, ("b", "y", 3))],
        [look(5, ("a", "x", 2))],
    ],
)
def test_a_node_that_goes_back_is_found(looks: list[Look]) -> None:
    with pytest.raises(Violation, match=r"copy\.nec shows version"):
        check_looks(looks)


def test_a_node_that_goes_on_or_does_not_answer_is_right() -> None:
    check_looks([look(0), look(0, ("a", "x", 1)), Look(COPY, 1, NOTHING), look(1, ("a", "y", 2), ("b", "z", 3))])


@pytest.mark.parametrize(
    "found",
    [dump(), dump(("b", "x", 2)), dump(("a", "x", 1)), dump(("a", "y", 2)), dump(("a", "x", 3))],
)
def test_an_acknowledged_put_that_is_lost_or_altered_is_found(found: dict[str, Any]) -> None:
    with pytest.raises(Violation, match=r"copy\.nec has"):
        check_kept(COPY, found, [put("a", "x", 2)])


def test_a_put_may_be_followed_by_another_and_what_nobody_was_told_may_be_there_or_not() -> None:
    puts = [put("a", "x", 2), Put("a", "z", 1.0, NOTHING)]
    check_kept(COPY, dump(("a", "x", 2)), puts)
    check_kept(COPY, dump(("a", "z", 3)), puts)
