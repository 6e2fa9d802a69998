"""Requests whose outcome a guest is told, and sleeps that end with it (WASI's waiting for servers)."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.events import Kill, ResumeGuest, TellGuest
from kernel.contract.guest import Arrival, Poll, SendAndHear, Sleep, Woken
from kernel.contract.message import LazyLoadBlob, Reason, Request
from tests.kernel.rig import Rig, here, pid, respond, send

NOBODY = here("nobody")


def ask(number: int, target: Address | None = None, seconds: int = 10) -> SendAndHear:
    return SendAndHear(number, target or here("b"), Request(False, seconds, b"ask"), LazyLoadBlob(None, b"blob"))


def told(rig: Rig) -> list[tuple[int, object]]:
    """Numbers and outcomes: the body of an answer, or the reason of an error."""
    found = [action for action in rig.actions if isinstance(action, TellGuest) and action.process == pid("a")]
    return [
        (each.number, each.outcome.message.body if isinstance(each.outcome, Arrival) else each.outcome.error.reason)
        for each in found
    ]


def resumed(rig: Rig) -> list[object]:
    return [each.answer for each in rig.actions if isinstance(each, ResumeGuest) and each.process == pid("a")]


def test_an_answer_wakes_the_guest_that_sleeps_and_is_no_message_to_it(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", ask(7), Sleep(5.0), poll=Poll.CALL)
    rig.poll("b", respond(b"yes"))
    assert (told(rig), resumed(rig), rig.handed("a")) == ([(7, b"yes")], [Woken()], [])
    assert rig.kernel.next_deadline() is None, "the time that it has not slept for is nobody's"


def test_an_answer_that_comes_while_the_guest_runs_is_not_slept_through(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", ask(1), poll=Poll.PREEMPTED)
    rig.poll("b", respond())
    rig.poll("a", Sleep(5.0), poll=Poll.CALL)
    assert resumed(rig) == [Woken()]
    rig.poll("a", Sleep(5.0), poll=Poll.CALL)
    assert resumed(rig) == [Woken()], "once"
    rig.tick(5.0)
    assert resumed(rig) == [Woken(), None]


def test_a_time_that_was_slept_for_before_ends_no_later_sleep(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", ask(1), Sleep(5.0), poll=Poll.CALL)
    rig.poll("b", respond())
    rig.poll("a", Sleep(9.0), poll=Poll.CALL)
    rig.tick(5.0)
    assert resumed(rig) == [Woken()]
    assert rig.kernel.next_deadline() == 9.0


def test_g5_each_ask_has_one_outcome_whatever_becomes_of_it(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", ask(1), ask(2), ask(3, NOBODY), Sleep(50.0), poll=Poll.CALL)
    assert told(rig) == [(3, Reason.NO_SUCH_PROCESS)]
    rig.tick(10.0)
    assert told(rig)[1:] == [(1, Reason.EXPIRED), (2, Reason.EXPIRED)]
    rig.poll("b", respond())
    assert len(told(rig)) == 3
    assert rig.kernel.processes[pid("a")].asks == {}


def test_g14_an_ask_fails_when_who_owes_its_answer_ends(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", ask(1), Sleep(50.0), poll=Poll.CALL)
    rig.end("b")
    assert told(rig) == [(1, Reason.PROCESS_ENDED)]


def test_g17_an_ask_needs_the_capability_that_a_message_needs(rig: Rig) -> None:
    rig.start("b", public=False)
    rig.start("a", public=False)
    rig.poll("a", ask(1), Sleep(50.0), poll=Poll.CALL)
    assert told(rig) == [(1, Reason.NO_CAPABILITY)]


def test_g9_an_ask_leaves_the_prompt_and_the_blob_as_they_are(rig: Rig) -> None:
    rig.start("a", "b", "c")
    rig.poll("c", send(here("a"), expects=20, blob=b"of c"))
    rig.poll("a", ask(1), Sleep(50.0), poll=Poll.CALL)
    rig.poll("b", respond(b"to the ask", blob=b"of b"))
    rig.poll("a", respond(b"to c", inherit=True))
    (answer,) = rig.handed("c")
    assert isinstance(answer, Arrival)
    assert (answer.message.body, answer.blob) == (b"to c", LazyLoadBlob(None, b"of c"))


def test_g24_who_waits_for_room_to_ask_goes_on_when_the_ask_has_run_out_of_time(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
    rig.start("a", "b", "c")
    rig.poll("b", Sleep(99.0), poll=Poll.CALL)
    rig.poll("c", send(here("b")))
    rig.poll("a", ask(1, seconds=3), send(here("c"), b"after"), Sleep(50.0), poll=Poll.CALL)
    assert told(rig) == []
    rig.tick(3.0)
    assert told(rig) == [(1, Reason.EXPIRED)]
    assert b"after" in rig.bodies("c")
    assert resumed(rig) == [Woken()]


def test_one_that_is_killed_is_told_nothing_more(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", ask(1), Sleep(50.0), poll=Poll.CALL)
    rig.tell(Kill(pid("a")))
    rig.poll("b", respond())
    assert told(rig) == []
    assert rig.kernel.next_deadline() is None
