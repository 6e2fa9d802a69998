"""Who may hold what, and how it comes and goes (G17, G20, G21), on the pure router."""

from __future__ import annotations

import pytest

from kernel.capabilities.grants import KERNEL_PROCESS
from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.capability import MESSAGING, Capability
from kernel.contract.events import FromPeer, Kill, Loaded, Output
from kernel.contract.guest import Arrival, DropCapabilities, Effect, Grant, Poll, SaveCapabilities, SendRequest, Spawn
from kernel.contract.message import ON_EXIT_NONE, Envelope, Request
from tests.kernel.rig import OUR, NoProgram, Rig, here, pid, there

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


def said(rig: Rig, text: str) -> bool:
    return any(isinstance(action, Output) and text in action.text for action in rig.actions)


def test_g20_a_process_can_attach_what_it_issues_and_save_what_it_received(rig: Rig) -> None:
    key = Capability(here("a"), KEY)
    rig.poll("a", attach("b", key))
    assert arrived(rig, "b") == (key,)
    rig.poll("b", save(key))
    assert held(rig, "b") == {key}


def test_g20_a_process_can_attach_what_it_holds(rig: Rig) -> None:
    key = Capability(here("a"), KEY)
    rig.kernel.grants.grant(pid("b"), [key])
    rig.poll("b", attach("c", key))
    assert arrived(rig, "c") == (key,)


def test_g20_what_a_process_neither_issues_nor_holds_is_left_out_and_logged(rig: Rig) -> None:
    rig.poll("b", attach("c", Capability(here("a"), KEY)))
    assert arrived(rig, "c") == ()
    assert said(rig, "neither issues nor holds")


def test_g20_a_process_saves_nothing_that_it_was_not_given(rig: Rig) -> None:
    for minted in (rig.kernel.grants.network, Capability(here("a"), MESSAGING), Capability(there("a"), KEY)):
        rig.kernel.grants.drop(pid("b"), [minted])
        rig.poll("b", save(minted))
        assert minted not in rig.kernel.grants.of(pid("b"))
    assert said(rig, "neither issues nor was given")


def test_g20_what_another_process_was_given_is_not_ours_to_save(rig: Rig) -> None:
    key = Capability(here("a"), KEY)
    rig.poll("a", attach("b", key))
    rig.poll("c", save(key))
    assert held(rig, "c") == set()


def test_g20_what_came_verified_from_another_node_can_be_saved(rig: Rig) -> None:
    key = Capability(there("x"), KEY)
    message = Request(False, None, b"", None, (key,))
    rig.tell(FromPeer(Envelope(7, there("x"), here("b"), None, message, None, claimed=True), "receipt"))
    rig.poll("b", save(key))
    assert held(rig, "b") == {key}


def test_g17_capabilities_are_compared_as_parsed_json(rig: Rig) -> None:
    rig.poll("a", attach("b", Capability(here("a"), KEY)))
    rig.poll("b", save(Capability(here("a"), '{ "floor": 2, "door": 1 }')))
    assert held(rig, "b") == {Capability(here("a"), KEY)}
    rig.poll("b", DropCapabilities((Capability(here("a"), '{"floor":2,"door":1}'),)))
    assert held(rig, "b") == set()


def test_g1_our_as_the_issuers_node_means_this_node(rig: Rig) -> None:
    key = Capability(Address("our", pid("a")), KEY)
    rig.poll("a", attach("b", key))
    assert arrived(rig, "b") == (Capability(here("a"), KEY),)
    rig.poll("b", save(key))
    assert held(rig, "b") == {Capability(here("a"), KEY)}


def test_g17_params_that_are_no_json_make_no_capability(rig: Rig) -> None:
    rig.poll("a", attach("b", Capability(here("a"), "{")), save(Capability(here("a"), "{")))
    assert arrived(rig, "b") == ()
    assert held(rig, "a") == set()


@pytest.mark.parametrize("params", ["1e999", "[" * 950 + "]" * 950, f'"{"é" * 8000}"'])
def test_g17_params_that_could_not_be_kept_make_no_capability_and_harm_nobody(rig: Rig, params: str) -> None:
    bad = Capability(here("a"), params)
    rig.poll("a", attach("b", bad), save(bad), DropCapabilities((bad,)))
    assert arrived(rig, "b") == ()
    assert held(rig, "a") == set()
    assert said(rig, "neither issues nor holds")


def test_g17_an_attached_capability_arrives_in_its_one_spelling(rig: Rig) -> None:
    rig.poll("a", attach("b", Capability(here("a"), '{ "floor" : 2, "door" : 1 }')))
    assert arrived(rig, "b") == (Capability(here("a"), KEY),)


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


def test_g21_what_a_killed_process_issued_can_no_longer_be_saved(rig: Rig) -> None:
    key = Capability(here("a"), KEY)
    rig.poll("a", attach("b", key))
    rig.tell(Kill(pid("a")))
    rig.poll("b", save(key))
    assert held(rig, "b") == set()


def test_g21_nobody_issues_in_the_kernels_name(rig: Rig) -> None:
    root = Capability(Address(OUR, KERNEL_PROCESS), '"root"')
    rig.poll("a", attach("b", root), save(root))
    assert arrived(rig, "b") == ()
    assert held(rig, "a") == set()


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
