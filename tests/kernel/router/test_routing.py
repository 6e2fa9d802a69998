"""Where messages may go (G2, G18, G19)."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.capability import MESSAGING, Capability
from kernel.contract.events import Parcel, Taken
from kernel.contract.guest import Failure
from kernel.contract.message import Envelope, Reason, Request
from tests.kernel.rig import CLOCK, OUR, VFS, Rig, from_peer, here, pid, respond, send, there


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_g2_metadata_that_is_no_json_is_never_delivered(rig: Rig) -> None:
    rig.start("a", "b")
    rig.poll("a", send(here("b"), metadata="{", expects=5))
    (failure,) = rig.handed("a")
    assert isinstance(failure, Failure)
    assert failure.error.reason is Reason.BAD_METADATA
    assert rig.handed("b") == []


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
    assert [a.target.process for a in rig.actions if isinstance(a, Envelope)] == [VFS, CLOCK]


def test_g19_without_the_network_capability_nothing_leaves_and_nothing_comes_in(rig: Rig) -> None:
    rig.start("a", network=False)
    rig.poll("a", send(there("b"), expects=9))
    from_peer(rig, "x", "a", Request(False, None, b"psst"))
    assert not [a for a in rig.actions if isinstance(a, Parcel)]
    assert rig.bodies("a") == [b"hello"]  # its own request, back as an error
    assert rig.dead() == [Reason.NO_CAPABILITY, Reason.NO_CAPABILITY]
    assert [a.receipt for a in rig.actions if isinstance(a, Taken)] == ["receipt"]


def test_g19_a_bad_node_name_never_reaches_the_network(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", send(Address("no name", pid("b")), expects=9))
    assert rig.dead() == [Reason.BAD_ADDRESS]
    assert not [a for a in rig.actions if isinstance(a, Parcel)]


def test_g24_a_process_that_floods_itself_loses_messages_and_goes_on(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 2)
    rig.start("a")
    rig.poll("a", *(send(here("a"), bytes([n])) for n in range(4)))
    assert rig.dead() == [Reason.INBOX_FULL, Reason.INBOX_FULL]
    assert rig.bodies("a") == [b"\0"]
