"""Requests whose outcome a guest is told, and sleeps that end with it (WASI's waiting for servers)."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.events import Abandoned, Kill, ResumeGuest, TellGuest
from kernel.contract.guest import Arrival, Poll, SendAndHear, Sleep, StopHearing, Woken
from kernel.contract.memory import Unmetered
from kernel.contract.message import LazyLoadBlob, Reason, ReplyTo, Request
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


def test_an_ask_that_is_not_wanted_any_more_has_no_outcome_and_who_was_asked_is_told(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", ask(1), ask(2), poll=Poll.PREEMPTED)
    first = rig.kernel.processes[pid("a")].asks[1]
    rig.poll("a", StopHearing(1), Sleep(50.0), poll=Poll.CALL)
    assert [each for each in rig.actions if isinstance(each, Abandoned)] == [
        Abandoned(here("b"), ReplyTo(here("a"), first))
    ]
    rig.poll("b", respond(b"not awaited"))
    assert told(rig) == []
    rig.poll("b", respond(b"awaited"))
    assert told(rig) == [(2, b"awaited")]
    assert rig.kernel.statistics()["outstanding"] == 0
    assert rig.kernel.next_deadline() is None


def test_what_is_not_wanted_twice_or_after_its_outcome_tells_nobody(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", ask(1), ask(2, NOBODY), poll=Poll.PREEMPTED)
    rig.poll("b", respond())
    rig.poll("a", *map(StopHearing, (1, 1, 2, 3)), poll=Poll.PREEMPTED)
    assert [each for each in rig.actions if isinstance(each, Abandoned)] == []


class Paid(Unmetered):
    """Counts what is paid for."""

    bytes = 0

    def add(self, size: int) -> None:
        self.bytes += size

    def remove(self, size: int) -> None:
        self.bytes -= size


@pytest.mark.parametrize("end", [StopHearing(1), Kill(pid("a"))])
def test_an_answer_counts_as_memory_of_the_package_until_the_guest_has_taken_it(
    rig: Rig, end: StopHearing | Kill
) -> None:
    rig.start("a", "b")
    account = rig.kernel.processes[pid("a")].account = Paid()
    rig.poll("a", ask(1), poll=Poll.PREEMPTED)
    rig.poll("b", respond(b"x" * 100_000, blob=bytes(1_000_000)))
    assert account.bytes == pytest.approx(1_100_000, abs=1000)
    if isinstance(end, Kill):
        rig.tell(end)
    else:
        rig.poll("a", end, poll=Poll.PREEMPTED)
    assert account.bytes == 0


def test_an_answer_for_which_the_package_has_no_memory_is_an_error(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.start("a", "b")
    process = rig.kernel.processes[pid("a")]
    account = process.account = process.mailbox._account = Paid()
    monkeypatch.setattr(Paid, "has_room", lambda self: self.bytes < 1_000_000)
    rig.poll("a", ask(1), ask(2), ask(3), Sleep(50.0), poll=Poll.CALL)
    for _ in range(3):
        rig.poll("b", respond(b"x", blob=bytes(600_000)))
    assert told(rig) == [(1, b"x"), (2, b"x"), (3, Reason.INBOX_FULL)]
    assert account.bytes == pytest.approx(1_200_000, abs=2000)
