"""Senders wait for room, in order, and no longer than they must (G23, G24)."""

from __future__ import annotations

import itertools

import pytest

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.capability import Capability
from kernel.contract.events import FromPeer, Kill
from kernel.contract.guest import End, Poll, SendAndAwait, SendRequest, SetOnExit
from kernel.contract.message import Envelope, LazyLoadBlob, OnExit, OnExitAction, OnExitRequest, Reason, Request
from tests.kernel.rig import Rig, here, pid, respond, send, there


@pytest.fixture
def rig() -> Rig:
    return Rig()


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


def test_g24_a_node_that_floods_a_process_delays_another_node_by_a_message_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 4)
    rig = Rig()
    rig.start("a")
    rig.poll("a", poll=Poll.PREEMPTED)
    for number in range(100):
        request = Request(False, None, b"flood %d" % number)
        rig.tell(FromPeer(Envelope(number, there("b"), here("a"), None, request, None, claimed=True), number))
    honest = Address("honest.nec", pid("b"))
    rig.tell(FromPeer(Envelope(200, honest, here("a"), None, Request(False, None, b"honest"), None, claimed=True), "r"))
    while b"honest" not in rig.bodies("a"):
        rig.receive("a")
    assert len(rig.bodies("a")) <= 6
