"""What a process asks of the kernel besides messages (G17, G21, G22, G27)."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.address import Address
from kernel.contract.capability import MESSAGING, Capability
from kernel.contract.events import CloseGuest, ResumeGuest, StateUsed, UseState
from kernel.contract.guest import GetOnExit, GetState, OurCapabilities, Poll, SaveCapabilities, SetOnExit, SetState
from kernel.contract.message import ON_EXIT_RESTART
from tests.kernel.rig import OUR, VFS, Rig, here, pid


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_g21_save_capabilities_makes_nothing_out_of_nothing(rig: Rig) -> None:
    rig.start("a", network=False)
    foreign = Capability(Address(OUR, VFS), MESSAGING)
    own = Capability(here("a"), '{"may": "read"}')
    rig.poll("a", SaveCapabilities((foreign, own, rig.kernel.grants.network)))
    rig.poll("a", OurCapabilities(), poll=Poll.CALL)
    answers = [a.answer for a in rig.actions if isinstance(a, ResumeGuest)]
    assert answers == [(Capability(here("a"), '{"may":"read"}'),)]


def test_g22_get_on_exit_gives_what_was_set(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", SetOnExit(ON_EXIT_RESTART), GetOnExit(), poll=Poll.CALL)
    assert [a.answer for a in rig.actions if isinstance(a, ResumeGuest)] == [ON_EXIT_RESTART]


def test_g27_a_process_waits_until_its_state_is_durable(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", SetState(b"state"), poll=Poll.CALL)
    assert [a.state for a in rig.actions if isinstance(a, UseState)] == [b"state"]
    assert not [a for a in rig.actions if isinstance(a, ResumeGuest)]
    rig.tell(StateUsed(rig.use_of_state(), None))
    assert [a.answer for a in rig.actions if isinstance(a, ResumeGuest)] == [None]
    rig.poll("a", GetState(), poll=Poll.CALL)
    rig.tell(StateUsed(rig.use_of_state(), None, "the disk is gone"))
    assert any(isinstance(a, CloseGuest) for a in rig.actions)


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
    assert [a.answer for a in rig.actions if isinstance(a, ResumeGuest)] == [b"state"]


def test_g21_a_process_cannot_hold_capabilities_without_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_HELD_CAPABILITIES", 10)
    rig.start("a", network=False)
    for n in range(0, 30, 5):
        rig.poll("a", SaveCapabilities(tuple(Capability(here("a"), str(n + k)) for k in range(5))))
    assert len(rig.kernel.grants.of(pid("a"))) == 10


def test_g17_params_that_hold_half_a_character_are_kept_in_ascii(rig: Rig) -> None:
    rig.start("a", network=False)
    rig.poll("a", SaveCapabilities((Capability(here("a"), '"\\ud800"'),)), OurCapabilities(), poll=Poll.CALL)
    (held,) = [a.answer for a in rig.actions if isinstance(a, ResumeGuest)]
    assert held == (Capability(here("a"), '"\\ud800"'),)
