"""G24 between nodes: a sender waits while too much of it is on its way, and goes on when some of that has gone."""

import gc

import pytest

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.events import FromPeer, Inject, Parcel, PeerFailed, PeerTook, Reply, Taken
from kernel.contract.guest import Arrival, Failure, SendAndAwait
from kernel.contract.message import (
    Envelope,
    LazyLoadBlob,
    OnExit,
    OnExitAction,
    OnExitRequest,
    Reason,
    ReplyTo,
    Request,
    Response,
    SendErrorKind,
)
from kernel.contract.process import Waiting
from tests.kernel.rig import CLOCK, TERMINAL, Rig, here, pid, respond, send, there


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A kernel that lets three messages of a process, and five of a package, be on their way."""
    monkeypatch.setattr(limits, "MAX_IN_FLIGHT_MESSAGES", 3)
    monkeypatch.setattr(limits, "MAX_IN_FLIGHT_ANSWERS", 3)
    monkeypatch.setattr(limits, "MAX_PACKAGE_IN_FLIGHT_MESSAGES", 5)
    monkeypatch.setattr(limits, "MAX_PACKAGE_IN_FLIGHT_ANSWERS", 5)
    return Rig()


def left(rig: Rig) -> list[bytes]:
    """Bodies of what was given to the net, in order."""
    return [parcel.envelope.message.body for parcel in parcels(rig)]


def parcels(rig: Rig) -> list[Parcel]:
    """What was given to the net."""
    return [action for action in rig.actions if isinstance(action, Parcel)]


def flood(rig: Rig, name: str, count: int) -> None:
    """One poll sends so many requests that expect nothing."""
    rig.poll(name, *(send(there("b"), b"%d" % number) for number in range(count)))


def waits(rig: Rig, name: str) -> bool:
    """Whether that process waits for room."""
    return rig.kernel.processes[pid(name)].waiting is Waiting.ROOM


def test_g24_a_sender_goes_on_in_order_as_its_messages_are_taken(rig: Rig) -> None:
    rig.start("a")
    flood(rig, "a", 5)
    assert (left(rig), waits(rig, "a")) == ([b"0", b"1", b"2"], True)
    rig.tell(PeerTook((parcels(rig)[0],)))
    assert (left(rig), waits(rig, "a")) == ([b"0", b"1", b"2", b"3"], True)
    rig.tell(PeerTook((parcels(rig)[1],)))
    assert (left(rig), waits(rig, "a")) == ([b"0", b"1", b"2", b"3", b"4"], False)


def test_g24_bytes_count_too_and_one_message_may_exceed_them(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_IN_FLIGHT_BYTES", 100)
    rig.start("a")
    rig.poll("a", send(there("b"), b"large", blob=bytes(500)), send(there("b"), b"small"))
    assert left(rig) == [b"large"]
    rig.tell(PeerTook((parcels(rig)[0],)))
    assert left(rig) == [b"large", b"small"]


def test_g24_a_message_that_failed_makes_room_too(rig: Rig) -> None:
    rig.start("a")
    flood(rig, "a", 4)
    rig.tell(PeerFailed(parcels(rig)[1], Reason.UNREACHABLE))
    assert left(rig) == [b"0", b"1", b"2", b"3"]
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    assert failure.error.kind is SendErrorKind.OFFLINE


def test_g24_an_await_that_waited_gets_its_response(rig: Rig) -> None:
    rig.start("a")
    flood(rig, "a", 3)
    rig.poll("a", SendAndAwait(there("b"), Request(False, 9, b"question"), None))
    rig.tell(PeerTook((parcels(rig)[0],)))
    id = parcels(rig)[-1].envelope.id
    rig.tell(FromPeer(Envelope(id, there("b"), here("a"), None, Response(False, b"answer"), None, claimed=True), "r"))
    assert rig.bodies("a") == [b"answer"]


def ask(rig: Rig, id: int, node: str = there("b").node) -> ReplyTo:
    """A process of another node asks `a`; where the answer goes."""
    asker = Address(node, pid("b"))
    asked = Envelope(id, asker, here("a"), ReplyTo(asker, id), Request(False, 9, b"q%d" % id), None, claimed=True)
    rig.tell(FromPeer(asked, id))
    return ReplyTo(asker, id)


def test_g24_what_waits_for_one_node_holds_up_nothing_for_another(rig: Rig) -> None:
    rig.start("a", "c")
    flood(rig, "c", 4)
    rig.poll("a", *(send(Address("third.nec", pid("b")), b"%d" % number) for number in range(3)))
    assert (waits(rig, "a"), waits(rig, "c")) == (False, True)
    rig.poll("a", send(there("b"), b"to whom c waits"))
    assert left(rig)[-1] == b"to whom c waits"


def test_g24_an_answer_goes_although_requests_to_that_node_wait(rig: Rig) -> None:
    rig.start("a")
    asked = ask(rig, 77)
    rig.poll("a", *(send(there("b"), b"%d" % number) for number in range(3)), respond(b"answer"))
    answer = parcels(rig)[-1]
    assert (answer.envelope.id, answer.envelope.message.body, answer.prompt) == (77, b"answer", asked)


def test_g24_an_answer_beyond_what_a_node_takes_comes_back_and_suspends_nobody(rig: Rig) -> None:
    rig.start("a")
    prompts = [ask(rig, id) for id in range(4)]
    for id in range(4):
        rig.poll("a", respond(b"answer %d" % id))
    assert left(rig) == [b"answer 0", b"answer 1", b"answer 2"]
    assert not waits(rig, "a")
    failure = rig.handed("a")[-1]
    assert isinstance(failure, Failure)
    assert (failure.error.kind, failure.error.reason) == (SendErrorKind.TIMEOUT, Reason.QUEUE_FULL)
    rig.tell(PeerTook((parcels(rig)[0],)))
    rig.poll("a", respond(b"once more"))  # G15: the prompt is the one whose answer came back
    assert (parcels(rig)[-1].envelope.message.body, parcels(rig)[-1].prompt) == (b"once more", prompts[3])


def test_g24_answers_of_a_package_to_one_node_are_bounded_too(rig: Rig) -> None:
    rig.start("a", "c", "d")
    for name in ("a", "c", "d"):
        for id in range(3):
            asker = Address("mute.nec", pid("b"))
            request = Request(False, 9, b"q")
            rig.tell(FromPeer(Envelope(id, asker, here(name), ReplyTo(asker, id), request, None, claimed=True), id))
            rig.poll(name, respond(b"answer"))
    assert len(left(rig)) == 5


def test_g24_nothing_is_kept_of_nodes_to_which_nothing_is_on_its_way(rig: Rig) -> None:
    rig.start("a")
    for number in range(50):
        rig.poll("a", send(Address(f"n{number}.nec", pid("b"))))
        rig.tell(PeerTook((parcels(rig)[-1],)))
    rig.actions.clear()
    gc.collect()
    in_flight = rig.kernel.in_flight
    assert (len(in_flight._processes), len(in_flight._packages), len(in_flight._nodes), in_flight.messages) == (
        1,
        1,
        1,
        0,
    )


def test_g24_others_are_held_back_only_by_their_own_package(rig: Rig) -> None:
    rig.start("a", "c")
    flood(rig, "a", 4)
    flood(rig, "c", 3)
    assert (len(left(rig)), waits(rig, "a"), waits(rig, "c")) == (5, True, True)
    rig.tell(PeerTook((parcels(rig)[3],)))
    assert (len(left(rig)), waits(rig, "a"), waits(rig, "c")) == (6, True, False)
    rig.tell(PeerTook((parcels(rig)[0],)))
    assert (len(left(rig)), waits(rig, "a")) == (7, False)


def test_g24_a_new_life_has_the_account_of_the_old_one(rig: Rig) -> None:
    rig.start("a")
    flood(rig, "a", 3)
    sent = parcels(rig)
    rig.end("a", "it traps")
    rig.start("a")
    flood(rig, "a", 1)
    assert waits(rig, "a")
    rig.tell(PeerTook((sent[0],)))
    assert not waits(rig, "a")


def test_g24_a_process_that_is_killed_while_it_waits_is_not_waited_for(rig: Rig) -> None:
    rig.start("a", "c")
    flood(rig, "a", 4)
    rig.end("a")
    flood(rig, "c", 3)
    assert waits(rig, "c")
    for parcel in parcels(rig)[:3]:
        rig.tell(PeerTook((parcel,)))
    assert (left(rig), rig.dead()) == ([b"0", b"1", b"2", b"0", b"1", b"2"], [Reason.PROCESS_ENDED])


def test_g24_on_exit_requests_of_a_process_with_too_much_on_its_way_are_dead_letters(rig: Rig) -> None:
    request = OnExitRequest(there("b"), Request(False, None, b"last"), None)
    rig.start("a", on_exit=OnExit(OnExitAction.REQUESTS, (request,)))
    flood(rig, "a", 3)
    rig.end("a")
    assert (left(rig), rig.dead()) == ([b"0", b"1", b"2"], [Reason.INBOX_FULL])


def test_g24_system_processes_cannot_wait_and_are_told_at_once(rig: Rig) -> None:
    for number in range(4):
        rig.tell(Inject(TERMINAL, there("b"), Request(False, 9, b"%d" % number), LazyLoadBlob(None, b""), number))
    assert left(rig) == [b"0", b"1", b"2"]
    (answered,) = (action for action in rig.actions if type(action).__name__ == "Answered")
    assert answered.answer.error.reason is Reason.INBOX_FULL  # type: ignore[union-attr]
    rig.tell(PeerTook((parcels(rig)[0],)))
    rig.tell(Inject(TERMINAL, there("b"), Request(False, 9, b"again"), LazyLoadBlob(None, b""), 5))
    assert left(rig)[-1] == b"again"


def test_g24_a_node_that_takes_no_answers_of_system_processes_silences_them_to_no_other(rig: Rig) -> None:
    for number in range(4):
        rig.tell(Reply(CLOCK, ReplyTo(there("b"), number), Response(False, b"%d" % number), None))
    assert (left(rig), rig.dead()) == ([b"0", b"1", b"2"], [Reason.INBOX_FULL])
    third = Address("third.nec", pid("b"))
    rig.tell(Reply(CLOCK, ReplyTo(third, 5), Response(False, b"time"), None))
    rig.tell(Inject(TERMINAL, third, Request(False, None, b"the user's"), None, "token"))
    assert left(rig)[3:] == [b"time", b"the user's"]


def test_g24_a_process_that_waits_still_has_its_requests_taken_from_its_peers(rig: Rig) -> None:
    rig.start("a")
    flood(rig, "a", 4)
    rig.tell(FromPeer(Envelope(5, there("b"), here("a"), None, Request(False, None, b"in"), None, claimed=True), "r"))
    assert rig.all(Taken) == [Taken("r")]
    rig.tell(PeerTook((parcels(rig)[0],)))
    assert [answer.message.body for answer in rig.handed("a") if isinstance(answer, Arrival)] == [b"in"]
