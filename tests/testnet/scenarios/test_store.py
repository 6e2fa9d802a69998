"""The scenario store: it holds on many seeds, and finds each way in which it could not."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.faults.crash import Crash
from testnet.faults.disk_full import DiskFull
from testnet.faults.partition import Partition
from testnet.faults.schedule import Step
from testnet.faults.unsynced import Unsynced
from testnet.scenarios.scenario import Plan, Violation
from testnet.scenarios.store import STORE, Look, Put, Versions, check_kept, check_look, known
from testnet.sim.programs import Programs
from tests.testnet.scenarios.played import passes
from tests.testnet.scenarios.told import NOTHING, answered

MAIN, COPY = NODES = STORE.nodes


@pytest.mark.parametrize("fault", [Crash, Unsynced, DiskFull])
@pytest.mark.parametrize("node", NODES)
def test_it_holds_when_a_node_fails_while_much_is_put(
    programs: Programs, fault: type[Crash | Unsynced | DiskFull], node: str
) -> None:
    faults = (Step(1.0, 3.0, fault(node)), Step(5.0, 6.0, fault(node)), Step(7.0, 13.0, Partition()))
    events: list[list[Any]] = [[number * 0.1, "put", "abcde"[number % 5]] for number in range(150)]
    events += [[number * 0.5 + 0.05, "look", NODES[number % 2]] for number in range(30)]
    passes(Plan("store", 5, NODES, {"events": sorted(events)}, faults), programs)


def put(key: str, value: str, version: int, replicated: bool = True) -> Put:
    return Put(key, value, 1.0, answered({"Put": {"version": version, "replicated": replicated}}))


def dump(*entries: tuple[str, str, int]) -> dict[str, Any]:
    rows = [{"key": key, "value": value, "version": version} for key, value, version in entries]
    return {"version": max((version for _, _, version in entries), default=0), "entries": rows}


def look(least: Versions, *entries: tuple[str, str, int], node: str = COPY) -> Look:
    return Look(node, least, answered({"Dump": dump(*entries)}))


def test_what_is_acknowledged_or_shown_is_known() -> None:
    puts = [put("a", "x", 3), put("b", "y", 4, replicated=False), Put("c", "z", 1.0, NOTHING)]
    assert known([], puts, COPY, replicated=True) == {"a": 3}
    assert known([], puts, MAIN, replicated=False) == {"a": 3, "b": 4}
    looks = [look({}, ("a", "x", 2), ("b", "y", 3)), look({}, ("a", "x", 2)), Look(COPY, {}, NOTHING)]
    assert known(looks, [put("a", "w", 1)], COPY, replicated=True) == {"a": 2, "b": 3}
    assert known(looks, [put("a", "w", 1)], MAIN, replicated=False) == {"a": 1}


@pytest.mark.parametrize("entries", [[], [("a", "x", 1)], [("b", "x", 2)]])
def test_a_node_that_goes_back_is_found(entries: list[tuple[str, str, int]]) -> None:
    with pytest.raises(Violation, match=r"copy\.nec shows version [01] of 'a' after version 2"):
        check_look(look({"a": 2}, *entries))


def test_a_node_that_goes_on_or_does_not_answer_is_right() -> None:
    check_look(look({}))
    check_look(look({"a": 2}, ("a", "y", 2), ("b", "z", 3)))
    check_look(look({"a": 2}, ("a", "y", 5)))
    check_look(Look(COPY, {"a": 2}, NOTHING))


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
