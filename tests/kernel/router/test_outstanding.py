"""Who may still answer, and when it is certain that nobody will (G14), on the pure router."""

from __future__ import annotations

import pytest

from kernel.contract.events import Answered, FromPeer, Inject, Parcel
from kernel.contract.guest import Arrival
from kernel.contract.message import Envelope, ReplyTo, Request, Response
from tests.kernel.rig import TERMINAL, Rig, here, send, there


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.start("a", "b", "c")
    return rig


def asked_there(rig: Rig) -> ReplyTo:
    """Where an answer to the one request goes that left for another node."""
    (left,) = rig.all(Parcel)
    assert isinstance(left, Parcel)
    assert left.envelope.reply_to is not None
    return left.envelope.reply_to


def passed_back(rig: Rig, target: str, reply_to: ReplyTo) -> None:
    """The other node's x inherits what it was asked, and passes it on to a process here (G10)."""
    rig.tell(FromPeer(Envelope(7, there("x"), here(target), reply_to, Request(False, None, b"on"), None, True), 1))


def answered_there(rig: Rig, reply_to: ReplyTo) -> None:
    response = Response(False, b"from x")
    rig.tell(FromPeer(Envelope(reply_to.id, there("x"), reply_to.address, None, response, None, True), 2))


def told(rig: Rig) -> list[bytes]:
    """The outcomes that the user was told: an answer's body, or that of the request that failed."""
    answers = [action.answer for action in rig.all(Answered) if isinstance(action, Answered)]
    return [a.message.body if isinstance(a, Arrival) else a.error.message.body for a in answers]


def test_g14_what_another_node_was_handed_may_be_answered_there_though_it_was_passed_on_here_too(rig: Rig) -> None:
    rig.tell(Inject(TERMINAL, here("a"), Request(False, 5, b"q"), None, "asked"))
    rig.poll("a", send(there("x"), inherit=True))
    rig.poll("a", send(here("b"), inherit=True), send(here("b"), inherit=True))
    rig.end("b")
    assert told(rig) == []
    answered_there(rig, asked_there(rig))
    rig.tick(5)
    assert told(rig) == [b"from x"]


def test_g14_what_another_node_was_handed_and_never_answers_is_a_timeout_in_the_end(rig: Rig) -> None:
    rig.tell(Inject(TERMINAL, here("a"), Request(False, 5, b"q"), None, "asked"))
    rig.poll("a", send(there("x"), inherit=True))
    rig.poll("a", send(here("b"), inherit=True))
    rig.end("b")
    rig.tick(4)
    assert told(rig) == []
    rig.tick(5)
    assert told(rig) == [b"q"]


def test_g14_what_another_node_was_asked_may_be_answered_there_though_it_passed_it_on_to_here(rig: Rig) -> None:
    rig.poll("a", send(there("x"), b"q", expects=60))
    passed_back(rig, "b", asked_there(rig))
    rig.poll("b", send(here("c"), inherit=True))
    rig.end("c")
    assert rig.handed("a") == []
    answered_there(rig, asked_there(rig))
    assert rig.bodies("a") == [b"from x"]


def test_g14_what_the_user_asked_another_node_may_be_answered_there_though_it_passed_it_on_to_here(rig: Rig) -> None:
    rig.tell(Inject(TERMINAL, there("x"), Request(False, 60, b"q"), None, "asked"))
    passed_back(rig, "b", asked_there(rig))
    rig.poll("b", send(here("c"), inherit=True))
    rig.end("c")
    assert told(rig) == []
    answered_there(rig, asked_there(rig))
    assert told(rig) == [b"from x"]


def test_g14_a_request_that_was_passed_on_to_two_fails_when_both_have_ended(rig: Rig) -> None:
    rig.start("d")
    rig.tell(Inject(TERMINAL, here("a"), Request(False, 60, b"q"), None, "asked"))
    rig.poll("a", send(here("b"), inherit=True), send(here("c"), inherit=True))
    rig.poll("b", send(here("d"), inherit=True))
    rig.end("d")
    assert told(rig) == []
    rig.end("c")
    assert told(rig) == [b"q"]
