"""The scenario chat: it holds on many seeds, and finds each way in which it could not."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.check import MonotonicWrites, NoLostUpdate, Operation, OperationHistory, VerdictKind
from testnet.faults.crash import Crash
from testnet.faults.partition import Partition
from testnet.faults.schedule import Step
from testnet.model.lab import Outcome
from testnet.model.where import Where
from testnet.scenarios.chat import (
    CHAT,
    Saying,
    check_numbers,
    check_order,
    check_outcome,
    follow_saying,
    may_have_lost,
    numbered,
    said_in,
)
from testnet.scenarios.scenario import Plan, Violation
from testnet.sim.programs import Programs
from tests.testnet.scenarios.played import passes
from tests.testnet.scenarios.told import NOTHING, Told, answered

ANN, BOB, CLEO = NODES = ("ann.nec", "bob.nec", "cleo.nec")


def test_it_holds_when_a_member_crashes_and_another_is_cut_off(programs: Programs) -> None:
    names = CHAT.names(5)
    faults = (Step(2.0, 6.0, Crash(names[1])), Step(3.0, 12.0, Partition(Where(names[2]))))
    lines = [[round(number * 0.3, 1), names[number % 5]] for number in range(50)]
    looks = [[float(at), names[at % 5]] for at in range(15)]
    journal = passes(Plan("chat", 7, names, {"lines": lines, "looks": looks}, faults), programs, journal=True).journal
    assert any('"step":"failed"' in line and f'"target":"{names[1]}@chat:chat:sys"' in line for line in journal)


def line(author: str, number: int, wrong: str | None = None, text: str = "x") -> dict[str, Any]:
    return {"author": author, "number": number, "text": text, "wrong": wrong}


def saying(author: str, number: int, heard: list[str], missed: list[str] | None = None, at: float = 1.0) -> Saying:
    told = [{"node": node, "kind": "Offline"} for node in missed or []]
    return Saying(author, "x", at, answered({"Said": {"number": number, "heard": heard, "missed": told}}))


def plan(*schedule: Step) -> Plan:
    return Plan("chat", 0, NODES, {}, schedule)


@pytest.mark.parametrize(
    "lines",
    [
        [line(ANN, 1), line(ANN, 1)],
        [line(ANN, 2), line(BOB, 1), line(ANN, 1)],
        [line(ANN, 1), line(ANN, 2, wrong="Late")],
    ],
)
def test_lines_out_of_order_are_found(lines: list[dict[str, Any]]) -> None:
    with pytest.raises(Violation, match=r"bob\.nec"):
        check_order(BOB, lines)


def test_lines_in_order_with_gaps_are_right() -> None:
    check_order(BOB, [line(ANN, 1), line(BOB, 4), line(ANN, 5), line(BOB, 6)])


def test_a_line_with_another_number_than_its_author_was_told_is_found() -> None:
    with pytest.raises(Violation, match=r"cleo\.nec heard"):
        check_numbers(CLEO, [line(ANN, 2)], [saying(ANN, 1, [BOB, CLEO])])
    check_numbers(CLEO, [line(ANN, 1)], [saying(ANN, 1, [BOB, CLEO])])


def test_a_line_whose_author_ended_may_be_heard_under_any_number() -> None:
    check_numbers(CLEO, [line(ANN, 9)], [Saying(ANN, "x", 1.0, NOTHING)])


def history(*schedule: Step) -> OperationHistory:
    """Return one that begins at 0."""

    def excused(added: Operation, read: Operation) -> bool:
        return may_have_lost(schedule, added, read, 0.0)

    clock = iter(range(1, 1000))
    promises = (NoLostUpdate(always=True, excused=excused), MonotonicWrites(writes=("add",), version=numbered))
    return OperationHistory(lambda: float(next(clock)), promises)


def say(
    found: OperationHistory, text: str, number: int, heard: list[str], missed: dict[str, str] | None = None
) -> None:
    """Have ann say a line, of which she is told at once."""
    there = [{"node": node, "kind": kind} for node, kind in (missed or {}).items()]
    body = {"Said": {"number": number, "heard": heard, "missed": there}}
    now = found.call(ANN, "look at the clock").called.time
    follow_saying(found, ANN, NODES, text, Told(Outcome("response", body), now + 3.5))


def violated(found: OperationHistory) -> list[str]:
    return [verdict.text for _, verdict in found.check() if verdict.ruling is VerdictKind.VIOLATED]


@pytest.mark.parametrize("node", [ANN, BOB])
def test_a_line_that_was_heard_and_is_gone_is_found(node: str) -> None:
    found = history()
    say(found, "x", 1, [BOB], {CLEO: "Offline"})
    found.call(CLEO, "read", CLEO).ok(said_in([]))
    found.call(node, "read", node).ok(said_in([line(ANN, 1)]))
    assert violated(found) == []
    found.call(node, "read", node).ok(said_in([]))
    assert violated(found) == [f"the acknowledged ('{ANN}', 'x') is lost"]


@pytest.mark.parametrize(
    "lines",
    [[line(ANN, 1, text="y")], [line(BOB, 1)], [line(ANN, 1), line(ANN, 1)]],
    ids=["another text", "another author", "twice"],
)
def test_a_line_that_nobody_said_or_that_is_there_twice_is_found(lines: list[dict[str, Any]]) -> None:
    found = history()
    say(found, "x", 1, [], {BOB: "Timeout", CLEO: "Timeout"})
    found.call(CLEO, "read", CLEO).ok(said_in(lines[:0]))
    assert violated(found) == []
    found.call(CLEO, "read", CLEO).ok(said_in(lines))
    assert len(violated(found)) == 1


def test_a_line_that_was_refused_and_is_there_is_found() -> None:
    found = history()
    say(found, "x", 1, [CLEO], {BOB: "Refused"})
    found.call(BOB, "read", BOB).ok(said_in([]))
    assert violated(found) == []
    found.call(BOB, "read", BOB).ok(said_in([line(ANN, 1)]))
    assert len(violated(found)) == 1


def test_who_has_crashed_since_need_not_know_a_line_and_who_crashed_before_or_later_must() -> None:
    for crash, lacks in ((Step(8.0, 9.0, Crash(BOB)), False), (Step(0.5, 1.0, Crash(BOB)), True),
                         (Step(80.0, 90.0, Crash(BOB)), True)):  # fmt: skip
        found = history(crash)
        say(found, "x", 1, [BOB, CLEO])
        for _ in range(8):
            found.call(ANN, "look at the clock")
        found.call(BOB, "read", BOB).ok(said_in([]))
        assert bool(violated(found)) == lacks, crash


def test_an_author_whose_later_line_has_no_later_number_is_found() -> None:
    found = history()
    for number in (1, 2):
        say(found, f"line {number}", number, [BOB, CLEO])
        for _ in range(8):
            found.call(ANN, "look at the clock")
    found.call(BOB, "read", BOB).ok(said_in([line(ANN, 1, text="line 1"), line(ANN, 2, text="line 2")]))
    assert violated(found) == []
    say(found, "line 3", 2, [], {BOB: "Timeout", CLEO: "Timeout"})
    assert violated(found) == ["a client's later write has no later version"]


@pytest.mark.parametrize(("heard", "missed"), [([BOB], []), ([BOB], [BOB, CLEO]), ([ANN, BOB, CLEO], [])])
def test_an_author_that_is_not_told_of_each_other_member_once_is_found(heard: list[str], missed: list[str]) -> None:
    with pytest.raises(Violation, match="was told of"):
        check_outcome(saying(ANN, 1, heard, missed), plan())
    check_outcome(saying(ANN, 1, [BOB], [CLEO]), plan())


def test_an_author_that_is_told_nothing_must_have_ended() -> None:
    unanswered = Saying(ANN, "x", 1.0, NOTHING)
    with pytest.raises(Violation, match="never told"):
        check_outcome(unanswered, plan())
    check_outcome(unanswered, plan(Step(2.0, 3.0, Crash(ANN))))
