"""How requests end (G5, G14, G16), what is counted of them, and what ends who does not receive their outcomes (G23)."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.events import Answered, CloseGuest, DeadLetter, Inject, Output, PeerFailed, Reply
from kernel.contract.guest import Arrival, Poll, SendAndAwait
from kernel.contract.message import Reason, ReplyTo, Request, Response
from tests.kernel.rig import CLOCK, TERMINAL, Rig, from_peer, here, parcel, pid, respond, send, there


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


def test_g7_deadlines_of_answered_requests_do_not_pile_up(rig: Rig) -> None:
    rig.start("a", "b")
    for _ in range(5000):
        rig.poll("a", send(here("b"), expects=1000))
        rig.poll("b", respond())
        rig.receive("a")
    assert rig.kernel.outstanding._queued < 2000


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


def test_g10_a_request_that_came_back_to_its_sender_is_answered_by_the_node_it_went_on_to(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(here("b"), expects=9, context=b"ctx"))
    rig.poll("b", send(here("a"), inherit=True))
    rig.poll("a", send(there("x"), inherit=True))
    reply_to = parcel(rig).envelope.reply_to
    assert reply_to is not None
    from_peer(rig, "x", "a", Response(False, b"from x"), id=reply_to.id)
    assert rig.bodies("a")[-1] == b"from x"


def test_g23_a_process_that_never_receives_its_outcomes_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_OUTSTANDING", 10)
    rig.start("a")
    rig.poll("a", *(send(here("nobody"), expects=9) for _ in range(20)))
    assert any(isinstance(a, CloseGuest) and a.process == pid("a") for a in rig.actions)
    assert any(isinstance(a, Output) and "does not receive" in a.text for a in rig.actions)


def test_g5_statistics_count_what_was_handed_over_and_how_requests_ended_also_of_processes_that_have_ended(
    rig: Rig,
) -> None:
    rig.start("a", "b")
    rig.poll("a", *(send(here("b"), expects=5) for _ in range(3)), send(here("nobody"), expects=5))
    rig.poll("b", respond())
    rig.receive("a")
    rig.poll("a", send(there("b"), expects=5))
    rig.tell(PeerFailed(parcel(rig), Reason.UNREACHABLE))
    rig.receive("a")
    figures = rig.kernel.statistics()
    assert {name: figures[name] for name in ("messages", "answered", "offline", "timeout")} == {
        "messages": 5,
        "answered": 1,
        "offline": 1,
        "timeout": 1,
    }
    rig.end("a")
    rig.end("b")
    after = rig.kernel.statistics()
    assert (after["processes"], after["messages"], after["answered"]) == (0, 5, 1)


def test_the_user_gets_the_outcome_of_an_injected_request(rig: Rig) -> None:
    rig.start("b", public=False)
    rig.tell(Inject(TERMINAL, Address("our", pid("b")), Request(False, 5, b"q"), None, "token"))
    rig.poll("b", respond(b"a"))
    (answered,) = [a for a in rig.actions if isinstance(a, Answered)]
    assert answered.token == "token"
    assert isinstance(answered.answer, Arrival)
    assert answered.answer.message.body == b"a"


@pytest.mark.parametrize(("target", "expects", "words"), [("a", 5, "oneself"), ("b", None, "expects a response")])
def test_g8_awaiting_oneself_or_nothing_traps_and_says_so(
    rig: Rig, target: str, expects: int | None, words: str
) -> None:
    rig.start("a", "b")
    rig.poll("a", SendAndAwait(here(target), Request(False, expects, b""), None), poll=Poll.CALL)
    assert any(isinstance(a, Output) and words in a.text for a in rig.actions)
    assert any(isinstance(a, CloseGuest) and a.process == pid("a") for a in rig.actions)


def test_g5_an_answer_of_a_system_process_that_nobody_waits_for_is_dropped(rig: Rig) -> None:
    rig.start("a")
    rig.tell(Reply(CLOCK, ReplyTo(here("a"), 99), Response(False, b"late"), None))
    assert (rig.dead(), rig.handed("a")) == ([Reason.NOT_AWAITED], [])
