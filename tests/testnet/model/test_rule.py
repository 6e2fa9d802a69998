"""What several faults together make of an event."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import cast

import pytest

from testnet.faults.bit_flips import BitFlips
from testnet.faults.latency import Latency
from testnet.faults.loss import Loss
from testnet.faults.partition import Partition
from testnet.faults.refusal import Refusal
from testnet.faults.reset import ConnectionReset
from testnet.model.rule import (
    LOSE,
    PASS,
    REFUSE,
    RESEND,
    Alter,
    Delay,
    Event,
    FaultFailed,
    Judgement,
    LinkFault,
    Passing,
    Redirect,
    Reset,
    Rule,
    Verdict,
    judge,
    still_late,
)
from tests.testnet.faults.events import DIAL, END, piece


@dataclass(frozen=True, slots=True)
class Says:
    """A fault that says what it is told to."""

    what: Callable[[Event], Verdict]

    def words(self) -> str:
        return "says"

    def judge(self, event: Event, chance: Random) -> Verdict:
        return self.what(event)


def says(verdict: Verdict) -> Says:
    return Says(lambda event: verdict)


def together(event: Event, *faults: LinkFault) -> Judgement:
    return judge([Rule(fault, Random(1)) for fault in faults], event)


def test_without_faults_everything_arrives_as_it_is_and_delays_add_up_as_long_as_they_hold() -> None:
    assert together(piece(b"abc")) == Judgement(PASS, (), b"abc", None)
    assert together(DIAL) == Judgement()
    judged = together(piece(b"abc"), Latency(0.5), Latency(0.25))
    assert (judged.verdict, judged.delay, judged.data) == (PASS, 0.75, b"abc")
    first, second = (Rule(Latency(seconds), Random(1)) for seconds in (0.5, 0.25))
    delays = judge([first, second], piece()).delays
    assert [still_late(delays, rules) for rules in ([first, second], [second], [])] == [0.75, 0.25, 0]
    assert still_late(delays, [Rule(Latency(0.25), Random(1))]) == 0
    judged = together(piece(b"ab"), Latency(0.5), ConnectionReset(byte=1))
    assert (judged.verdict, judged.delay, judged.data) == (Reset(1), 0.5, b"ab")


def test_each_fault_sees_what_the_one_before_has_altered() -> None:
    doubled = Says(lambda event: Alter(event.data * 2) if isinstance(event, Passing) else PASS)
    assert together(piece(b"ab"), doubled, doubled).data == b"abababab"
    reset_at_six = Says(lambda event: Reset(6) if isinstance(event, Passing) and len(event.data) == 8 else PASS)
    assert together(piece(b"ab"), doubled, doubled, reset_at_six).verdict == Reset(6)
    assert together(piece(b"ab"), reset_at_six, doubled, doubled).verdict is PASS


def test_the_first_that_keeps_it_from_arriving_decides_and_of_redirects_the_last() -> None:
    assert together(piece(offset=5), Partition(), ConnectionReset()).verdict is RESEND
    assert together(piece(offset=5), Loss(), Partition()).verdict is LOSE
    assert isinstance(together(piece(offset=5), ConnectionReset(), Partition()).verdict, Reset)
    assert together(DIAL, Refusal(), Partition()).verdict is REFUSE
    asked: list[Event] = []

    def listen(event: Event) -> Verdict:
        asked.append(event)
        return PASS

    together(piece(), Says(listen), Partition(), Says(listen))
    assert len(asked) == 1
    judged = together(DIAL, says(Redirect("x.nec")), Latency(0.5), says(Redirect("y.nec")))
    assert (judged.verdict, judged.delay, judged.host) == (PASS, 0.5, "y.nec")


@pytest.mark.parametrize("event", [DIAL, END])
def test_only_bytes_can_be_altered(event: Event) -> None:
    with pytest.raises(FaultFailed, match="is not a verdict on"):
        together(event, says(Alter(b"")))


def test_what_is_no_verdict_on_an_event_or_raises_is_told_of_its_fault() -> None:
    with pytest.raises(FaultFailed, match="is not a verdict on Passing"):
        together(piece(), says(Redirect("x.nec")))
    with pytest.raises(FaultFailed, match="has failed: KeyError: 'x'"):
        together(piece(), Says(_raise))


@pytest.mark.parametrize("verdict", [None, "PASS", Delay(-1.0), Delay(math.nan), Reset(cast(int, "1"))])
def test_what_is_no_verdict_is_told_of_its_fault(verdict: object) -> None:
    fault = says(cast(Verdict, verdict))
    with pytest.raises(FaultFailed, match="is not a verdict on Passing") as failure:
        together(piece(), fault)
    assert failure.value.fault is fault


def _raise(event: Event) -> Verdict:
    raise KeyError("x")


def test_no_fault_shifts_what_another_draws() -> None:
    flips = BitFlips(0.1)
    alone = judge([Rule(flips, Random(7))], piece())
    beside = judge([Rule(Latency(0.0, 1.0), Random(8)), Rule(flips, Random(7))], piece())
    assert alone.data == beside.data != piece().data
