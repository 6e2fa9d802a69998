"""What a process gets where its node has nothing more to give: no spawn, and no memory (G25)."""

from __future__ import annotations

from testnet.faults.no_memory import RefusedMemory
from testnet.faults.spawn_fails import SpawnFails
from tests.conformance.lab import SimLab
from tests.conformance.steps import respond, spawn


def test_g25_where_nothing_can_be_started_a_spawn_fails_and_its_parent_goes_on(lab: SimLab) -> None:
    parent = lab.probe("a")
    with lab.simulation.apply(SpawnFails(lab.nodes[0].name)):
        parent.tell(spawn("child"))
        assert [seen.failure for seen in parent.seen("spawned")] == ["NoFileAtPath"]
        assert parent.ask(respond("still here")).body == "still here"
    parent.tell(spawn("other"))
    assert parent.child("other").running


def test_where_no_memory_is_left_a_process_that_needs_some_ends_and_the_node_goes_on(lab: SimLab) -> None:
    probe = lab.probe("a")
    with lab.simulation.apply(RefusedMemory(lab.nodes[0].name)):
        assert probe.ask(respond("here" * (1 << 20))).body == "process ended"  # an interpreter has some to spare
    assert lab.probe("b").ask(respond("here")).body == "here"
