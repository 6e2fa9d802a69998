"""G21 and G22: a process is ended with all that descend from it, whatever they do about it."""

from __future__ import annotations

import shutil

from kernel.contract.address import PackageId, ProcessId
from tests.conformance.lab import PACKAGE, PROBE, SimLab, SimProbe
from tests.conformance.steps import RETURN, SAVE_RECEIVED, TRAP, capability, message, respond, send, spawn

BREEDER = PROBE.with_name("breeder.wasm")
PROBES = PackageId.parse(PACKAGE)


def family(lab: SimLab) -> SimProbe:
    """A probe with two children, the first of which has a child of its own."""
    parent = lab.probe("a")
    parent.tell(spawn("b"), spawn("c"))
    parent.tell(send("our@b:probes:sys", "", spawn("d", on_exit="Restart")))
    return parent


def running(lab: SimLab) -> set[str]:
    return {id.process for id in lab.our.core.kernel.processes}


def kill_tree(lab: SimLab, target: ProcessId | PackageId) -> int:
    ended = lab.our.core.kill_tree(target, lab.now)
    lab.our.go_on()
    lab.rest()
    return ended


def test_g22_a_tree_ends_with_children_and_grandchildren_and_nobody_else(lab: SimLab) -> None:
    parent, other = family(lab), lab.probe("other")
    assert kill_tree(lab, parent.id) == 4
    assert running(lab) == {"other"}
    assert other.ask(respond("still here")).body == "still here"


def test_g22_one_that_waits_for_its_restart_ends_with_its_tree(lab: SimLab) -> None:
    parent = family(lab)
    parent.child("d").begin(TRAP)
    assert "d" not in running(lab)
    assert kill_tree(lab, parent.id) == 4
    lab.until(lab.now + 2000)
    assert running(lab) == set()


def test_g22_a_kill_runs_no_on_exit_of_any_of_a_tree(lab: SimLab) -> None:
    other, parent = lab.probe("other"), lab.probe("a")
    last = {"Requests": [message(other, "it ended")]}
    parent.tell(spawn("b", on_exit=last))
    assert kill_tree(lab, parent.id) == 2
    assert other.bodies() == []


def test_g22_a_grandchild_ends_with_the_tree_when_its_parent_has_ended_before(lab: SimLab) -> None:
    parent = family(lab)
    parent.tell(send("our@b:probes:sys", "", RETURN))
    assert running(lab) == {"a", "c", "d"}
    assert kill_tree(lab, parent.id) == 3
    assert running(lab) == set()


def test_g22_what_a_killed_parent_has_left_is_ended_by_its_name(lab: SimLab) -> None:
    parent = family(lab)
    lab.kill(parent)
    assert running(lab) == {"b", "c", "d"}
    assert kill_tree(lab, parent.id) == 3


def test_g21_what_a_grandchild_has_issued_is_revoked_with_its_tree(lab: SimLab) -> None:
    other, parent = lab.probe("other"), family(lab)
    mine = capability("our@d:probes:sys", '"key"')
    give = send(other, "", SAVE_RECEIVED, capabilities=[mine])
    parent.tell(send("our@b:probes:sys", "", send("our@d:probes:sys", "", give)))
    assert [each for each in other.held() if "d:probes:sys" in each]
    kill_tree(lab, parent.id)
    assert [each for each in other.held() if "d:probes:sys" in each] == []


def test_g22_a_package_ends_with_all_of_its_processes_and_their_children(lab: SimLab) -> None:
    family(lab)
    lab.probe("other")
    assert kill_tree(lab, PROBES) == 5
    assert running(lab) == set()


def test_g22_a_process_that_its_user_starts_anew_begins_without_its_former_children(lab: SimLab) -> None:
    family(lab)
    assert running(lab) == {"a", "b", "c", "d"}
    lab.probe("a")
    assert running(lab) == {"a"}


def test_g22_those_who_spawn_without_end_and_return_end_with_the_kill_and_none_escapes(lab: SimLab) -> None:
    shutil.copy(BREEDER, lab.folder)
    breeder = lab.probe("a", path="/breeder.wasm", settles=False)
    core = lab.our.core
    lab.wait(lambda: len(core.kernel.processes) > 200)
    assert not breeder.running
    assert core.kill_tree(breeder.id, lab.now) > 200
    assert core.kernel.lifecycle.ending
    lab.our.go_on()
    lab.rest(30)
    assert running(lab) == set()
    assert core.tree(breeder.id) == ()
