"""How a peer is reached: every endpoint, a fresh record, a pause, and an end."""

from net.contract.events import FailureReason
from net.names.directory import Endpoint
from net.session.reach import GiveUp, LookUp, Reach, Route, Try, Wait

ONE, TWO = Route(Endpoint("one", 1)), Route(Endpoint("two", 2))
REFUSED, BAD_KEY, UNREACHABLE = FailureReason.REFUSED, FailureReason.BAD_KEY, FailureReason.UNREACHABLE


def test_every_endpoint_is_tried_in_order_then_the_name_is_looked_up_then_it_is_over() -> None:
    reach = Reach(5.0, reviving=False)
    assert reach.begin((ONE, TWO), 0.0, 0.5) == Try(ONE, 5 / 3)
    assert reach.failed(REFUSED, 0.0, 0.5) == Try(TWO, 5 / 3)
    assert reach.failed(REFUSED, 0.0, 0.5) == LookUp()
    assert reach.looked_up((ONE, TWO), 0.0, 0.5) == GiveUp(REFUSED)


def test_a_new_record_is_tried() -> None:
    reach = Reach(5.0, reviving=False)
    reach.begin((ONE,), 0.0, 0.5)
    reach.failed(BAD_KEY, 0.0, 0.5)
    assert reach.looked_up((TWO,), 0.0, 0.5) == Try(TWO, 5.0)
    assert reach.failed(REFUSED, 0.0, 0.5) == GiveUp(REFUSED)


def test_a_bad_key_is_told_rather_than_a_refusal() -> None:
    reach = Reach(5.0, reviving=False, may_look_up=False)
    reach.begin((ONE, TWO), 0.0, 0.5)
    reach.failed(BAD_KEY, 0.0, 0.5)
    assert reach.failed(REFUSED, 0.0, 0.5) == GiveUp(BAD_KEY)


def test_what_may_pass_is_tried_again_after_growing_pauses_until_the_deadline() -> None:
    reach = Reach(5.0, reviving=False, may_look_up=False)
    reach.begin((ONE,), 0.0, 0.5)
    now, pauses = 0.0, []
    while isinstance(step := reach.failed(UNREACHABLE, now, 0.5), Wait):
        pauses.append(round(step.until - now, 6))
        now = step.until
        if isinstance(end := reach.woken((ONE,), now, 0.5), GiveUp):
            break
        assert isinstance(end, Try)
    assert pauses[:6] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0]
    assert now == 5.0
    assert end == GiveUp(UNREACHABLE)


def test_a_revived_session_retries_refusals_too_and_ends_as_lost() -> None:
    reach = Reach(5.0, reviving=True, may_look_up=False)
    assert reach.pause(0.0, 1.0, dialer=True) == Wait(0.05)
    assert reach.woken((ONE,), 0.05, 0.5) == Try(ONE, 5.0)
    assert reach.failed(REFUSED, 0.05, 0.5) == Wait(0.1)
    assert reach.woken((ONE,), 5.0, 0.5) == GiveUp(FailureReason.CONNECTION_LOST)


def test_whoever_accepted_lets_the_dialer_try_first() -> None:
    assert Reach(5.0, reviving=True).pause(0.0, 1.0, dialer=False) == Wait(0.25)


def test_who_only_expects_the_other_side_dials_nothing() -> None:
    reach = Reach(5.0, reviving=True)
    assert reach.expect() == Wait(5.0)
    assert reach.failed(UNREACHABLE, 1.0, 0.5) == Wait(5.0)
    assert reach.woken((ONE,), 5.0, 0.5) == GiveUp(FailureReason.CONNECTION_LOST)


def test_a_peer_without_a_way_is_unreachable() -> None:
    reach = Reach(5.0, reviving=False, may_look_up=False)
    assert reach.begin((), 0.0, 0.5) == GiveUp(UNREACHABLE)


def test_an_attempt_never_outlasts_the_deadline() -> None:
    reach = Reach(0.5, reviving=False, may_look_up=False)
    assert reach.begin((ONE, TWO), 0.0, 0.5) == Try(ONE, 0.5)
    assert reach.failed(UNREACHABLE, 0.5, 0.5) == GiveUp(UNREACHABLE)
