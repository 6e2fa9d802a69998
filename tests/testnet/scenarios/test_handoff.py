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
from testnet.scenarios.handoff import HANDOFF, Ticket
from testnet.scenarios.scenario import Plan, draw_plan
from testnet.sim.programs import Programs
from testnet.sim.run import PASSED, VIOLATED, run
from tests.seeds import seeds

A, B, C = HANDOFF.nodes
DOOR = {"node": A, "door": 1}


def plan(*steps: dict[str, Any], schedule: tuple[Step, ...] = ()) -> Plan:
    """A deed each second."""
    timed = [{"at": float(number)} | DOOR | step for number, step in enumerate(steps)]
    return Plan("handoff", 5, HANDOFF.nodes, {"steps": timed}, schedule)


FETCH, OPEN = {"do": "fetch", "guest": B}, {"do": "open", "guest": B}
GIVE, OPEN_TOO = {"do": "pass", "guest": B, "to": C}, {"do": "open", "guest": C}
KILL = {"do": "kill", "guest": A}


@pytest.mark.parametrize("seed", seeds(4, 16))
def test_it_holds_whatever_is_drawn(programs: Programs, seed: int) -> None:
    result = run(draw_plan(HANDOFF, seed), programs)
    assert result.result == PASSED, (seed, result.text)


@pytest.mark.parametrize(
    "fault",
    [Crash(A), Crash(B), Partition(Where(A, C)), RegistrarDown("unreachable")],
    ids=lambda fault: str(fault.words()),
)
def test_it_holds_when_something_fails_in_the_midst_of_a_handing_on(
    programs: Programs, fault: Crash | Partition | RegistrarDown
) -> None:
    result = run(plan(FETCH, OPEN, GIVE, OPEN_TOO, OPEN, schedule=(Step(1.5, 6.0, fault),)), programs)
    assert result.result == PASSED, result.text


def test_g21_it_holds_when_a_door_ends_and_tickets_are_fetched_again(programs: Programs) -> None:
    result = run(plan(FETCH, GIVE, KILL, OPEN, OPEN_TOO, GIVE, FETCH, OPEN, OPEN_TOO, GIVE, OPEN_TOO), programs)
    assert result.result == PASSED, result.text


def test_g21_a_ticket_that_is_fetched_again_after_its_door_has_ended_outlives_a_restart(programs: Programs) -> None:
    restart = {"do": "restart", "guest": B, "at": 10.0}
    result = run(plan(FETCH, OPEN, KILL, FETCH | {"at": 7.0}, restart, OPEN | {"at": 12.0}), programs)
    assert result.result == PASSED, result.text


def test_g21_a_ticket_is_worth_what_it_was_when_somebody_passes_on_what_was_revoked(programs: Programs) -> None:
    back = {"do": "pass", "guest": C, "to": B, "at": 8.0}
    result = run(plan(FETCH, GIVE, KILL, FETCH | {"at": 7.0}, back, OPEN | {"at": 9.0}), programs)
    assert result.result == PASSED, result.text


def test_it_finds_a_ticket_that_opens_although_its_door_has_ended(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Grants, "is_issue", lambda self, issuer, number: True)
    result = run(plan(FETCH, KILL, OPEN, OPEN, OPEN, OPEN, OPEN), programs)
    assert result.result == VIOLATED, result.text
    assert result.text.startswith(f"{B}, which may have been given, before its door ended, a ticket for")
    assert result.text.endswith("has opened that door")


def test_it_finds_a_ticket_that_opens_nothing(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Grants, "is_issue", lambda self, issuer, number: False)
    result = run(plan(FETCH, OPEN), programs)
    assert result.result == VIOLATED, result.text
    assert result.text.startswith(f"{B}, which holds a ticket for")
    assert result.text.endswith("was turned away")


FORGE = {"do": "forge", "guest": C}
FORGERIES = pytest.mark.parametrize("how", [each.value for each in Forgery])


@FORGERIES
def test_g20_it_holds_when_a_ticket_is_forged(programs: Programs, how: str) -> None:
    result = run(plan(FETCH, FORGE | {"how": how}, OPEN, GIVE, OPEN_TOO), programs)
    assert result.result == PASSED, result.text


@FORGERIES
def test_g20_it_finds_a_forged_ticket_that_opens(programs: Programs, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(Network, "vouched_untrusted", lambda *arguments: True)
    result = run(plan(FORGE | {"how": how}), programs)
    assert result.result == VIOLATED, result.text
    assert result.text == f"{C} has opened the door {Ticket(A, 1)} with a ticket that it forged ({how})"
