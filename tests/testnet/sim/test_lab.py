"""A simulation as a scenario sees it."""

from __future__ import annotations

import pytest

from testnet.faults.crash import Crash
from testnet.lab import NodePlan
from testnet.sim.lab import SimLab
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation

A, B = "a.nec", "b.nec"


@pytest.fixture
def lab() -> SimLab:
    lab = SimLab(Simulation(20261125, Programs()))
    lab.boot(NodePlan(A), NodePlan(B))
    return lab


def test_a_log_is_of_all_boots_whatever_ended_them(lab: SimLab) -> None:
    before = lab.log(B)
    assert before != []
    with lab.apply(Crash(B)):
        assert lab.log(B) == before
    lab.wait(lambda: lab.ready(B), 60.0)
    assert lab.log(B)[: len(before)] == before
    assert len(lab.log(B)) > len(before)
