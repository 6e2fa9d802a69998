"""What goes along with what a process sends (G8 to G11), and what comes back to it (G15)."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.events import CloseGuest, Output, PeerFailed
from kernel.contract.guest import Arrival, Failure, Poll, SendAndAwait
from kernel.contract.message import LazyLoadBlob, Reason, ReplyTo, Request, Response, SendErrorKind
from tests.kernel.rig import Rig, from_peer, here, parcel, pid, respond, send, there


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_g8_awaiting_leaves_all_other_messages_queued_in_order(rig: Rig) -> None:
    rig.start("a", "b", "c")
    rig.poll("a", SendAndAwait(here("b"), Request(False, 5, b"q"), None), poll=Poll.CALL)
    rig.poll("c", send(here("a"), b"1"), send(here("a"), b"2"))
    assert rig.bodies("a") == []
    rig.poll("b", respond(b"answer"))
    assert rig.bodies("a") == [b"answer"]
    rig.receive("a")
    rig.receive("a")
    assert rig.bodies("a") == [b"answer", b"1", b"2"]


@pytest.mark.parametrize(("target", "expects", "words"), [("a", 5, "oneself"), ("b", None, "expects a response")])
def test_g8_awaiting_oneself_or_nothing_traps_and_says_so(
    rig: Rig, target: str, expects: int | None, words: str
) -> None:
    rig.start("a", "b")
    rig.poll("a", SendAndAwait(here(target), Request(False, expects, b""), None), poll=Poll.CALL)
    assert any(isinstance(a, Output) and words in a.text for a in rig.actions)
    assert any(isinstance(a, CloseGuest) and a.process == pid("a") for a in rig.actions)


def test_g9_a_response_restores_the_prompt_that_was_current_when_its_request_was_sent(rig: Rig) -> None:
    rig.start("a", "b", "c", "d")
    rig.poll("a", send(here("b"), b"first", expects=9))
    rig.poll("b", send(here("c"), b"help", expects=9))
    rig.poll("d", send(here("b"), b"second", expects=9))
    rig.poll("c", respond(b"helped"))
    rig.receive("b")
    rig.poll("b", respond(b"for a"))
    assert rig.bodies("a") == [b"for a"]
    assert rig.bodies("d") == []


def test_g9_a_send_error_restores_the_prompt_too(rig: Rig) -> None:
    rig.start("a", "b", "c")
    rig.poll("a", send(here("b"), b"first", expects=9))
    rig.poll("b", send(here("nobody"), expects=9))
    rig.poll("b", respond(b"sorry"))
    assert rig.bodies("a") == [b"sorry"]


def test_g9_a_request_that_nobody_waits_for_is_no_prompt(rig: Rig) -> None:
    rig.start("a", "b", "c")
    rig.poll("a", send(here("b"), b"question", expects=9))
    rig.poll("c", send(here("b"), b"news"))
    rig.receive("b")
    rig.poll("b", respond(b"for a"))
    assert rig.bodies("a") == [b"for a"]
    assert rig.bodies("c") == []


def test_g9_a_response_without_a_prompt_is_dropped_and_logged(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", respond())
    assert [a.text for a in rig.actions if isinstance(a, Output)] == [
        "sent a response, but there is no request to answer"
    ]


def test_g10_an_inherited_response_goes_to_the_original_requester_over_any_number_of_hops(rig: Rig) -> None:
    rig.start("a", "b", "c", "d")
    rig.poll("a", send(here("b"), expects=9, context=b"ctx"))
    rig.poll("b", send(here("c"), inherit=True))
    rig.poll("c", send(here("d"), inherit=True))
    rig.poll("d", respond(b"from d"))
    (arrival,) = rig.handed("a")
    assert isinstance(arrival, Arrival)
    assert (arrival.source, arrival.message.body, arrival.context) == (here("d"), b"from d", b"ctx")


def test_g10_a_request_that_expects_a_response_gets_the_answer_itself(rig: Rig) -> None:
    rig.start("a", "b", "c")
    rig.poll("a", send(here("b"), expects=9))
    rig.poll("b", send(here("c"), inherit=True, expects=9))
    rig.poll("c", respond(b"from c"))
    assert rig.bodies("a") == []
    assert rig.bodies("b")[-1] == b"from c"


def test_g10_an_inherited_reply_to_crosses_nodes(rig: Rig) -> None:
    rig.start("b")
    asker = Address("third.nec", pid("a"))
    from_peer(rig, "x", "b", Request(False, 5, b"q"), ReplyTo(asker, 42))
    rig.poll("b", respond(b"straight back"))
    envelope = parcel(rig).envelope
    assert (envelope.target, envelope.id) == (asker, 42)


def test_g10_a_request_that_came_back_to_its_sender_is_answered_by_the_node_it_went_on_to(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(here("b"), expects=9, context=b"ctx"))
    rig.poll("b", send(here("a"), inherit=True))
    rig.poll("a", send(there("x"), inherit=True))
    reply_to = parcel(rig).envelope.reply_to
    assert reply_to is not None
    from_peer(rig, "x", "a", Response(False, b"from x"), id=reply_to.id)
    assert rig.bodies("a")[-1] == b"from x"


def test_g11_an_inherited_blob_is_the_same_object_all_the_way(rig: Rig) -> None:
    rig.start("a", "b", "c")
    data = b"x" * 100
    rig.poll("a", send(here("b"), expects=9, blob=data))
    rig.poll("b", send(here("c"), inherit=True))
    rig.poll("c", respond(inherit=True))
    assert [answer.blob.bytes is data for n in "bca" for answer in rig.handed(n) if answer.blob] == [True] * 3  # type: ignore[union-attr]


def test_g11_an_explicit_blob_wins_over_the_inherited_one(rig: Rig) -> None:
    rig.start("a", "b", "c")
    rig.poll("a", send(here("b"), blob=b"old"))
    rig.poll("b", send(here("c"), inherit=True, blob=b"new"))
    (arrival,) = rig.handed("c")
    assert isinstance(arrival, Arrival)
    assert arrival.blob == LazyLoadBlob(None, b"new")


def test_g11_inheriting_from_a_message_without_a_blob_attaches_none(rig: Rig) -> None:
    rig.start("a", "b", "c")
    rig.poll("a", send(here("b"), blob=b"old"), send(here("b"), b"bare"))
    rig.receive("b")
    rig.poll("b", send(here("c"), inherit=True))
    (arrival,) = rig.handed("c")
    assert isinstance(arrival, Arrival)
    assert arrival.blob is None


def test_g15_a_response_that_cannot_be_delivered_comes_back_and_can_be_sent_again(rig: Rig) -> None:
    rig.start("b")
    asker = there("a")
    from_peer(rig, "a", "b", Request(False, 5, b"q"), ReplyTo(asker, 42))
    rig.poll("b", respond(b"try"))
    rig.poll("b", poll=Poll.RECEIVE)
    from_peer(rig, "z", "b", Request(False, 5, b"other"), ReplyTo(there("z"), 43))
    rig.tell(PeerFailed(parcel(rig), Reason.CONNECTION_LOST))
    rig.receive("b")
    failure = rig.handed("b")[-1]
    assert isinstance(failure, Failure)
    assert failure.error.message.body == b"try"
    rig.poll("b", respond(b"again"))
    envelope = parcel(rig).envelope
    assert (envelope.target, envelope.id, envelope.message.body) == (asker, 42, b"again")


def test_g15_a_response_to_a_process_that_ended_comes_back_to_its_sender(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(here("b"), expects=9))
    rig.end("a")
    rig.poll("b", respond(b"too late"))
    failure = rig.handed("b")[-1]
    assert isinstance(failure, Failure)
    assert (failure.error.kind, failure.error.reason) == (SendErrorKind.TIMEOUT, Reason.PROCESS_ENDED)


def test_g23_a_process_that_never_receives_its_outcomes_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_OUTSTANDING", 10)
    rig.start("a")
    rig.poll("a", *(send(here("nobody"), expects=9) for _ in range(20)))
    assert any(isinstance(a, CloseGuest) and a.process == pid("a") for a in rig.actions)
    assert any(isinstance(a, Output) and "does not receive" in a.text for a in rig.actions)
