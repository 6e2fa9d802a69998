"""How long there is nothing to do with a peer that has broken the protocol, to the second."""

import pytest

from net.base.errors import (
    BadFrame,
    BadHandshake,
    BadRecord,
    CreditOverrun,
    NoRoom,
    NotBelieved,
    NotRead,
    ProtocolViolation,
    Stalled,
)
from net.base.limits import MAX_SESSIONS
from net.peering.penalties import Penalties


def test_the_pause_doubles_up_to_a_minute() -> None:
    penalties, now, pauses = Penalties(), 100.0, []
    for _ in range(9):
        pauses.append(penalties.punish("bad.test", BadFrame("junk"), now))
        now = penalties.until("bad.test", now) or 0.0
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_pause_is_over_when_its_time_has_come_and_concerns_one_name() -> None:
    penalties = Penalties()
    penalties.punish("bad.test", BadFrame("junk"), 10.0)
    assert penalties.until("bad.test", 10.999) == 11.0
    assert penalties.until("bad.test", 11.0) is None
    assert penalties.until("good.test", 10.0) is None


@pytest.mark.parametrize(("behaved", "pause"), [(119.9, 4.0), (120.0, 1.0)])
def test_two_minutes_of_good_behaviour_after_the_pause_are_enough(behaved: float, pause: float) -> None:
    penalties = Penalties()
    penalties.punish("bad.test", BadFrame("junk"), 0.0)
    penalties.punish("bad.test", BadFrame("junk"), 1.0)
    assert penalties.punish("bad.test", BadFrame("junk"), 3.0 + behaved) == pause


@pytest.mark.parametrize("violation", [BadFrame(""), CreditOverrun(""), Stalled("")])
def test_what_only_the_peer_can_have_done_is_an_offence(violation: ProtocolViolation) -> None:
    assert Penalties().punish("bad.test", violation, 0.0) == 1.0


@pytest.mark.parametrize("violation", [BadRecord(""), BadHandshake(""), NotBelieved(""), NoRoom(""), NotRead("")])
def test_what_somebody_else_may_have_done_is_none(violation: ProtocolViolation) -> None:
    assert Penalties().punish("bad.test", violation, 0.0) is None


def test_so_many_names_are_remembered_and_the_oldest_offender_is_forgotten() -> None:
    penalties = Penalties()
    for index in range(MAX_SESSIONS + 1):
        penalties.punish(f"n{index}.test", BadFrame("junk"), 0.0)
    assert penalties.until("n0.test", 0.5) is None
    assert penalties.until("n1.test", 0.5) == penalties.until(f"n{MAX_SESSIONS}.test", 0.5) == 1.0
