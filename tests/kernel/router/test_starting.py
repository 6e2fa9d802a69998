"""Messages wait for processes that are about to be started, and no longer than until these are, or will not be."""

from __future__ import annotations

import pytest

from kernel.contract.capability import Capability
from kernel.contract.events import Answered, Expect, Inject, Kill, Settled, Taken
from kernel.contract.guest import Failure, Poll, Spawn, SpawnError
from kernel.contract.message import ON_EXIT_NONE, OnExit, OnExitAction, OnExitRequest, Reason, ReplyTo, Request
from tests.kernel.rig import TERMINAL, Rig, from_peer, here, pid, respond, send, there


@pytest.fixture
def rig() -> Rig:
    """A node that is about to start b, and runs a."""
    rig = Rig()
    rig.start("a")
    rig.tell(Expect((pid("b"),)))
    return rig


def settle(rig: Rig) -> None:
    """B has been started, or will not be."""
    rig.tell(Settled((pid("b"),)))


def start(rig: Rig, *, network: bool = True) -> None:
    rig.start("b", network=network)
    settle(rig)


def ask(rig: Rig, target: str, timeout: int) -> None:
    """The node's user asks something."""
    rig.tell(Inject(TERMINAL, here(target), Request(False, timeout, b"from the user"), None, "token"))


# --- of another node ------------------------------------------------------------------------------------------------


def test_g4_what_a_peer_sends_waits_unacknowledged_and_is_handed_over_in_order(rig: Rig) -> None:
    for number in (1, 2):
        from_peer(rig, "x", "b", Request(False, None, b"%d" % number), receipt=number)
    assert (rig.all(Taken), rig.dead()) == ([], [])
    start(rig)
    from_peer(rig, "x", "b", Request(False, None, b"3"), receipt=3)
    for _ in range(2):
        rig.receive("b")
    assert rig.bodies("b") == [b"1", b"2", b"3"]
    assert rig.all(Taken) == [Taken(1), Taken(2), Taken(3)]


def test_g14_where_it_is_not_started_in_the_end_the_message_finds_no_such_process(rig: Rig) -> None:
    from_peer(rig, "x", "b", Request(False, 5, b"1"), ReplyTo(there("x"), 77))
    settle(rig)
    assert rig.all(Taken) == [Taken("receipt")]
    assert rig.dead() == [Reason.NO_SUCH_PROCESS]
    from_peer(rig, "x", "b", Request(False, 5, b"2"), ReplyTo(there("x"), 77))
    assert rig.dead() == [Reason.NO_SUCH_PROCESS] * 2


def test_g19_it_finds_out_what_the_process_may_when_that_is_there(rig: Rig) -> None:
    from_peer(rig, "x", "b", Request(False, None, b"1"))
    start(rig, network=False)
    assert rig.dead() == [Reason.NO_CAPABILITY]


def test_g21_a_capability_whose_issuer_is_killed_meanwhile_is_left_out(rig: Rig) -> None:
    given = tuple(Capability(here(name), '"right"') for name in ("a", "c"))
    from_peer(rig, "x", "b", Request(False, None, b"1", None, given))
    rig.tell(Kill(pid("a")))
    start(rig)
    (arrival,) = rig.handed("b")
    assert arrival.message.capabilities == given[1:]  # type: ignore[union-attr]


# --- of this node ---------------------------------------------------------------------------------------------------


def test_g4_a_sender_waits_with_all_that_it_does_then(rig: Rig) -> None:
    rig.start("c")
    rig.poll("a", send(here("b"), b"1"), send(here("b"), b"2"), send(here("c"), b"3"))
    assert rig.bodies("c") == []
    start(rig)
    rig.receive("b")
    assert (rig.bodies("b"), rig.bodies("c"), rig.dead()) == ([b"1", b"2"], [b"3"], [])


def test_g7_a_sender_waits_no_longer_than_its_timeout(rig: Rig) -> None:
    rig.poll("a", send(here("b"), b"1", expects=3))
    rig.tick(3)
    start(rig)
    assert (rig.bodies("a"), rig.bodies("b")) == ([b"1"], [])


def test_g14_a_sender_is_told_at_once_that_it_will_not_be_started(rig: Rig) -> None:
    rig.poll("a", send(here("b"), b"1", expects=30))
    settle(rig)
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    assert failure.error.reason is Reason.NO_SUCH_PROCESS


def test_a_sender_that_is_killed_leaves_the_queue(rig: Rig) -> None:
    rig.poll("a", send(here("b"), b"1"))
    rig.tell(Kill(pid("a")))
    assert [list(queue) for queue in rig.kernel.starting.queues()] == [[]]
    assert rig.dead() == [Reason.PROCESS_ENDED]


def test_g22_a_process_that_has_ended_cannot_wait(rig: Rig) -> None:
    last_words = (OnExitRequest(here("b"), Request(False, None, b"farewell"), None),)
    rig.start("c", on_exit=OnExit(OnExitAction.REQUESTS, last_words))
    rig.end("c")
    assert rig.dead() == [Reason.NO_SUCH_PROCESS]


# --- of the node's user ---------------------------------------------------------------------------------------------


def test_g5_the_users_request_waits_and_is_answered(rig: Rig) -> None:
    ask(rig, "b", 5)
    start(rig)
    rig.poll("b", respond(b"answer"))
    (answered,) = rig.all(Answered)
    assert isinstance(answered, Answered)
    assert answered.answer.message.body == b"answer"  # type: ignore[union-attr]


def test_g7_the_users_request_waits_no_longer_than_its_timeout(rig: Rig) -> None:
    ask(rig, "b", 5)
    rig.tick(5)
    start(rig)
    (answered,) = rig.all(Answered)
    assert isinstance(answered, Answered)
    assert answered.answer.error.reason is Reason.EXPIRED  # type: ignore[union-attr]
    assert rig.bodies("b") == []


# --- its name -------------------------------------------------------------------------------------------------------


def test_g25_its_name_is_taken(rig: Rig) -> None:
    actions = rig.poll("a", Spawn("b", "/b.wasm", ON_EXIT_NONE, (), (), False), poll=Poll.CALL)
    assert SpawnError.NAME_TAKEN in [getattr(action, "answer", None) for action in actions]
    start(rig)
    assert pid("b") in rig.kernel.processes
