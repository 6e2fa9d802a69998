"""Who may hold what, and how it comes and goes (G17, G20, G21), on the pure router."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.capability import Capability
from kernel.contract.events import FromPeer, Kill, Loaded
from kernel.contract.guest import Arrival, Effect, Grant, Poll, SaveCapabilities, SendRequest, Spawn
from kernel.contract.message import ON_EXIT_NONE, Envelope, Request
from tests.kernel.rig import NoProgram, Rig, here, pid, there

KEY = '{"door":1,"floor":2}'


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.start("a", "b", "c")
    return rig


def attach(target: str, *capabilities: Capability) -> SendRequest:
    return SendRequest(here(target), Request(False, None, b"", None, capabilities), None, None)


def save(*capabilities: Capability) -> Effect:
    return SaveCapabilities(capabilities)


def arrived(rig: Rig, name: str) -> tuple[Capability, ...]:
    """With the latest message."""
    answer = rig.handed(name)[-1]
    assert isinstance(answer, Arrival)
    return answer.message.capabilities


def held(rig: Rig, name: str) -> set[Capability]:
    return set(rig.kernel.grants.of(pid(name))) - {rig.kernel.grants.network}


def test_g1_our_as_the_issuers_node_means_this_node(rig: Rig) -> None:
    key = Capability(Address("our", pid("a")), KEY)
    rig.poll("a", attach("b", key))
    assert arrived(rig, "b") == (Capability(here("a"), KEY),)
    rig.poll("b", save(key))
    assert held(rig, "b") == {Capability(here("a"), KEY)}


def test_g17_an_attached_capability_arrives_in_its_one_spelling(rig: Rig) -> None:
    rig.poll("a", attach("b", Capability(here("a"), '{ "floor" : 2, "door" : 1 }')))
    assert arrived(rig, "b") == (Capability(here("a"), KEY),)


def test_g21_what_a_killed_process_issued_can_no_longer_be_saved(rig: Rig) -> None:
    key = Capability(here("a"), KEY)
    rig.poll("a", attach("b", key))
    rig.tell(Kill(pid("a")))
    rig.poll("b", save(key))
    assert held(rig, "b") == set()


def test_g20_only_the_latest_received_capabilities_are_remembered(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_RECEIVED_CAPABILITIES", 2)
    keys = [Capability(here("a"), str(number)) for number in range(3)]
    rig.poll("a", attach("b", *keys))
    rig.poll("b", save(*keys))
    assert held(rig, "b") == set(keys[1:])


@pytest.mark.parametrize("where", ["in the inbox", "with a sender that waits for room", "parked for a peer"])
def test_g21_what_a_killed_process_issued_is_gone_from_messages_under_way(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    key = Capability(here("a"), KEY)
    rig.kernel.grants.grant(pid("c"), [key])
    rig.poll("a", attach("b"))  # b handles this one
    if where == "in the inbox":
        rig.poll("c", attach("b", key))
    else:
        monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 1)
        rig.poll("a", attach("b"))
        if where == "parked for a peer":
            message = Request(False, None, b"", None, (key,))
            rig.tell(FromPeer(Envelope(7, there("x"), here("b"), None, message, None, claimed=True), "receipt"))
        else:
            rig.poll("c", attach("b", key))
    rig.tell(Kill(pid("a")))
    while len(rig.kernel.processes[pid("b")].mailbox):
        rig.receive("b")
        assert arrived(rig, "b") == ()
    rig.poll("b", save(key))
    assert held(rig, "b") == set()


def test_g20_children_that_grant_without_end_leave_the_victim_room_to_save(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_HELD_CAPABILITIES", 10)
    monkeypatch.setattr(limits, "MAX_GIVEN_CAPABILITIES", 5)
    for child in ("c1", "c2", "c3", "c4"):
        junk = tuple(Grant(pid("b"), str(number)) for number in range(4))
        rig.poll("a", Spawn(child, "/c.wasm", ON_EXIT_NONE, (), junk, False), poll=Poll.CALL)
        rig.tell(Loaded(pid(child), NoProgram()))
    assert len(held(rig, "b")) == 5
    own = tuple(Capability(here("b"), str(number)) for number in range(9))
    rig.poll("b", save(*own))
    assert set(own) <= held(rig, "b")
