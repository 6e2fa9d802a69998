"""A plan that has not come to the same with real nodes is played again, unless that was not the machine's doing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testnet.runs.result import BROKEN, DEADLINE, PASSED, VIOLATED, Result
from testnet.scenarios.scenario import Plan
from tests.levels.playing import AGAIN, Played, settled

SIMULATED = Result(Plan("chat", 1, ("a.nec",), {}), (), "", 1.0, PASSED, "", {"a line": "heard"})
SAME = Played(SIMULATED, 1.0)
DIFFERENT = Played(replace(SIMULATED, outcomes={"a line": "missed"}), 2.0)
LATE = Played(replace(SIMULATED, result=DEADLINE, outcomes={}), 3.0)


def play(*runs: Played) -> tuple[Played, int]:
    """What these runs, one after the other, come to, and how many of them were played."""
    left = list(runs)
    played = settled(SIMULATED, left.pop(0), lambda: left.pop(0))
    return played, len(runs) - len(left)


def test_what_comes_to_the_same_is_played_once_and_what_never_does_until_the_end() -> None:
    assert play(SAME, DIFFERENT) == (SAME, 1)
    assert play(*[DIFFERENT] * 9) == (DIFFERENT, 1 + AGAIN)


@pytest.mark.parametrize("first", [DIFFERENT, LATE])
def test_what_comes_to_something_else_or_to_no_end_is_played_again(first: Played) -> None:
    assert play(first, SAME) == (SAME, 2)


@pytest.mark.parametrize("result", [VIOLATED, BROKEN])
def test_what_violates_a_promise_or_does_not_work_is_not_played_again(result: str) -> None:
    failed = Played(replace(SIMULATED, result=result, outcomes={}), 1.0)
    assert play(failed, SAME) == (failed, 1)
