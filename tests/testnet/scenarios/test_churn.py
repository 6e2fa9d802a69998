"""The scenario churn: it holds on many seeds, and finds who reaches nobody, and who is there though it has left."""

from __future__ import annotations

from typing import Any

import pytest

from kernel.contract.events import Parcel
from nectar_node.peers.bridge import Peers
from testnet.scenarios.churn import CHURN
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation
from tests.testnet.scenarios.played import passes, violation

A, B, C, D = CHURN.nodes
JOINER = "join1.nec"


def plan(*events: dict[str, Any]) -> Plan:
    return Plan("churn", 5, CHURN.nodes, {"events": list(events)})


def event(at: float, do: str, node: str) -> dict[str, Any]:
    return {"at": at, "do": do, "node": node}


def talk(at: float, author: str, *targets: str) -> dict[str, Any]:
    pace = {"count": 20, "gap_ms": 100, "timeout": 20}
    return {"at": at, "do": "talk", "run": {"name": f"run at {at}", "author": author, "targets": [*targets], **pace}}


@pytest.mark.parametrize("end", ["crash", "leave"])
def test_it_holds_when_a_node_joins_and_is_gone_again(programs: Programs, end: str) -> None:
    events = (event(1.0, "join", JOINER), talk(3.0, A, B, JOINER), event(4.0, end, JOINER))
    assert any(f"to {JOINER}, who has left" in line for line in passes(plan(*events), programs, journal=True).journal)


@pytest.mark.parametrize("end", ["crash", "leave"])
def test_it_holds_when_the_asked_and_the_asking_end_and_boot_again(programs: Programs, end: str) -> None:
    events = [talk(1.0, A, B, C), talk(1.0, B, A), event(2.0, end, B), event(4.0, "start", B), talk(5.0, B, A, C)]
    passes(plan(*events), programs)


def test_it_finds_a_node_that_reaches_nobody(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but greetings are lost, so the network seems to heal."""
    sent = Peers.send

    def lossy(self: Peers, parcel: Parcel, now: float) -> None:
        if parcel.envelope.source.node != D or parcel.envelope.source.process.process != "witness":
            sent(self, parcel, now)

    monkeypatch.setattr(Peers, "send", lossy)
    text = violation(plan(), programs)
    assert text.startswith(f"not all requests were answered: {A}'s run at the end from {A} to {D}: 3 sent, 0 an")


def test_it_finds_a_node_that_is_gone_and_answers(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Simulation.running
    monkeypatch.setattr(Simulation, "leave", lambda self, name: None)
    monkeypatch.setattr(Simulation, "running", lambda self, name: name != JOINER and real(self, name))
    text = violation(plan(event(1.0, "join", JOINER), event(3.0, "leave", JOINER)), programs)
    assert text.startswith(f"{JOINER} has left, and {A}'s requests to it: 3 sent, 3 answered, ")
