"""A simulation as a scenario sees it."""

from __future__ import annotations

import pytest

from nectar_node.core.core import NodeCore
from testnet.faults.bit_flips import BitFlips
from testnet.faults.crash import Crash
from testnet.faults.pause import Pause
from testnet.faults.stall import Stall
from testnet.model.lab import NodePlan, OutOfTime
from testnet.model.rule import Fault
from testnet.sim.programs import Programs
from testnet.sim.simulation import Simulation

A, B = "a.nec", "b.nec"


@pytest.fixture
def lab(programs: Programs) -> Simulation:
    lab = Simulation(20261125, programs)
    lab.boot(NodePlan(A, ("hello",)), NodePlan(B, ("hello",)))
    return lab


def test_a_log_is_of_all_boots_whatever_ended_them(lab: Simulation) -> None:
    before = lab.log(B)
    assert before != []
    with lab.apply(Crash(B)):
        assert lab.log(B) == before
    lab.wait(lambda: lab.ready(B), 60.0)
    assert lab.log(B)[: len(before)] == before
    assert len(lab.log(B)) > len(before)


def test_a_node_that_has_ended_has_no_connections_to_cut(lab: Simulation) -> None:
    lab.crash(B)
    lab.cut(B)
    assert not lab.running(B)


def test_a_node_that_is_paused_leaves_when_it_goes_on(lab: Simulation) -> None:
    began = len(lab.journal)
    lab.pause(B)
    lab.pause(B)
    lab.leave(B)
    lab.resume(B)
    told = [line.split(" ", 1)[1] for line in lab.journal[began:]]
    life = [each for each in told if each in (f"{B} pauses", f"{B} resumes", f"{B} leaves", f"{B} crashes")]
    assert life == [f"{B} pauses", f"{B} resumes", f"{B} leaves"]


def test_time_never_runs_backwards_also_when_what_happens_lets_it_pass(lab: Simulation) -> None:
    began = lab.now
    lab.at(0.5, lambda: lab.rest(2.0))
    lab.rest(1.0)
    assert lab.now == pytest.approx(began + 2.5)


def test_a_node_that_is_busy_is_not_woken_more_often_afterwards(
    lab: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deadlines that come up before others and are gone again leave no further wakes at these."""
    woken: list[tuple[int, float]] = []
    wake = NodeCore.on_timer

    def counted(core: NodeCore, now: float) -> None:
        woken.append((id(core), now))
        wake(core, now)

    monkeypatch.setattr(NodeCore, "on_timer", counted)
    for _ in range(20):
        assert lab.ask(A, f"{B}@hello:hello:sys", {"Greet": "Ada"}, timeout=5).kind == "response"
        lab.rest(0.01)
    woken.clear()
    lab.rest(60.0)
    assert len(woken) > 10
    assert len(woken) == len(set(woken))


def test_the_chance_of_a_fault_is_the_same_whichever_other_faults_there_are(lab: Simulation) -> None:
    alone = _chance(lab, BitFlips(0.5))
    other = Simulation(lab.seed, Programs())
    with other.apply(Stall()), other.apply(Pause("registrar.nec")):
        assert _chance(other, BitFlips(0.5)) == alone


def test_two_faults_that_are_alike_have_chances_of_their_own(lab: Simulation) -> None:
    assert _chance(lab, BitFlips(0.5)) != _chance(lab, BitFlips(0.5))


def _chance(lab: Simulation, fault: Fault) -> float:
    with lab.apply(fault):
        return lab.fabric.rules[-1].chance.random()


def test_what_was_waited_for_at_the_deadline_of_all_is_named(lab: Simulation) -> None:
    lab.deadline = 5.0
    with pytest.raises(OutOfTime, match="not over at its deadline, 5 s of virtual time; the last word had not come"):
        lab.wait(lambda: False, 60.0, "the last word")
