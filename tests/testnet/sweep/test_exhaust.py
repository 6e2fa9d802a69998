"""A fault at every event of a run: which there are, what comes to the same, and what is found by that alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from nectar_node.storage import database
from testnet.faults.schedule import read_steps_untrusted
from testnet.model.points import SEND, STEP, STORE_WRITE, WRITE, Points, SeenEvent, cuts, read_point
from testnet.model.rule import Link
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from testnet.sim.run import PASSED, run
from testnet.sweep.exhaust import STRIKES, ExhaustTally, pairs, strikes, struck

ONE_PUT = Plan("store", 1, ("main.nec", "copy.nec"), {"events": [[0.5, "put", "a"]]})
POINTS = {"crash": 63, "power": 63, "pause": 59, "memory": 59, "cut": 123, "drop": 21, "disk-error": 28}
RUNS = {"crash": 48, "power": 48, "pause": 24, "memory": 24, "cut": 123, "drop": 21, "disk-error": 28}


@pytest.fixture(scope="module")
def seen(programs: Programs) -> list[SeenEvent]:
    """The events of a run in which one value is put."""
    points = Points(wanted=True, seen=[])
    assert run(ONE_PUT, programs, journal=False, points=points).result == PASSED
    assert points.seen is not None
    return points.seen


def test_all_events_of_a_run_are_seen_and_each_fault_can_be_at_all_of_its_kinds(seen: list[SeenEvent]) -> None:
    assert Counter((each.node, each.kind) for each in seen) == {
        ("main.nec", SEND): 9,
        ("main.nec", STEP): 7,
        ("main.nec", STORE_WRITE): 12,
        ("main.nec", WRITE): 2,
        ("copy.nec", SEND): 8,
        ("copy.nec", STEP): 3,
        ("copy.nec", STORE_WRITE): 12,
        ("copy.nec", WRITE): 2,
        ("registrar.nec", SEND): 4,
    }
    found = {fault: strikes(seen, fault) for fault in STRIKES}
    assert {fault: sum(each.stands_for for each in some) for fault, some in found.items()} == POINTS
    assert {fault: len(some) for fault, some in found.items()} == RUNS
    for some in found.values():
        assert len({each.step.words() for each in some}) == len(some)


def test_watching_changes_nothing(programs: Programs) -> None:
    watched = run(ONE_PUT, programs, journal=False, points=Points(wanted=True, seen=[]))
    assert watched.fingerprint == run(ONE_PUT, programs, journal=False).fingerprint


@pytest.mark.parametrize("fault", ["crash", "cut", "disk-error", "drop", "memory", "pause", "power"])
def test_a_fault_at_an_event_is_there_and_its_journal_plays_it_again(
    programs: Programs, seen: list[SeenEvent], fault: str
) -> None:
    for strike in Random(7).sample(strikes(seen, fault), 2):
        plan = struck(ONE_PUT, strike)
        first = run(plan, programs)
        assert first.result == PASSED, f"{strike.step.words()}: {first.text}"
        assert any(" begins" in line or '"state":"begins"' in line for line in first.journal)
        steps = [step.value() for step in plan.schedule]
        again = replace(plan, schedule=read_steps_untrusted(steps, plan.nodes, "the plan"))
        assert run(again, programs, journal=False).fingerprint == first.fingerprint


def test_a_store_that_does_not_sync_is_caught_at_the_writes_where_it_matters(
    programs: Programs, seen: list[SeenEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant `commits-are-not-synced`: only a power cut just after a commit shows it."""
    for name in ("_SETTINGS", "_DURABLE"):
        monkeypatch.setattr(database, name, tuple(each.replace("FULL", "OFF") for each in getattr(database, name)))
    points = Points(wanted=True, seen=[])
    run(ONE_PUT, programs, journal=False, points=points)
    assert points.seen is not None
    after = [each for each in strikes(points.seen, "power") if "after send" in each.step.words()]
    assert any(run(struck(ONE_PUT, each), programs, journal=False).result != PASSED for each in after)


def test_pairs_are_all_or_as_many_as_are_wanted_and_the_earlier_fault_comes_first(seen: list[SeenEvent]) -> None:
    found = strikes(seen, "drop")
    assert len(list(pairs(found, Random(1), 1000))) == 21 * 20 // 2
    drawn = list(pairs(found, Random(1), 50))
    assert len({(one.step.words(), other.step.words()) for one, other in drawn}) == 50
    assert drawn == list(pairs(found, Random(1), 50))
    assert all(one.step.at <= other.step.at for one, other in drawn)


def test_what_was_covered_is_counted_by_fault_node_event_and_record(seen: list[SeenEvent]) -> None:
    tally, found = ExhaustTally(0), strikes(seen, "crash")
    tally.expect(found)
    assert sum(each.points for each in tally.groups.values()) == POINTS["crash"]
    assert tally.groups["crash", "main.nec", "write", "Commit"].points >= 2
    assert tally.begin(ONE_PUT, found[0]).schedule == (found[0].step,)


def test_a_connection_is_cut_in_each_part_of_a_record_wherever_its_bytes_are_split() -> None:
    record = (100).to_bytes(2, "big") + bytes(100)
    for split in range(1, len(record) * 2):
        points, link = Points(wanted=True, seen=[]), Link("a.nec", "b.nec")
        data = record * 2
        first, second = points.follow(1, link, data[:split]), points.follow(1, link, data[split:])
        assert first.offset == 0
        assert second.offset == split
        assert all(0 <= byte < split for byte in first.cuts.values())
        assert all(split <= byte < len(data) for byte in second.cuts.values())
    assert points.follow(2, link, record).cuts == {
        "before the header": 0,
        "within the length": 1,
        "after the length": 2,
        "in the middle": 52,
        "before the tag": 86,
        "before the last byte": 101,
    }
    assert cuts([], 10, 20) == {"in the middle": 15}


@pytest.mark.parametrize("words", ["", "before write 0 of a.nec", "within write 1 of a.nec", "before wrote 1 of a.nec"])
def test_what_is_no_event_is_none(words: str) -> None:
    assert read_point(words) is None
