"""Requests end once (G5), with context and prompt (G6, G9), in time (G7), and for a reason (G13, G14)."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.events import Answered, DeadLetter, Inject, PeerFailed
from kernel.contract.guest import Arrival, Failure, Poll, SendAndAwait
from kernel.contract.message import LazyLoadBlob, Reason, Request, SendErrorKind
from tests.kernel.rig import TERMINAL, Rig, here, parcel, pid, respond, send, there


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_g5_a_response_ends_a_request_once_and_a_second_is_dropped_and_counted(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(here("b"), expects=5))
    rig.poll("b", respond(b"one"), respond(b"two"))
    rig.receive("a")
    assert rig.bodies("a") == [b"one"]
    assert rig.kernel.statistics()["dropped"] == 1
    assert rig.dead() == [Reason.NOT_AWAITED]
    rig.tick(100)
    assert rig.bodies("a") == [b"one"]


def test_g16_what_a_process_was_handling_when_it_ended_is_a_dead_letter_and_what_waited_for_it_is_one_more(
    rig: Rig,
) -> None:
    rig.start("a", "b")
    rig.poll("a", send(here("b"), b"first", expects=5), send(here("b"), b"second", expects=5))
    rig.tell(Inject(TERMINAL, here("b"), Request(False, 5, b"the user's"), None, "token"))
    rig.end("b")
    letters = [action for action in rig.actions if isinstance(action, DeadLetter)]
    assert {letter.reason for letter in letters} == {Reason.PROCESS_ENDED}
    found = [(each.envelope.source, each.envelope.target, each.envelope.message.body) for each in letters]
    ours = Address(here("b").node, TERMINAL)
    expected = [(here("a"), here("b"), b"first"), (here("a"), here("b"), b"second"), (ours, here("b"), b"the user's")]
    assert sorted(found) == sorted(expected)


def test_g16_a_users_request_that_died_with_its_process_is_a_dead_letter(rig: Rig) -> None:
    rig.start("b")
    rig.receive("b")
    rig.tell(Inject(TERMINAL, here("b"), Request(False, 5, b"the user's"), None, "token"))
    rig.end("b")
    (letter,) = [action for action in rig.actions if isinstance(action, DeadLetter)]
    assert (letter.envelope.source, letter.reason) == (Address(here("b").node, TERMINAL), Reason.PROCESS_ENDED)
    assert letter.envelope.message.body == b"the user's"


def test_g5_a_response_after_the_timeout_is_dropped(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(here("b"), b"q", expects=5))
    rig.tick(5)
    rig.poll("b", respond(b"late"))
    rig.receive("a")
    assert rig.bodies("a") == [b"q"]
    assert rig.kernel.statistics()["dropped"] == 1


def test_g6_the_context_comes_back_with_the_response_and_with_the_error(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(here("b"), expects=5, context=b"one"), send(here("b"), expects=7, context=b"two"))
    rig.poll("b", respond())
    rig.receive("a")
    rig.receive("b")
    rig.tick(7)
    assert [answer.context for answer in rig.handed("a")] == [b"one", b"two"]
    assert all(not isinstance(a, Arrival) or a.context is None for a in rig.handed("b"))


def test_g7_timeouts_are_seconds_from_the_send(rig: Rig) -> None:
    rig.start("a", "b")
    rig.now = 10.0
    rig.poll("a", send(here("b"), b"slow", expects=3), send(here("b"), b"quick", expects=2))
    assert rig.kernel.next_deadline() == 12.0
    rig.tick(11.5)
    assert rig.bodies("a") == []
    rig.tick(12.0)
    rig.receive("a")
    assert rig.bodies("a") == [b"quick"]
    assert rig.kernel.next_deadline() == 13.0


def test_g7_a_timeout_of_zero_fires_at_the_next_turn(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(here("b"), expects=0))
    assert rig.kernel.next_deadline() == rig.now
    rig.tick(rig.now)
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    assert (failure.error.kind, failure.error.reason) == (SendErrorKind.TIMEOUT, Reason.EXPIRED)


def test_g7_a_timeout_of_u64_max_never_fires_and_breaks_nothing(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(here("b"), expects=2**64 - 1))
    rig.tick(1e12)
    assert rig.handed("a") == []


def test_g7_deadlines_of_answered_requests_do_not_pile_up(rig: Rig) -> None:
    rig.start("a", "b")
    for _ in range(5000):
        rig.poll("a", send(here("b"), expects=1000))
        rig.poll("b", respond())
        rig.receive("a")
    assert rig.kernel.outstanding._queued < 2000


@pytest.mark.parametrize("reason", [Reason.NO_SUCH_NAME, Reason.UNREACHABLE, Reason.BAD_KEY, Reason.CONNECTION_LOST])
def test_g13_a_node_that_cannot_be_reached_is_offline_with_everything_the_sender_sent(rig: Rig, reason: Reason) -> None:
    rig.start("a")
    rig.poll("a", send(there("b"), b"q", expects=9, context=b"ctx", blob=b"data"))
    rig.tell(PeerFailed(parcel(rig), reason))
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    error = failure.error
    assert (error.kind, error.reason, error.target) == (SendErrorKind.OFFLINE, reason, there("b"))
    assert (error.message.body, error.blob, failure.context) == (b"q", LazyLoadBlob(None, b"data"), b"ctx")


def test_g13_a_message_that_is_too_large_is_no_offline(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", send(there("b"), expects=9))
    rig.tell(PeerFailed(parcel(rig), Reason.TOO_LARGE))
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    assert failure.error.kind is SendErrorKind.TIMEOUT


def test_g14_a_request_that_wanted_no_response_comes_back_as_offline_too(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", send(there("b"), b"news", context=b"ctx"))
    rig.tell(PeerFailed(parcel(rig), Reason.UNREACHABLE))
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    assert (failure.error.kind, failure.context) == (SendErrorKind.OFFLINE, b"ctx")


def test_g14_an_offline_after_the_timeout_is_no_second_outcome(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", send(there("b"), b"q", expects=1))
    sent = parcel(rig)
    rig.tick(1)
    rig.tell(PeerFailed(sent, Reason.UNREACHABLE))
    rig.receive("a")
    assert len(rig.handed("a")) == 1


def test_g14_no_such_process_is_a_timeout_at_once(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", send(here("nobody"), expects=9))
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    assert (failure.error.kind, failure.error.reason) == (SendErrorKind.TIMEOUT, Reason.NO_SUCH_PROCESS)


def test_g14_what_expects_no_response_goes_to_the_dead_letters(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", send(here("nobody")))
    assert rig.handed("a") == []
    assert rig.dead() == [Reason.NO_SUCH_PROCESS]


@pytest.mark.parametrize("read", [False, True])
def test_g14_when_a_process_ends_whoever_waits_for_it_gets_timeout_at_once(rig: Rig, read: bool) -> None:
    rig.start("a", "b")
    if not read:
        rig.poll("a", send(here("b"), b"busy"))
    rig.poll("a", send(here("b"), b"q", expects=100))
    rig.end("b")
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    assert failure.error.reason is Reason.PROCESS_ENDED


def test_g14_the_end_of_a_process_that_passed_the_request_on_changes_nothing(rig: Rig) -> None:
    rig.start("a", "b", "c")
    rig.poll("a", send(here("b"), b"q", expects=100))
    rig.poll("b", send(here("c"), inherit=True))
    rig.end("b")
    assert rig.handed("a") == []
    rig.end("c")
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    assert failure.error.reason is Reason.PROCESS_ENDED


def test_g14_while_another_node_may_answer_the_end_of_a_local_process_fails_nothing(rig: Rig) -> None:
    rig.start("a", "b", "c")
    rig.poll("a", send(here("b"), b"ask", expects=60))
    rig.poll("b", send(there("x"), b"passed on", inherit=True), send(here("c"), b"passed on too", inherit=True))
    rig.end("c")
    rig.end("b")
    assert rig.handed("a") == []


def test_g23_answers_beyond_what_an_inbox_holds_are_timeouts_and_end_nobody(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_ANSWER_BYTES", 20)
    rig.start("a", "b", "c")
    rig.poll("a", *(send(here("b"), bytes([n]), expects=9) for n in range(3)), poll=Poll.PREEMPTED)
    for _ in range(3):
        rig.poll("b", respond(blob=b"x" * 8))
    for _ in range(3):
        rig.receive("a")
    answers = [isinstance(answer, Arrival) for answer in rig.handed("a")]
    assert answers == [True, True, False]
    assert rig.dead() == [Reason.INBOX_FULL]
    assert pid("a") in rig.kernel.processes


def test_g13_an_error_for_a_process_that_has_ended_is_not_given_to_its_successor(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", send(there("b"), b"news", context=b"secret"))
    sent = parcel(rig)
    rig.start("a")
    rig.tell(PeerFailed(sent, Reason.UNREACHABLE))
    assert rig.handed("a") == []


def test_g5_requests_that_expire_together_each_have_their_outcome(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
    rig.start("a", "b", "c", "d")
    rig.poll("b", send(here("c"), b"0"), send(here("c"), b"1"), send(here("a"), b"2"), send(here("a"), b"3"))
    rig.poll("a", send(here("c"), b"stalls", expects=0))
    rig.poll("d", SendAndAwait(here("a"), Request(False, 3, b"awaits"), None), poll=Poll.CALL)
    rig.tick(5)
    for _ in range(4):
        rig.receive("a")
    assert rig.bodies("d") == [b"awaits"]
    assert rig.kernel.statistics()["outstanding"] == 0


def test_the_user_gets_the_outcome_of_an_injected_request(rig: Rig) -> None:
    rig.start("b", public=False)
    rig.tell(Inject(TERMINAL, Address("our", pid("b")), Request(False, 5, b"q"), None, "token"))
    rig.poll("b", respond(b"a"))
    (answered,) = [a for a in rig.actions if isinstance(a, Answered)]
    assert answered.token == "token"
    assert isinstance(answered.answer, Arrival)
    assert answered.answer.message.body == b"a"
