"""What is known of a ticket's holders: each wrong answer is found, and none that is right."""

from __future__ import annotations

import pytest

from testnet.check import Linearizable, OperationHistory, VerdictKind
from testnet.scenarios.tickets import OpeningsModel, TicketModel

HOME, B, C = "a.nec", "b.nec", "c.nec"
TICKET = (HOME, 1)
Deed = tuple[object, ...]
FETCH, GIVE, OPEN, OPEN_TOO = ("fetch", B), ("hand", B, C), ("open", B), ("open", C)


def verdict(*deeds: Deed, forgetful: tuple[str, ...] = ()) -> tuple[VerdictKind, list[str]]:
    """Say of deeds one after the other, each with its result in the end, whether they are explained; and which of them
    are not."""
    clock = iter(range(1000))
    history = OperationHistory(lambda: float(next(clock)))
    for name, *guests, result in deeds:
        history.call("user", str(name), TICKET, *guests).ok(result)
    ((_, found),) = history.check(Linearizable(TicketModel(frozenset(forgetful))))
    return found.ruling, [each.name for each in found.operations]


@pytest.mark.parametrize(
    ("deeds", "named"),
    [
        pytest.param([(*OPEN, True)], ["open"], id="opens for one who was never given it"),
        pytest.param([(*FETCH, True), (*OPEN, False)], ["fetch", "open"], id="keeps a holder out"),
        pytest.param([(*FETCH, False)], ["fetch"], id="is not kept when it came"),
        pytest.param([(*GIVE, True)], ["hand"], id="is given on by one who never had it"),
        pytest.param(
            [(*FETCH, True), (*GIVE, True), (*OPEN_TOO, False)], ["hand", "open"], id="is worthless handed on"
        ),
        pytest.param([(*FETCH, True), ("end", True), (*OPEN, True)], ["end", "open"], id="outlives its door"),
        pytest.param([(*FETCH, True), ("end", True), ("hand", B, HOME, True)], ["end", "hand"], id="does at home"),
        pytest.param([(*FETCH, True), ("hand", B, HOME, False)], ["fetch", "hand"], id="is not known at home"),
        pytest.param([("break in", B, "MadeUp", True)], ["break in"], id="is made up"),
        pytest.param([(*FETCH, True), ("break in", B, "NoTicket", True)], ["break in"], id="is not needed"),
        pytest.param([("counted", B, True)], ["counted"], id="opened and nobody knows why"),
    ],
)
def test_what_cannot_be_is_named_in_the_fewest_deeds(deeds: list[Deed], named: list[str]) -> None:
    ruling, found = verdict(*deeds)
    assert ruling is VerdictKind.VIOLATED
    assert set(found) <= {str(deed[0]) for deed in deeds}
    assert found[-1] == named[-1]


@pytest.mark.parametrize(
    "deeds",
    [
        pytest.param([(*FETCH, True), (*OPEN, True), (*GIVE, True), (*OPEN_TOO, True)], id="it goes round"),
        pytest.param([(*FETCH, None), (*OPEN, False), (*OPEN, True)], id="nobody knows whether it came"),
        pytest.param([(*FETCH, True), (*GIVE, None), (*OPEN_TOO, False)], id="nobody knows whether it was handed on"),
        pytest.param([(*FETCH, True), ("end", None), (*OPEN, False), (*OPEN, True)], id="nor whether its door ended"),
        pytest.param([(*FETCH, True), ("end", True), (*GIVE, True), (*OPEN_TOO, False)], id="a revoked one goes on"),
        pytest.param([(*FETCH, True), ("crash", B, None), (*OPEN, False)], id="a crash took it"),
        pytest.param([(*FETCH, True), ("end", True), (*FETCH, True), (*OPEN, True)], id="it is fetched anew"),
        pytest.param([(*FETCH, True), ("hand", B, C, False)], id="another node may not know its issuer"),
    ],
)
def test_what_can_be_is_explained(deeds: list[Deed]) -> None:
    assert verdict(*deeds) == (VerdictKind.HOLDS, [])


def test_a_guest_that_may_forget_is_not_expected_to_hold_it() -> None:
    assert verdict((*FETCH, True), (*OPEN, False), forgetful=(B,))[0] is VerdictKind.HOLDS
    assert verdict((*FETCH, True), (*OPEN, False), forgetful=(C,))[0] is VerdictKind.VIOLATED


def openings(*deeds: tuple[str, int | None]) -> VerdictKind:
    """Say of openings one after the other whether they are counted right; null: nobody knows what came of it."""
    clock = iter(range(1000))
    history = OperationHistory(lambda: float(next(clock)))
    for name, result in deeds:
        call = history.call(B, name, TICKET, B)
        if result is not None:
            call.ok(result)
    ((_, found),) = history.check(Linearizable(OpeningsModel()))
    return found.ruling


@pytest.mark.parametrize(
    "deeds",
    [
        [("open", 1), ("open", 1)],
        [("open", 1), ("open", 3)],
        [("open", 1), ("count", 0)],
        [("count", 1)],
        [("open", None), ("open", 1), ("count", 3)],
        [("open", 1), ("boot", 0), ("open", 2)],
    ],
)
def test_openings_that_are_lost_doubled_or_made_by_nobody_are_found(deeds: list[tuple[str, int | None]]) -> None:
    assert openings(*deeds) is VerdictKind.VIOLATED


@pytest.mark.parametrize(
    "deeds",
    [
        [("open", 1), ("open", 2), ("count", 2)],
        [("open", None), ("open", 2), ("count", 2)],
        [("open", None), ("open", 1), ("count", 2)],
        [("open", 1), ("boot", 0), ("count", 0)],
        [("open", None), ("boot", 0), ("open", 2)],
    ],
)
def test_openings_of_which_nobody_knows_may_be_counted_later_or_never(deeds: list[tuple[str, int | None]]) -> None:
    assert openings(*deeds) is VerdictKind.HOLDS


def test_a_deed_that_nobody_knows_is_an_error_of_the_scenario() -> None:
    deed = ("eat", (TICKET, B), True)
    with pytest.raises(ValueError, match="nobody does 'eat'"):
        TicketModel().step(frozenset(), *deed)
