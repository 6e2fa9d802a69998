"""Who holds what, and that nobody can fill the place of another (G17, G20, G21)."""

from __future__ import annotations

import pytest

from kernel.capabilities.grants import Grants
from kernel.capabilities.holding import cost
from kernel.contract import limits
from kernel.contract.address import Address, ProcessId
from kernel.contract.capability import Capability
from tests.kernel.rig import OUR, here, pid

VICTIM = ProcessId("main", "honest", "sys")
KEY = Capability(here("a"), '"key"')


def junk(giver: str, params: int) -> Capability:
    return Capability(here(giver), str(params))


@pytest.fixture
def grants() -> Grants:
    return Grants(OUR)


def test_g20_children_that_give_without_end_leave_the_victim_room_to_save(grants: Grants) -> None:
    for child in range(8):
        for start in range(0, limits.MAX_GIVEN_CAPABILITIES, 64):
            grants.grant_bounded(VICTIM, [junk(f"child{child}", start + number) for number in range(64)])
    assert len(grants.of(VICTIM)) == limits.MAX_GIVEN_CAPABILITIES
    assert grants.save(VICTIM, [Capability(Address(OUR, VICTIM), str(number)) for number in range(3000)])


def test_g20_what_one_package_gave_takes_no_room_from_what_another_gives(
    grants: Grants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_GIVEN_CAPABILITIES", 1)
    assert grants.grant_bounded(VICTIM, [junk("a", 1)])
    assert not grants.grant_bounded(VICTIM, [junk("b", 1)])
    assert grants.grant_bounded(VICTIM, [Capability(Address(OUR, ProcessId("a", "other", "sys")), "1")])


def test_g20_what_one_package_gives_to_all_processes_is_bounded(
    grants: Grants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_PACKAGE_GIVEN_BYTES", 2 * cost(junk("a", 1)))
    given = [grants.grant_bounded(ProcessId(str(number), "honest", "sys"), [junk("a", 1)]) for number in range(3)]
    assert given == [True, True, False]


def test_g20_what_all_processes_of_a_package_save_is_bounded(grants: Grants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PACKAGE_HELD_BYTES", 2 * cost(junk("a", 1)))
    assert [grants.save(pid(f"child{number}"), [junk("a", 1)]) for number in range(3)] == [True, True, False]
    grants.forget(pid("child0"))
    assert grants.save(pid("child2"), [junk("a", 1)])


def test_g20_what_a_process_holds_is_bounded_in_bytes(grants: Grants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_HELD_BYTES", 2 * cost(KEY))
    assert grants.save(VICTIM, [KEY])
    assert not grants.save(VICTIM, [Capability(here("a"), f'"{"x" * len(KEY.params)}"')])
    assert grants.of(VICTIM) == (KEY,)


def test_g20_what_does_not_all_fit_is_not_saved_at_all(grants: Grants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_HELD_CAPABILITIES", 2)
    grants.save(VICTIM, [KEY])
    assert not grants.save(VICTIM, [junk("a", 1), junk("a", 2), KEY])
    assert grants.of(VICTIM) == (KEY,)


def test_g20_a_gift_that_its_holder_saves_is_its_own(grants: Grants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_GIVEN_CAPABILITIES", 1)
    grants.grant_bounded(VICTIM, [KEY])
    grants.save(VICTIM, [KEY])
    assert grants.grant_bounded(VICTIM, [junk("a", 1)])
    assert set(grants.of(VICTIM)) == {KEY, junk("a", 1)}


def test_g20_received_capabilities_are_bounded_in_bytes(grants: Grants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_RECEIVED_BYTES", 2 * cost(junk("a", 1)))
    received = tuple(junk("a", number) for number in range(3))
    grants.receive(VICTIM, received)
    assert grants.savable(Address(OUR, VICTIM), received) == received[1:]


def test_g21_what_a_child_without_a_name_gave_goes_with_it(grants: Grants) -> None:
    child = pid("12345678901234567890")
    grants.grant_bounded(VICTIM, [Capability(Address(OUR, child), "1"), KEY])
    grants.forget(child)
    assert grants.of(VICTIM) == (KEY,)


def test_g21_what_a_process_with_a_name_gave_stays_when_it_ends(grants: Grants) -> None:
    grants.grant_bounded(VICTIM, [KEY])
    grants.forget(KEY.issuer.process)
    assert grants.of(VICTIM) == (KEY,)


def test_g21_a_revocation_takes_what_is_held_and_what_was_received(grants: Grants) -> None:
    other = junk("b", 1)
    grants.save(VICTIM, [KEY, other])
    grants.receive(pid("c"), [KEY, other])
    grants.revoke(KEY.issuer)
    assert grants.of(VICTIM) == (other,)
    assert grants.savable(here("c"), (KEY, other)) == (other,)


@pytest.mark.parametrize("params", ["{", "1e999", "[" * 950 + "]" * 950, f'"{"é" * (limits.MAX_PARAMS_BYTES // 2)}"'])
def test_g17_what_is_no_capability_is_left_out_wherever_it_comes(grants: Grants, params: str) -> None:
    bad, ours = Capability(here("a"), params), here("a")
    assert grants.attachable(ours, (bad, KEY)) == (KEY,)
    assert grants.savable(ours, (bad, KEY)) == (KEY,)
    assert not grants.save(ours.process, [bad])
    assert not grants.grant_bounded(ours.process, [bad])
    assert not grants.grant(ours.process, [bad, KEY])
    grants.drop(ours.process, [bad])
    assert grants.of(ours.process) == (KEY,)


def test_g17_what_is_attached_is_in_the_spelling_in_which_it_is_compared(grants: Grants) -> None:
    assert grants.attachable(here("a"), (Capability(here("a"), ' "k\\u0065y" '),)) == (KEY,)


def test_g17_whether_a_process_holds_a_capability(grants: Grants) -> None:
    grants.grant(VICTIM, [KEY])
    assert grants.holds(VICTIM, KEY)
    assert not grants.holds(pid("b"), KEY)
    assert grants.is_held(KEY)
    grants.drop(VICTIM, [KEY])
    assert not grants.holds(VICTIM, KEY)
    assert not grants.is_held(KEY)


def test_g21_whoever_holds_something_else_than_before_has_changed_and_nobody_else(grants: Grants) -> None:
    grants.drop(VICTIM, [KEY])
    grants.forget(VICTIM)
    grants.revoke(KEY.issuer)
    grants.receive(VICTIM, [KEY])
    assert not grants.has_changed
    assert grants.take_changes() == (set(), None)
    for change in (grants.grant, grants.drop, grants.grant_bounded):
        change(VICTIM, [KEY])
        assert grants.has_changed
        assert grants.take_changes() == ({VICTIM}, None)
        if change is not grants.drop:
            change(VICTIM, [KEY])
            assert not grants.has_changed
    grants.forget(VICTIM)
    assert grants.take_changes() == ({VICTIM}, None)


def test_g21_a_revocation_has_changed_once_and_comes_with_all_before_it(grants: Grants) -> None:
    for number, name in enumerate("ab", 1):
        grants.issue()
        grants.revoke(here(name))
        assert grants.has_changed
        holders, revoked = grants.take_changes()
        assert holders == set()
        assert revoked is not None
        assert len(revoked.issuers) == number
        assert not grants.has_changed


def test_whoever_holds_a_capability_is_found_by_it(grants: Grants) -> None:
    assert grants.holders(KEY) == ()
    grants.grant(VICTIM, [KEY])
    grants.grant(pid("b"), [junk("b", 1)])
    assert grants.holders(KEY) == (VICTIM,)


def test_g21_what_is_held_survives_a_reboot_and_gifts_stay_gifts(
    grants: Grants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_GIVEN_CAPABILITIES", 1)
    grants.save(VICTIM, [KEY])
    grants.grant_bounded(VICTIM, [junk("b", 1)])
    grants.issue()
    grants.revoke(here("gone"))
    holders, revoked = grants.take_changes()
    assert revoked is not None
    again = Grants(OUR)
    again.restore({each: grants.listed(each) for each in holders}, revoked)
    assert not again.has_changed
    assert again.listed(VICTIM) == grants.listed(VICTIM) == ((KEY,), (junk("b", 1),))
    assert not again.is_issue(here("gone").process, 1)
    assert not again.grant_bounded(VICTIM, [junk("b", 2)])
    assert again.save(VICTIM, [junk("b", 2)])
