"""Senders wait for room, in order, and no longer than they must (G23, G24)."""

from __future__ import annotations

import itertools

import pytest

from kernel.contract import limits
from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from kernel.contract.events import FromPeer, Inject, Kill, Taken
from kernel.contract.guest import End, Poll, SendRequest, SetOnExit
from kernel.contract.message import Envelope, LazyLoadBlob, OnExit, OnExitAction, OnExitRequest, Reason, Request
from tests.kernel.rig import Rig, from_peer, here, pid, send, there

SYSTEM = ProcessId("http_server", "distro", "sys")


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


def test_g24_a_remote_sender_loses_its_credit_until_there_is_room(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
    rig.start("b")
    for n in range(3):
        from_peer(rig, "x", "b", Request(False, None, bytes([n])), receipt=n)
    assert [a.receipt for a in rig.actions if isinstance(a, Taken)] == [0, 1]
    rig.receive("b")
    assert [a.receipt for a in rig.actions if isinstance(a, Taken)] == [0, 1, 2]


def test_g24_a_system_process_that_asks_for_a_receipt_waits_for_room_in_order(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
    rig.start("b")
    for n in range(4):
        rig.tell(Inject(SYSTEM, here("b"), Request(False, None, bytes([n])), None, None, n))
    assert [a.receipt for a in rig.actions if isinstance(a, Taken)] == [0, 1]
    for _ in range(3):
        rig.receive("b")
    assert [a.receipt for a in rig.actions if isinstance(a, Taken)] == [0, 1, 2, 3]
    assert rig.bodies("b") == [bytes([n]) for n in range(4)]


def test_g24_a_receipt_comes_back_once_where_nothing_can_be_delivered(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
    rig.start("b")
    for n in range(4):
        rig.tell(Inject(SYSTEM, here("b"), Request(False, None, bytes([n])), None, None, n))
    rig.end("b")
    rig.tell(Inject(SYSTEM, here("b"), Request(False, None, b"late"), None, None, 4))
    assert sorted(a.receipt for a in rig.actions if isinstance(a, Taken)) == [0, 1, 2, 3, 4]  # type: ignore[type-var]
