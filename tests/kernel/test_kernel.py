"""The kernel's promises, shown on the pure router. The same promises with real guests are in tests/nectar_node."""

from __future__ import annotations

import itertools

import pytest

from kernel import limits
from kernel.address import Address
from kernel.capability import MESSAGING, Capability
from kernel.events import (
    Answered,
    Begin,
    Close,
    DeadLetter,
    FromPeer,
    Inject,
    Kill,
    Launch,
    Loaded,
    Output,
    PeerFailed,
    Resume,
    Start,
    StateUsed,
    Taken,
    ToPeer,
    ToSystem,
    UseState,
)
from kernel.guest import (
    Arrival,
    End,
    Failure,
    GetOnExit,
    GetState,
    OurCapabilities,
    Poll,
    SaveCapabilities,
    SendAndAwait,
    SendRequest,
    SetOnExit,
    SetState,
    Spawn,
    SpawnError,
)
from kernel.message import (
    ON_EXIT_RESTART,
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
from tests.kernel.rig import CLOCK, OUR, TERMINAL, THEIR, VFS, NoProgram, Rig, here, pid, respond, send, there


@pytest.fixture
def rig() -> Rig:
    return Rig()


def from_peer(
    rig: Rig,
    source: str,
    target: str,
    message: Request | Response,
    reply_to: ReplyTo | None = None,
    id: int = 77,
    receipt: object = "receipt",
    blob: LazyLoadBlob | None = None,
) -> None:
    rig.tell(FromPeer(Envelope(id, there(source), here(target), reply_to, message, blob, claimed=True), receipt))


def parcel(rig: Rig) -> ToPeer:
    found = [action for action in rig.actions if isinstance(action, ToPeer)]
    return found[-1]


# --- G2 to G4 -------------------------------------------------------------------------------------------------------


def test_g2_metadata_that_is_no_json_is_never_delivered(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(here("b"), metadata="{", expects=5))
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    assert failure.error.reason is Reason.BAD_METADATA
    assert rig.handed("b") == []


def test_g3_the_kernel_writes_the_source_of_a_local_message(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(Address("our", pid("b"))))
    (arrival,) = rig.handed("b")
    assert isinstance(arrival, Arrival)
    assert arrival.source == here("a")


def test_g4_messages_between_two_processes_arrive_in_the_order_of_their_sending(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", *(send(here("b"), bytes([n])) for n in range(20)))
    for _ in range(19):
        rig.receive("b")
    assert rig.bodies("b") == [bytes([n]) for n in range(20)]


# --- G5 to G8 -------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("target", "expects", "words"),
    [("a", 5, "oneself"), ("b", None, "expects a response")],
)
def test_g8_awaiting_oneself_or_nothing_traps_and_says_so(
    rig: Rig, target: str, expects: int | None, words: str
) -> None:
    rig.start("a", "b")
    rig.poll("a", SendAndAwait(here(target), Request(False, expects, b""), None), poll=Poll.CALL)
    assert any(isinstance(a, Output) and words in a.text for a in rig.actions)
    assert any(isinstance(a, Close) and a.process == pid("a") for a in rig.actions)


# --- G9 to G11 ------------------------------------------------------------------------------------------------------


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
    envelope = parcel(rig).parcel.envelope
    assert (envelope.target, envelope.id) == (asker, 42)


def test_g10_a_request_that_came_back_to_its_sender_is_answered_by_the_node_it_went_on_to(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(here("b"), expects=9, context=b"ctx"))
    rig.poll("b", send(here("a"), inherit=True))
    rig.poll("a", send(there("x"), inherit=True))
    reply_to = parcel(rig).parcel.envelope.reply_to
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


# --- G13 to G16 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", [Reason.NO_SUCH_NAME, Reason.UNREACHABLE, Reason.BAD_KEY, Reason.CONNECTION_LOST])
def test_g13_a_node_that_cannot_be_reached_is_offline_with_everything_the_sender_sent(rig: Rig, reason: Reason) -> None:
    rig.start("a")
    rig.poll("a", send(there("b"), b"q", expects=9, context=b"ctx", blob=b"data"))
    rig.tell(PeerFailed(parcel(rig).parcel, reason))
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    error = failure.error
    assert (error.kind, error.reason, error.target) == (SendErrorKind.OFFLINE, reason, there("b"))
    assert (error.message.body, error.blob, failure.context) == (b"q", LazyLoadBlob(None, b"data"), b"ctx")


def test_g13_a_message_that_is_too_large_is_no_offline(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", send(there("b"), expects=9))
    rig.tell(PeerFailed(parcel(rig).parcel, Reason.TOO_LARGE))
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    assert failure.error.kind is SendErrorKind.TIMEOUT


def test_g14_a_request_that_wanted_no_response_comes_back_as_offline_too(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", send(there("b"), b"news", context=b"ctx"))
    rig.tell(PeerFailed(parcel(rig).parcel, Reason.UNREACHABLE))
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    assert (failure.error.kind, failure.context) == (SendErrorKind.OFFLINE, b"ctx")


def test_g14_an_offline_after_the_timeout_is_no_second_outcome(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", send(there("b"), b"q", expects=1))
    sent = parcel(rig).parcel
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


def test_g15_a_response_that_cannot_be_delivered_comes_back_and_can_be_sent_again(rig: Rig) -> None:
    rig.start("b")
    asker = there("a")
    from_peer(rig, "a", "b", Request(False, 5, b"q"), ReplyTo(asker, 42))
    rig.poll("b", respond(b"try"))
    rig.poll("b", poll=Poll.RECEIVE)
    from_peer(rig, "z", "b", Request(False, 5, b"other"), ReplyTo(there("z"), 43))
    rig.tell(PeerFailed(parcel(rig).parcel, Reason.CONNECTION_LOST))
    rig.receive("b")
    failure = rig.handed("b")[-1]
    assert isinstance(failure, Failure)
    assert failure.error.message.body == b"try"
    rig.poll("b", respond(b"again"))
    envelope = parcel(rig).parcel.envelope
    assert (envelope.target, envelope.id, envelope.message.body) == (asker, 42, b"again")


def test_g15_a_response_to_a_process_that_ended_comes_back_to_its_sender(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(here("b"), expects=9))
    rig.end("a")
    rig.poll("b", respond(b"too late"))
    failure = rig.handed("b")[-1]
    assert isinstance(failure, Failure)
    assert (failure.error.kind, failure.error.reason) == (SendErrorKind.TIMEOUT, Reason.PROCESS_ENDED)


# --- G17 to G21 -----------------------------------------------------------------------------------------------------


def test_g18_a_process_that_is_not_public_is_reached_with_its_messaging_capability_only(rig: Rig) -> None:
    rig.start("a")
    rig.start("b", public=False)
    rig.poll("a", send(here("b"), b"1", expects=9))
    rig.kernel.grants.grant(pid("a"), [Capability(here("b"), ' "messaging" ')])
    rig.poll("a", send(here("b"), b"2"))
    assert rig.bodies("b") == [b"2"]
    assert rig.dead() == [Reason.NO_CAPABILITY]


def test_g18_an_answer_needs_no_capability(rig: Rig) -> None:
    rig.start("a", public=False)
    rig.start("b")
    rig.poll("a", send(here("b"), expects=9))
    rig.poll("b", respond(b"yes"))
    assert rig.bodies("a") == [b"yes"]


def test_g18_a_system_process_is_reached_with_its_messaging_capability(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", send(Address(OUR, VFS), expects=9))
    assert rig.dead() == [Reason.NO_CAPABILITY]
    rig.kernel.grants.grant(pid("a"), [Capability(Address(OUR, VFS), MESSAGING)])
    rig.poll("a", send(Address(OUR, VFS), expects=9))
    rig.poll("a", send(Address("our", CLOCK), expects=9))
    assert [a.envelope.target.process for a in rig.actions if isinstance(a, ToSystem)] == [VFS, CLOCK]


def test_g19_without_the_network_capability_nothing_leaves_and_nothing_comes_in(rig: Rig) -> None:
    rig.start("a", network=False)
    rig.poll("a", send(there("b"), expects=9))
    from_peer(rig, "x", "a", Request(False, None, b"psst"))
    assert not [a for a in rig.actions if isinstance(a, ToPeer)]
    assert rig.bodies("a") == [b"hello"]  # its own request, back as an error
    assert rig.dead() == [Reason.NO_CAPABILITY, Reason.NO_CAPABILITY]
    assert [a.receipt for a in rig.actions if isinstance(a, Taken)] == ["receipt"]


def test_g19_a_bad_node_name_never_reaches_the_network(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", send(Address("no name", pid("b")), expects=9))
    assert rig.dead() == [Reason.BAD_ADDRESS]
    assert not [a for a in rig.actions if isinstance(a, ToPeer)]


def test_g21_save_capabilities_makes_nothing_out_of_nothing(rig: Rig) -> None:
    rig.start("a", network=False)
    foreign = Capability(Address(OUR, VFS), MESSAGING)
    own = Capability(here("a"), '{"may": "read"}')
    rig.poll("a", SaveCapabilities((foreign, own, rig.kernel.grants.network)))
    rig.poll("a", OurCapabilities(), poll=Poll.CALL)
    answers = [a.answer for a in rig.actions if isinstance(a, Resume)]
    assert answers == [(Capability(here("a"), '{"may":"read"}'),)]


# --- G22 to G27 -----------------------------------------------------------------------------------------------------


def test_g22_restart_backs_off_by_doubling_and_resets_after_a_healthy_run(rig: Rig) -> None:
    rig.start("a", on_exit=ON_EXIT_RESTART)
    began = []
    for _ in range(12):
        rig.end("a", "oops")
        due = rig.kernel.next_deadline()
        assert due is not None
        began.append(due - rig.now)
        rig.tick(due)
    assert began == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    rig.now += 5 * 600
    rig.end("a")
    assert rig.kernel.next_deadline() == rig.now + 1


def test_g22_on_exit_requests_are_sent_as_the_ended_process_and_expect_nothing(rig: Rig) -> None:
    rig.start("a", "b")
    last = OnExitRequest(here("b"), Request(False, 9, b"last words"), LazyLoadBlob(None, b"will"))
    rig.poll("a", SetOnExit(OnExit(OnExitAction.REQUESTS, (last,))))
    rig.end("a", "oops")
    (arrival,) = rig.handed("b")
    assert isinstance(arrival, Arrival)
    assert isinstance(arrival.message, Request)
    assert (arrival.source, arrival.message.body, arrival.message.expects_response) == (here("a"), b"last words", None)
    assert arrival.blob == LazyLoadBlob(None, b"will")


def test_g22_a_kill_runs_no_on_exit(rig: Rig) -> None:
    rig.start("a", on_exit=ON_EXIT_RESTART)
    rig.tell(Kill(pid("a")))
    assert rig.kernel.next_deadline() is None
    assert any(isinstance(a, Close) for a in rig.actions)


def test_g22_get_on_exit_gives_what_was_set(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", SetOnExit(ON_EXIT_RESTART), GetOnExit(), poll=Poll.CALL)
    assert [a.answer for a in rig.actions if isinstance(a, Resume)] == [ON_EXIT_RESTART]


def test_g14_while_another_node_may_answer_the_end_of_a_local_process_fails_nothing(rig: Rig) -> None:
    rig.start("a", "b", "c")
    rig.poll("a", send(here("b"), b"ask", expects=60))
    rig.poll("b", send(there("x"), b"passed on", inherit=True), send(here("c"), b"passed on too", inherit=True))
    rig.end("c")
    rig.end("b")
    assert rig.handed("a") == []


def test_g24_a_sender_waits_for_room_and_goes_on_in_order(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 2)
    rig.start("a", "b", "c")
    rig.poll("c", send(here("b"), b"0"))  # b handles this one
    rig.poll("a", *(send(here("b"), str(n).encode()) for n in range(1, 6)))
    rig.poll("c", send(here("a"), b"for a"))
    assert rig.bodies("a") == []  # it is suspended
    for _ in range(5):
        rig.receive("b")
    assert rig.bodies("b") == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert rig.bodies("a") == [b"for a"]


def test_g24_a_sender_waits_for_room_no_longer_than_its_timeout(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
    rig.start("a", "b", "c")
    rig.poll("c", send(here("b"), b"0"), send(here("b"), b"1"))
    rig.poll("a", send(here("b"), b"2", expects=3), send(here("c"), b"then"))
    rig.tick(3)
    assert rig.bodies("a") == [b"2"]
    rig.receive("c")
    assert rig.bodies("c") == [b"then"]
    rig.receive("b")
    rig.receive("b")
    assert rig.bodies("b") == [b"0", b"1"]


def test_g24_an_await_that_waits_for_room_gets_its_response(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
    rig.start("a", "b", "c")
    rig.poll("c", send(here("b"), b"0"), send(here("b"), b"1"))
    rig.poll("a", SendAndAwait(here("b"), Request(False, 9, b"2"), None), poll=Poll.CALL)
    rig.receive("b")
    rig.receive("b")
    rig.poll("b", respond(b"answer"))
    assert rig.bodies("a") == [b"answer"]


def test_g24_a_sender_that_is_killed_while_it_waits_for_room_leaves_the_queue(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
    rig.start("a", "b", "c")
    rig.poll("c", send(here("b"), b"0"), send(here("b"), b"1"))
    rig.poll("a", send(here("b"), b"2"))
    assert len(rig.kernel.processes[pid("b")].waiters) == 1
    rig.tell(Kill(pid("a")))
    assert len(rig.kernel.processes[pid("b")].waiters) == 0
    assert rig.dead() == [Reason.PROCESS_ENDED]


@pytest.mark.parametrize("last", ["receives", "is killed"])
def test_g23_a_long_chain_of_senders_that_wait_for_each_other_moves_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
    names = [f"p{number}" for number in range(1000)]
    rig.start("feeder", *names)
    for name in names:
        rig.poll("feeder", send(here(name), b"handled"), send(here(name), b"waits"))
    ends = last == "is killed"
    for name, following in itertools.pairwise(names):
        poll, end = (Poll.ENDED, End(None)) if ends else (Poll.RECEIVE, None)
        rig.poll(name, send(here(following), b"behind"), poll=poll, end=end)
    if ends:
        rig.tell(Kill(pid(names[-1])))
        assert [name for name in names if pid(name) in rig.kernel.processes] == []
    else:
        rig.receive(names[-1])
        assert all(rig.bodies(name) == [b"handled", b"waits"] for name in names)


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


@pytest.mark.parametrize("part", ["metadata", "capabilities", "mime"])
def test_g23_all_of_a_message_counts_against_the_inbox(rig: Rig, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_BYTES", 1000)
    rig.start("a", "b", "c")
    rig.poll("c", send(here("b")))  # b handles this one
    large = "1" * 2000
    capabilities = (Capability(here("a"), large),) if part == "capabilities" else ()
    request = Request(False, None, b"", large if part == "metadata" else None, capabilities)
    blob = LazyLoadBlob(large, b"") if part == "mime" else None
    rig.poll("a", SendRequest(here("b"), request, None, blob), send(here("b")))
    assert rig.kernel.processes[pid("a")].stall is not None


def test_g16_a_system_process_is_there_but_not_for_other_nodes(rig: Rig) -> None:
    target = Address(OUR, VFS)
    rig.tell(FromPeer(Envelope(7, there("x"), target, None, Request(False, None, b""), None, claimed=True), "receipt"))
    assert rig.dead() == [Reason.NO_CAPABILITY]


def test_g24_a_remote_sender_loses_its_credit_until_there_is_room(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
    rig.start("b")
    for n in range(3):
        from_peer(rig, "x", "b", Request(False, None, bytes([n])), receipt=n)
    assert [a.receipt for a in rig.actions if isinstance(a, Taken)] == [0, 1]
    rig.receive("b")
    assert [a.receipt for a in rig.actions if isinstance(a, Taken)] == [0, 1, 2]


def test_g24_a_process_that_floods_itself_loses_messages_and_goes_on(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 2)
    rig.start("a")
    rig.poll("a", *(send(here("a"), bytes([n])) for n in range(4)))
    assert rig.dead() == [Reason.INBOX_FULL, Reason.INBOX_FULL]
    assert rig.bodies("a") == [b"\0"]


def test_g27_a_process_waits_until_its_state_is_durable(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", SetState(b"state"), poll=Poll.CALL)
    assert [a.state for a in rig.actions if isinstance(a, UseState)] == [b"state"]
    assert not [a for a in rig.actions if isinstance(a, Resume)]
    rig.tell(StateUsed(rig.use_of_state(), None))
    assert [a.answer for a in rig.actions if isinstance(a, Resume)] == [None]
    rig.poll("a", GetState(), poll=Poll.CALL)
    rig.tell(StateUsed(rig.use_of_state(), None, "the disk is gone"))
    assert any(isinstance(a, Close) for a in rig.actions)


def test_g27_an_answer_for_a_process_that_has_ended_is_not_given_to_its_successor(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", SetState(b"state"), poll=Poll.CALL)
    late = rig.use_of_state()
    rig.start("a")
    rig.poll("a", GetState(), poll=Poll.CALL)
    rig.actions.clear()
    rig.tell(StateUsed(late, None))
    assert rig.actions == []
    rig.tell(StateUsed(rig.processes_token("a"), b"state"))
    assert [a.answer for a in rig.actions if isinstance(a, Resume)] == [b"state"]


def test_g13_an_error_for_a_process_that_has_ended_is_not_given_to_its_successor(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", send(there("b"), b"news", context=b"secret"))
    sent = parcel(rig).parcel
    rig.start("a")
    rig.tell(PeerFailed(sent, Reason.UNREACHABLE))
    assert rig.handed("a") == []


def test_g24_several_senders_that_wait_for_room_are_let_in_one_after_the_other(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
    rig.start("a", "b", "c", "t")
    rig.poll("c", send(here("t"), b"0"), send(here("t"), b"1"))
    rig.poll("a", send(here("t"), b"a"), send(here("t"), b"aa"))
    rig.poll("b", send(here("t"), b"b"))
    for _ in range(5):
        rig.receive("t")
    assert rig.bodies("t") == [b"0", b"1", b"a", b"b", b"aa"]


def test_g22_on_exit_requests_that_find_no_room_are_dead_letters(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
    rig.start("a", "t")
    last = OnExitRequest(here("t"), Request(False, None, b"last"), None)
    rig.poll("a", send(here("t"), b"0"), SetOnExit(OnExit(OnExitAction.REQUESTS, (last, last, last))))
    rig.end("a")
    assert rig.dead() == [Reason.INBOX_FULL, Reason.INBOX_FULL]
    rig.receive("t")
    assert rig.bodies("t") == [b"0", b"last"]


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


def test_g23_a_process_that_never_receives_its_outcomes_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_OUTSTANDING", 10)
    rig.start("a")
    rig.poll("a", *(send(here("nobody"), expects=9) for _ in range(20)))
    assert any(isinstance(a, Close) and a.process == pid("a") for a in rig.actions)
    assert any(isinstance(a, Output) and "does not receive" in a.text for a in rig.actions)


def test_g21_nobody_gets_the_name_of_a_system_process(rig: Rig) -> None:
    for process in (VFS, TERMINAL, VFS._replace(process="new")):
        rig.tell(Start(Launch(process, NoProgram(), ON_EXIT_RESTART, True), ()))
    assert rig.kernel.statistics()["processes"] == 0
    assert not [a for a in rig.actions if isinstance(a, Begin)]


def test_g25_a_spawn_fails_if_the_user_starts_a_process_of_that_name_meanwhile(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", Spawn("c", "/c.wasm", ON_EXIT_RESTART, (), (), False), poll=Poll.CALL)
    rig.start("c")
    assert [a.answer for a in rig.actions if isinstance(a, Resume)] == [SpawnError.NAME_TAKEN]
    rig.tell(Loaded(pid("c"), NoProgram()))
    assert len([a for a in rig.actions if isinstance(a, Begin) and a.launch.process == pid("c")]) == 1


def test_g21_a_process_cannot_hold_capabilities_without_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_HELD_CAPABILITIES", 10)
    rig.start("a", network=False)
    for n in range(0, 30, 5):
        rig.poll("a", SaveCapabilities(tuple(Capability(here("a"), str(n + k)) for k in range(5))))
    assert len(rig.kernel.grants.of(pid("a"))) == 10


def test_g23_processes_that_wait_for_their_restart_count_against_the_limit(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_PROCESSES", 3)
    rig.start("a", "b", on_exit=ON_EXIT_RESTART)
    rig.end("b", "oops")
    for name in ("c", "d"):
        rig.poll("a", Spawn(name, "/c.wasm", ON_EXIT_RESTART, (), (), False), poll=Poll.CALL)
        rig.tell(Loaded(pid(name), NoProgram()))
        rig.actions.clear()
        rig.receive("a")
    assert set(rig.kernel.processes) == {pid("a"), pid("c")}


def test_g23_a_package_leaves_places_to_others(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PROCESSES_OF_PACKAGE", 2)
    rig.start("a", "b")
    rig.poll("a", Spawn("c", "/c.wasm", ON_EXIT_RESTART, (), (), False), poll=Poll.CALL)
    assert any(isinstance(action, Output) and "its package runs 2 processes" in action.text for action in rig.actions)
    rig.end("b")
    rig.poll("a", Spawn("c", "/c.wasm", ON_EXIT_RESTART, (), (), False), poll=Poll.CALL)
    rig.tell(Loaded(pid("c"), NoProgram()))
    assert set(rig.kernel.processes) == {pid("a"), pid("c")}


def test_g17_params_that_hold_half_a_character_are_kept_in_ascii(rig: Rig) -> None:
    rig.start("a", network=False)
    rig.poll("a", SaveCapabilities((Capability(here("a"), '"\\ud800"'),)), OurCapabilities(), poll=Poll.CALL)
    (held,) = [a.answer for a in rig.actions if isinstance(a, Resume)]
    assert held == (Capability(here("a"), '"\\ud800"'),)


# --- the node's user, and other nodes -------------------------------------------------------------------------------


def test_the_user_gets_the_outcome_of_an_injected_request(rig: Rig) -> None:
    rig.start("b", public=False)
    rig.tell(Inject(TERMINAL, Address("our", pid("b")), Request(False, 5, b"q"), None, "token"))
    rig.poll("b", respond(b"a"))
    (answered,) = [a for a in rig.actions if isinstance(a, Answered)]
    assert answered.token == "token"
    assert isinstance(answered.answer, Arrival)
    assert answered.answer.message.body == b"a"


def test_the_user_gets_the_answer_of_another_node(rig: Rig) -> None:
    rig.tell(Inject(TERMINAL, there("b"), Request(False, 5, b"q"), None, "token"))
    id = parcel(rig).parcel.envelope.id
    answer = Envelope(id, there("b"), Address(OUR, TERMINAL), None, Response(False, b"a"), None, claimed=True)
    rig.tell(FromPeer(answer, "receipt"))
    assert len([a for a in rig.actions if isinstance(a, Answered)]) == 1


def test_a_forged_response_from_another_node_reaches_nobody(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(there("b"), expects=9))
    id = parcel(rig).parcel.envelope.id
    from_peer(rig, "b", "b", Response(False, b"to the wrong process"), id=id)
    from_peer(rig, "b", "a", Response(False, b"with a guessed id"), id=id + 1)
    assert rig.handed("a") == []
    assert rig.dead() == [Reason.NOT_AWAITED, Reason.NOT_AWAITED]
    from_peer(rig, "b", "a", Response(False, b"true"), id=id)
    assert rig.bodies("a") == [b"true"]


def test_starting_a_process_again_replaces_the_one_that_runs(rig: Rig) -> None:
    rig.start("a")
    rig.start("a")
    kinds = [type(a) for a in rig.actions if isinstance(a, (Begin, Close))]
    assert kinds == [Begin, Close, Begin]
    assert rig.kernel.statistics()["processes"] == 1
    assert not [a for a in rig.actions if isinstance(a, DeadLetter)]
    assert THEIR != OUR


def test_g5_statistics_count_what_was_handed_over_and_how_requests_ended_also_of_processes_that_have_ended(
    rig: Rig,
) -> None:
    rig.start("a", "b")
    rig.poll("a", *(send(here("b"), expects=5) for _ in range(3)), send(here("nobody"), expects=5))
    rig.poll("b", respond())
    rig.receive("a")
    rig.poll("a", send(there("b"), expects=5))
    rig.tell(PeerFailed(parcel(rig).parcel, Reason.UNREACHABLE))
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
