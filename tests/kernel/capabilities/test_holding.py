"""What one process holds, and how much of it others may fill (G17, G20)."""

from __future__ import annotations

import pytest

from kernel.capabilities.holding import Holding, HoldingAccount, cost
from kernel.contract import limits
from kernel.contract.capability import Capability
from tests.kernel.rig import here


def key(params: str, issuer: str = "a") -> Capability:
    return Capability(here(issuer), params)


def test_an_account_counts_capabilities_and_their_bytes() -> None:
    account = HoldingAccount()
    account.add(key('"abc"'))
    assert (account.count, account.bytes) == (1, 5 + limits.CAPABILITY_OVERHEAD_BYTES)
    account.remove(key('"abc"'))
    assert (account.count, account.bytes) == (0, 0)


def test_an_account_is_full_in_count_or_in_bytes() -> None:
    account = HoldingAccount()
    account.add(key("1"))
    assert account.has_room(key("2"), 2, 2 * cost(key("1")))
    assert not account.has_room(key("2"), 1, 2 * cost(key("1")))
    assert not account.has_room(key("22"), 2, 2 * cost(key("1")))


def test_g20_what_was_given_takes_no_room_from_what_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_HELD_CAPABILITIES", 1)
    monkeypatch.setattr(limits, "MAX_GIVEN_CAPABILITIES", 1)
    holding = Holding()
    holding.add(key("1"), given=True)
    assert not holding.has_room(key("2"), given=True)
    assert holding.has_room(key("2"), given=False)


def test_what_is_dropped_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_GIVEN_CAPABILITIES", 1)
    holding = Holding()
    holding.add(key("1"), given=True)
    assert holding.remove(key("1"))
    assert holding.has_room(key("2"), given=True)
    assert not holding


def test_what_has_not_changed_is_listed_as_the_same_object() -> None:
    holding = Holding()
    holding.add(key("2"), given=False)
    holding.add(key("1"), given=True)
    listed = holding.listed()
    assert listed == ((key("2"),), (key("1"),))
    assert holding.listed() is listed
    holding.remove(key("1"))
    assert holding.listed() == ((key("2"),), ())
