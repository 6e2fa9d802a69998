"""A process that starts in place of another one of its name gets the requests that this one has not taken."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.capability import Capability
from kernel.contract.events import Answered, Expect, Inject, KillAll, Settled, Taken
from kernel.contract.guest import Arrival, Failure
from kernel.contract.message import Reason, ReplyTo, Request
from tests.kernel.rig import TERMINAL, Rig, from_peer, here, parcel, pid, respond, send, there


@pytest.fixture
def rig() -> Rig:
    """A node on which a and c run, and b, which is busy with a request of a."""
    rig = Rig()
    rig.start("a", "b", "c")
    rig.poll("a", send(here("b"), b"taken", expects=30))
    return rig


def replace(rig: Rig, *, network: bool = True, starts: bool = True) -> None:
    """Another version of b takes its place."""
    rig.tell(Expect((pid("b"),)))
    rig.tell(KillAll((pid("b"),)))
    if starts:
        rig.start("b", network=network)
    rig.tell(Settled((pid("b"),)))


def test_g14_a_request_that_was_taken_and_not_answered_is_timeout_at_once(rig: Rig) -> None:
    replace(rig)
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    assert (failure.error.reason, rig.dead()) == (Reason.PROCESS_ENDED, [Reason.PROCESS_ENDED])


def test_g4_requests_that_wait_go_to_the_new_process_in_order(rig: Rig) -> None:
    rig.poll("c", *(send(here("b"), b"%d" % number) for number in range(5)))
    from_peer(rig, "x", "b", Request(False, None, b"remote"), receipt=1)
    replace(rig)
    for _ in range(5):
        rig.receive("b")
    bodies = rig.bodies("b")[1:]
    assert sorted(bodies) == [b"0", b"1", b"2", b"3", b"4", b"remote"]
    assert [each for each in bodies if each != b"remote"] == [b"0", b"1", b"2", b"3", b"4"]
    assert rig.all(Taken) == [Taken(1)]  # once


def test_g5_the_new_process_answers_what_the_former_one_was_asked(rig: Rig) -> None:
    rig.poll("c", send(here("b"), b"waits", expects=30))
    rig.tell(Inject(TERMINAL, here("b"), Request(False, 30, b"from the user"), None, "token"))
    replace(rig)
    rig.poll("b", respond(b"one"))
    rig.poll("b", respond(b"two"))
    assert rig.bodies("c") == [b"one"]
    (answered,) = rig.all(Answered)
    assert isinstance(answered, Answered)
    assert isinstance(answered.answer, Arrival)
    assert answered.answer.message.body == b"two"


def test_g5_a_peer_that_has_asked_the_former_process_gets_the_answer_of_the_new_one(rig: Rig) -> None:
    from_peer(rig, "x", "b", Request(False, 30, b"1"), ReplyTo(there("x"), 77))
    replace(rig)
    rig.poll("b", respond(b"yes"))
    answer = parcel(rig).envelope
    assert (answer.id, answer.target, answer.message.body) == (77, there("x"), b"yes")


def test_g14_if_the_new_process_ends_as_well_whoever_waits_gets_timeout_at_once(rig: Rig) -> None:
    rig.poll("c", send(here("b"), b"waits", expects=30))
    replace(rig)
    assert rig.handed("c") == []
    rig.end("b", "trap")
    (failure,) = rig.handed("c")
    assert isinstance(failure, Failure)
    assert failure.error.reason is Reason.PROCESS_ENDED


def test_g14_if_there_is_no_new_process_in_the_end_everybody_is_told(rig: Rig) -> None:
    rig.poll("c", send(here("b"), b"waits", expects=30), send(here("b"), b"expects nothing"))
    replace(rig, starts=False)
    (failure,) = rig.handed("c")
    assert isinstance(failure, Failure)
    assert failure.error.reason is Reason.PROCESS_ENDED
    assert rig.dead() == [Reason.PROCESS_ENDED] * 3


def test_g19_what_a_peer_has_sent_is_refused_if_the_new_process_has_no_network(rig: Rig) -> None:
    from_peer(rig, "x", "b", Request(False, None, b"1"))
    replace(rig, network=False)
    assert rig.bodies("b") == [b"taken"]
    assert rig.dead()[-1] is Reason.NO_CAPABILITY


def test_g7_a_request_that_waits_keeps_its_deadline(rig: Rig) -> None:
    rig.poll("c", send(here("b"), b"waits", expects=30))
    rig.tick(29)
    replace(rig)
    assert rig.handed("c") == []
    rig.tick(30)
    (failure,) = rig.handed("c")
    assert isinstance(failure, Failure)
    assert failure.error.reason is Reason.EXPIRED


def test_g24_senders_that_wait_for_room_go_on_with_the_new_process(rig: Rig) -> None:
    rig.poll("c", *(send(here("b"), b"%d" % number) for number in range(limits.MAX_INBOX_MESSAGES + 2)))
    from_peer(rig, "x", "b", Request(False, None, b"remote"), receipt=1)
    assert rig.all(Taken) == []
    replace(rig)
    assert rig.all(Taken) == []  # the mailbox is full still: one was taken, and one waits to be sent
    for _ in range(limits.MAX_INBOX_MESSAGES + 3):
        rig.receive("b")
    bodies = rig.bodies("b")[1:]
    assert len(bodies) == limits.MAX_INBOX_MESSAGES + 3
    assert rig.all(Taken) == [Taken(1)]
    assert [each for each in bodies if each != b"remote"] == [
        b"%d" % number for number in range(limits.MAX_INBOX_MESSAGES + 2)
    ]
    assert rig.dead() == [Reason.PROCESS_ENDED]


def test_g21_what_a_killed_process_has_issued_is_taken_out_of_what_the_new_one_gets(rig: Rig) -> None:
    given = Capability(here("c"), '"right"')
    request = send(here("b"), b"1")
    rig.poll("c", request._replace(request=request.request._replace(capabilities=(given,))))
    rig.tell(Expect((pid("b"),)))
    rig.tell(KillAll((pid("b"),)))
    rig.tell(KillAll((pid("c"),)))
    rig.start("b")
    rig.tell(Settled((pid("b"),)))
    arrival = rig.handed("b")[-1]
    assert arrival.message.capabilities == ()  # type: ignore[union-attr]


def test_g14_a_kill_alone_still_tells_everybody_at_once(rig: Rig) -> None:
    rig.poll("c", send(here("b"), b"waits", expects=30))
    rig.tell(KillAll((pid("b"),)))
    assert [type(each) for each in (*rig.handed("a"), *rig.handed("c"))] == [Failure, Failure]
