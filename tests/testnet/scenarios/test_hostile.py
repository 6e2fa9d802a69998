"""The scenario hostile: honest nodes notice nothing of hostile peers, and it finds out where they would."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kernel.contract import limits
from kernel.contract.in_flight import InFlight
from testnet.faults.hostile_peer import BehaviourName, HostilePeer
from testnet.faults.schedule import Step, ordered
from testnet.scenarios.hostile import HOSTILE
from testnet.scenarios.scenario import Plan, draw_plan
from testnet.sim.names import REGISTRAR
from testnet.sim.programs import Programs
from tests.testnet.scenarios.played import passes, violation

VICTIM, FRIEND, HIDDEN = HOSTILE.nodes


def plan(*attacks: tuple[BehaviourName, str]) -> Plan:
    """These peers, for twelve seconds."""
    steps = [Step(1.0, 13.0, HostilePeer(node, behaviour, seed=seed)) for seed, (behaviour, node) in enumerate(attacks)]
    return replace(draw_plan(HOSTILE, 1), schedule=ordered(steps))


HELD: tuple[tuple[BehaviourName, str], ...] = (
    ("acknowledges_all_but_one", VICTIM),
    ("floods_huge", FRIEND),
    ("grants_nothing", VICTIM),
    ("never_acknowledges", VICTIM),
    ("redials", REGISTRAR),
    ("takes_circuits", HIDDEN),
)


@pytest.mark.parametrize("attacks", [(), HELD], ids=["none", "several"])
def test_it_holds_with_none_and_with_several_at_once(
    programs: Programs, attacks: tuple[tuple[BehaviourName, str], ...]
) -> None:
    passes(plan(*attacks), programs)


def test_it_finds_out_if_a_peer_that_acknowledges_nothing_silences_a_process(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_IN_FLIGHT_ANSWERS", 1024)  # which this peer can make wait
    per_node = InFlight._of_process
    monkeypatch.setattr(
        InFlight, "_of_process", lambda self, process, node, answer: per_node(self, process, "", answer)
    )
    violation(plan(("never_acknowledges", VICTIM)), programs)
