"""The scenario chat: it holds on many seeds, and finds each way in which it could not."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.faults.crash import Crash
from testnet.faults.partition import Partition
from testnet.faults.schedule import Step
from testnet.model.where import Where
from testnet.scenarios.chat import CHAT, Saying, check_complete, check_order, check_outcome, check_texts
from testnet.scenarios.scenario import Plan, Violation
from testnet.sim.programs import Programs
from tests.testnet.scenarios.played import passes
from tests.testnet.scenarios.told import NOTHING, answered

ANN, BOB, CLEO = NODES = ("ann.nec", "bob.nec", "cleo.nec")


def test_it_holds_when_a_member_crashes_and_another_is_cut_off(programs: Programs) -> None:
    names = CHAT.names(5)
    faults = (Step(2.0, 6.0, Crash(names[1])), Step(3.0, 12.0, Partition(Where(names[2]))))
    lines = [[round(number * 0.3, 1), names[number % 5]] for number in range(50)]
    journal = passes(Plan("chat", 7, names, {"lines": lines}, faults), programs, journal=True).journal
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


@pytest.mark.parametrize("found", [line(ANN, 2), line(BOB, 1), line(ANN, 1, text="y")])
def test_a_line_that_was_not_said_so_is_found(found: dict[str, Any]) -> None:
    with pytest.raises(Violation, match=r"cleo\.nec heard"):
        check_texts(CLEO, [found], [saying(ANN, 1, [BOB, CLEO])])


def test_a_line_whose_author_ended_may_be_heard_under_any_number() -> None:
    check_texts(CLEO, [line(ANN, 9)], [Saying(ANN, "x", 1.0, NOTHING)])


@pytest.mark.parametrize("node", [ANN, BOB])
def test_a_line_that_was_heard_and_is_gone_is_found(node: str) -> None:
    said = [saying(ANN, 1, [BOB], [CLEO])]
    with pytest.raises(Violation, match=r"line 1 of ann\.nec is not in the history of"):
        check_complete(node, [], said, ())
    check_complete(node, [line(ANN, 1)], said, ())
    check_complete(CLEO, [], said, ())


def test_who_has_crashed_since_need_not_know_a_line_and_who_crashed_before_must() -> None:
    crashed = (Step(2.0, 3.0, Crash(BOB)),)
    check_complete(BOB, [], [saying(ANN, 1, [BOB])], crashed)
    with pytest.raises(Violation):
        check_complete(BOB, [], [saying(ANN, 1, [BOB], at=9.0)], crashed)


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
