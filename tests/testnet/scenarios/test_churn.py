"""The scenario churn: it holds on many seeds, and finds who reaches nobody, and who is there though it has left."""

from __future__ import annotations

from typing import Any

import pytest

from kernel.contract.events import Parcel
from nectar_node.peers.bridge import Peers
from testnet.scenarios.churn import CHURN
from testnet.scenarios.scenario import Plan, draw_plan
from testnet.sim.programs import Programs
from testnet.sim.run import PASSED, VIOLATED, run
from testnet.sim.simulation import Simulation
from tests.seeds import seeds

A, B, C, D = CHURN.nodes
JOINER = "join1.nec"


def plan(*events: dict[str, Any]) -> Plan:
    return Plan("churn", 5, CHURN.nodes, {"events": list(events)})


def event(at: float, do: str, node: str) -> dict[str, Any]:
    return {"at": at, "do": do, "node": node}


def talk(at: float, author: str, *targets: str) -> dict[str, Any]:
    run = {
        "name": f"run at {at}",
        "author": author,
        "targets": list(targets),
        "count": 20,
        "gap_ms": 100,
        "timeout": 20,
    }
    return {"at": at, "do": "talk", "run": run}


@pytest.mark.parametrize("seed", seeds(3, 10))
def test_it_holds_whatever_is_drawn(programs: Programs, seed: int) -> None:
    result = run(draw_plan(CHURN, seed), programs)
    assert result.result == PASSED, (seed, result.text)


@pytest.mark.parametrize("end", ["crash", "leave"])
def test_it_holds_when_a_node_joins_and_is_gone_again(programs: Programs, end: str) -> None:
    result = run(plan(event(1.0, "join", JOINER), talk(3.0, A, B, JOINER), event(4.0, end, JOINER)), programs)
    assert result.result == PASSED, result.text
    assert any(f"to {JOINER}, who has left" in line for line in result.journal)


@pytest.mark.parametrize("end", ["crash", "leave"])
def test_it_holds_when_the_asked_and_the_asking_end_and_boot_again(programs: Programs, end: str) -> None:
    events = [talk(1.0, A, B, C), talk(1.0, B, A), event(2.0, end, B), event(4.0, "start", B), talk(5.0, B, A, C)]
    result = run(plan(*events), programs)
    assert result.result == PASSED, result.text


def test_it_finds_a_node_that_reaches_nobody(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but greetings are lost, so the network seems to heal."""
    sent = Peers.send

    def lossy(self: Peers, parcel: Parcel, now: float) -> None:
        if parcel.envelope.source.node != D or parcel.envelope.source.process.process != "witness":
            sent(self, parcel, now)

    monkeypatch.setattr(Peers, "send", lossy)
    result = run(plan(), programs)
    assert result.result == VIOLATED, result.text
    assert result.text.startswith(f"not all requests were answered: {A}'s run at the end from {A} to {D}: 3 sent, 0 an")


def test_it_finds_a_node_that_is_gone_and_answers(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Simulation.running
    monkeypatch.setattr(Simulation, "leave", lambda self, name: None)
    monkeypatch.setattr(Simulation, "running", lambda self, name: name != JOINER and real(self, name))
    result = run(plan(event(1.0, "join", JOINER), event(3.0, "leave", JOINER)), programs)
    assert result.result == VIOLATED, result.text
    assert (
        result.text
        == f"{JOINER} has left, and {A}'s requests to it: 3 sent, 3 answered, 0 returned, 0 offline, 0 timeout"
    )
