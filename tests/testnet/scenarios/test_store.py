"""The scenario store: it holds on many seeds, and finds each way in which it could not."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.check import Converges, MonotonicReads, OperationHistory, ReadYourWrites, VerdictKind
from testnet.faults.crash import Crash
from testnet.faults.disk_full import DiskFull
from testnet.faults.partition import Partition
from testnet.faults.schedule import Step
from testnet.faults.unsynced import Unsynced
from testnet.model.lab import Outcome
from testnet.scenarios.scenario import Plan, Violation
from testnet.scenarios.store import (
    STORE,
    Put,
    check_kept,
    follow_look,
    seen_version,
    version_put,
    version_replicated,
)
from testnet.sim.programs import Programs
from tests.seeds import sample
from tests.testnet.scenarios.played import passes
from tests.testnet.scenarios.told import NOTHING, Told, answered

MAIN, COPY = NODES = STORE.nodes


@pytest.mark.parametrize("fault", [Crash, Unsynced, DiskFull])
@pytest.mark.parametrize("node", sample(NODES))
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


def history() -> OperationHistory:
    """Return one in which key "a" was put as version 2, replicated, and then as version 3, by time 1."""
    clock = iter(range(10, 1000))
    promises = (MonotonicReads(version=seen_version), ReadYourWrites(version=seen_version), Converges(60.0))
    found = OperationHistory(lambda: next(clock), promises)
    for version, replicated in ((2, True), (3, False)):
        request = Told(Outcome("response", {"Put": {"version": version, "replicated": replicated}}), next(clock))
        found.follow(MAIN, request, "put", "a", f"value {version}", result=version_put)
        found.follow(COPY, request, "put", "a", f"value {version}", result=version_replicated)
    return found


def looks(found: OperationHistory, node: str, *entries: tuple[str, str, int]) -> None:
    call = Told(Outcome("response", {"Dump": dump(*entries)}), 900.0)
    follow_look(found, node, call)


def violated(found: OperationHistory) -> list[str]:
    return [promise.name for promise, verdict in found.check() if verdict.ruling is VerdictKind.VIOLATED]


@pytest.mark.parametrize("entries", [[], [("a", "x", 1)], [("b", "x", 2)]])
@pytest.mark.parametrize("node", NODES)
def test_a_node_that_shows_less_than_it_has_acknowledged_is_found(
    node: str, entries: list[tuple[str, str, int]]
) -> None:
    found = history()
    looks(found, node, *entries)
    assert violated(found) == ["read your writes"]


def test_a_replica_need_not_have_what_was_not_replicated() -> None:
    found = history()
    looks(found, COPY, ("a", "value 2", 2))
    looks(found, MAIN, ("a", "value 3", 3), ("b", "z", 4))
    found.follow(COPY, NOTHING, "get", "a")
    assert violated(found) == []
    looks(found, MAIN, ("a", "value 2", 2))
    assert violated(found) == ["read your writes"]


def test_a_node_that_goes_back_behind_what_it_has_shown_is_found() -> None:
    found = history()
    found.call(COPY, "get", "a").ok((5, "value 5"))
    looks(found, COPY, ("a", "value 4", 4))
    assert violated(found) == ["monotonic reads"]


def test_nodes_that_stay_different_are_found() -> None:
    found = history()
    found.calm()
    for _ in range(40):
        for node, version in ((MAIN, 4), (COPY, 3)):
            call = found.call(node, "get", "a")
            call.ok((version, f"value {version}"))
    assert violated(found) == ["eventual convergence"]


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
