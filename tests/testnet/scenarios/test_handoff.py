"""The scenario handoff: it holds on many seeds, and finds whoever gets in without a ticket or is kept out with one."""

from __future__ import annotations

from typing import Any

import pytest

from kernel.capabilities.grants import Grants
from net.peering.network import Network
from testnet.faults.crash import Crash
from testnet.faults.partition import Partition
from testnet.faults.registrar_down import RegistrarDown
from testnet.faults.schedule import Step
from testnet.hostile.forgery import Forgery
from testnet.model.where import Where
from testnet.scenarios.handoff import HANDOFF
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from tests.testnet.scenarios.played import passes, violation

A, B, C = HANDOFF.nodes
DOOR = {"node": A, "door": 1}


def plan(*steps: dict[str, Any], schedule: tuple[Step, ...] = ()) -> Plan:
    """A deed each second."""
    timed = [{"at": float(number)} | DOOR | step for number, step in enumerate(steps)]
    return Plan("handoff", 5, HANDOFF.nodes, {"steps": timed}, schedule)


FETCH, OPEN = {"do": "fetch", "guest": B}, {"do": "open", "guest": B}
GIVE, OPEN_TOO = {"do": "pass", "guest": B, "to": C}, {"do": "open", "guest": C}
KILL = {"do": "kill", "guest": A}


@pytest.mark.parametrize(
    "fault",
    [Crash(A), Crash(B), Partition(Where(A, C)), RegistrarDown("unreachable")],
    ids=lambda fault: str(fault.words()),
)
def test_it_holds_when_something_fails_in_the_midst_of_a_handing_on(
    programs: Programs, fault: Crash | Partition | RegistrarDown
) -> None:
    passes(plan(FETCH, OPEN, GIVE, OPEN_TOO, OPEN, schedule=(Step(1.5, 6.0, fault),)), programs)


ANEW, RESTART = FETCH | {"at": 7.0}, {"do": "restart", "guest": B, "at": 10.0}
BACK = {"do": "pass", "guest": C, "to": B, "at": 8.0}


@pytest.mark.parametrize(
    "deeds",
    [
        pytest.param((GIVE, KILL, OPEN, OPEN_TOO, GIVE, FETCH, OPEN, OPEN_TOO, GIVE, OPEN_TOO), id="all over again"),
        pytest.param((OPEN, KILL, ANEW, RESTART, OPEN | {"at": 12.0}), id="a ticket outlives a restart"),
        pytest.param((GIVE, KILL, ANEW, BACK, OPEN | {"at": 9.0}), id="a revoked one comes back"),
    ],
)
def test_g21_it_holds_when_a_door_ends_and_tickets_are_fetched_again(
    programs: Programs, deeds: tuple[dict[str, Any], ...]
) -> None:
    passes(plan(FETCH, *deeds), programs)


@pytest.mark.parametrize(
    ("opens", "deeds", "words"),
    [
        (True, (KILL, *[OPEN] * 5), ("end((", "open((", "→ True")),
        (False, (OPEN,), ("fetch((", "open((", "→ False")),
    ],
)
def test_it_finds_a_ticket_that_opens_after_its_doors_end_or_not_at_all(
    programs: Programs,
    monkeypatch: pytest.MonkeyPatch,
    opens: bool,
    deeds: tuple[dict[str, Any], ...],
    words: tuple[str, ...],
) -> None:
    monkeypatch.setattr(Grants, "is_issue", lambda self, issuer, number: opens)
    text = violation(plan(FETCH, *deeds), programs)
    assert text.startswith("the tickets, linearizable: "), text
    assert [each for each in words if each not in text] == [], text


FORGE = {"do": "forge", "guest": C}
FORGERIES = pytest.mark.parametrize("how", [each.value for each in Forgery])


@FORGERIES
def test_g20_it_holds_when_a_ticket_is_forged(programs: Programs, how: str) -> None:
    passes(plan(FETCH, FORGE | {"how": how}, OPEN, GIVE, OPEN_TOO), programs)


@FORGERIES
def test_g20_it_finds_a_forged_ticket_that_opens(programs: Programs, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(Network, "vouched_untrusted", lambda *arguments: True)
    text = violation(plan(FORGE | {"how": how}), programs)
    assert text.startswith("the tickets, linearizable: "), text
    assert f"{C}: break in({(A, 1)}, '{C}', '{how}') → True" in text
