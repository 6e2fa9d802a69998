"""G26: what runs again when a node has crashed, and what does not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.conformance.lab import OUR, PACKAGE, PROBE, SimLab, SimProbe
from tests.conformance.steps import (
    RETURN,
    TRAP,
    capability,
    drop,
    message,
    respond,
    set_on_exit,
    set_state,
    spawn,
)

CRASHES = pytest.mark.parametrize("power", [False, True], ids=["kill -9", "power cut"])


def name_of(probe: SimProbe, child: str) -> SimProbe:
    return probe.child(f"{child}:{PACKAGE}")


@CRASHES
def test_g26_a_process_started_by_the_user_runs_again(lab: SimLab, power: bool) -> None:
    a = lab.probe("a", capabilities=("timer:distro:sys",))
    before = a.held()
    lab.reboot(power=power)
    assert a.ask(respond("again")).body == "again"
    assert a.held() == before


@CRASHES
def test_g26_a_child_runs_again_with_its_parent(lab: SimLab, power: bool) -> None:
    a = lab.probe("a")
    a.ask(spawn("child", public=True), respond())
    lab.reboot(power=power)
    child = name_of(a, "child")
    assert child.running
    assert child.process.launch.parent == a.id
    assert lab.our.core.tree(a.id) == (a.id, child.id)


def test_g26_a_child_whose_parent_has_ended_runs_again_and_belongs_to_its_family(lab: SimLab) -> None:
    a = lab.probe("a")
    a.ask(spawn("child", public=True), respond())
    child = name_of(a, "child")
    child.ask(spawn("grandchild", public=True), respond(), RETURN)
    lab.rest()
    assert not child.running
    lab.reboot()
    grandchild = name_of(a, "grandchild")
    assert grandchild.running
    assert lab.our.core.tree(a.id) == (a.id, grandchild.id)
    assert lab.our.core.tree(child.id) == (grandchild.id,)


@CRASHES
@pytest.mark.parametrize("end", [RETURN, TRAP])
def test_g26_what_has_ended_stays_so(lab: SimLab, power: bool, end: str) -> None:
    a = lab.probe("a")
    a.tell(end)
    lab.reboot(power=power)
    assert not a.running
    assert a.held() == []


@CRASHES
def test_g26_what_the_user_has_killed_stays_so(lab: SimLab, power: bool) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    lab.kill(a)
    lab.reboot(power=power)
    assert not a.running
    assert b.running


def test_g26_a_change_of_on_exit_is_kept(lab: SimLab) -> None:
    a = lab.probe("a")
    b = lab.probe("b")
    a.tell(set_on_exit(message(b, "a has ended")))
    lab.reboot()
    a.tell(RETURN)
    assert b.bodies() == ["a has ended"]


def test_g26_a_process_that_waited_for_its_restart_starts_again_and_backs_off_further(lab: SimLab) -> None:
    a = lab.probe("a", on_exit="Restart")
    for wait in (1, 2, 4):
        a.tell(TRAP)
        lab.rest(wait)
    assert a.running
    a.begin(TRAP)  # after 8 s
    lab.rest()
    lab.reboot()
    assert not a.running
    lab.rest(8)
    assert a.running
    assert lab.our.core.kernel.lifecycle.restarts(a.id) == 4
    a.tell(TRAP)
    assert "starts again in 16 s" in a.lines()


def test_g26_what_it_dropped_does_not_come_back_and_what_it_was_given_does(lab: SimLab) -> None:
    timer, vfs = "our@timer:distro:sys", "our@vfs:distro:sys"
    a = lab.probe("a", capabilities=("timer:distro:sys", "vfs:distro:sys"))
    a.ask(drop(capability(timer)), respond())
    held = a.held()
    assert not any("timer" in each for each in held)
    lab.reboot()
    assert a.held() == held
    assert any("vfs" in each for each in held)
    assert vfs


@CRASHES
def test_g26_its_state_is_the_one_that_it_last_set(lab: SimLab, power: bool) -> None:
    a = lab.probe("a")
    a.ask(set_state("remembered"), respond())
    lab.reboot(power=power)
    assert a.kept_state() == b"remembered"


def test_g26_a_message_sent_while_the_node_boots_reaches_the_process(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(set_on_exit(message(b, "bye")))
    lab.nodes[0] = lab.simulation.restart(OUR)
    b.inject(b"early")
    lab.our.go_on()
    lab.rest()
    assert b.bodies() == ["early"]


def test_g22_a_kill_while_the_node_boots_is_not_undone(lab: SimLab) -> None:
    a = lab.probe("a")
    lab.nodes[0] = lab.simulation.restart(OUR)
    assert not a.running
    lab.kill(a)
    assert not a.running
    lab.reboot()
    assert not a.running


def test_g26_another_version_of_a_package_ends_what_it_no_longer_has(lab: SimLab) -> None:
    lab.file("helper.wasm", PROBE.read_bytes())
    a, b = lab.probe("a"), lab.probe("b")
    b.ask(spawn("kept", path="/probe.wasm", public=True), respond())
    b.ask(spawn("gone", path="/helper.wasm", public=True), respond())
    (lab.folder / "helper.wasm").unlink()
    entry = {"process_name": "b", "process_wasm_path": "/probe.wasm", "on_exit": "None", "public": True}
    (lab.folder / "manifest.json").write_text(json.dumps([entry]))
    # Named at the boot, its folder is read anew; what a user has started comes back as it was.
    lab.our.spec = replace(lab.our.spec, packages=(lab.folder,))
    lab.reboot()
    assert not a.running, "the new manifest does not have it"
    assert b.running
    assert name_of(b, "kept").running
    assert not name_of(b, "gone").running
    log = "\n".join(lab.our.log)
    assert "has ended: the new version of probes:sys does not have it" in log
    assert "has ended: the new version of probes:sys has no such code" in log
    lab.reboot()
    assert not a.running


def test_g26_a_ticket_that_was_revoked_stays_so(lab: SimLab) -> None:
    a = lab.probe("a")
    number = lab.our.core.kernel.grants.issue()
    lab.kill(a)
    lab.reboot(power=True)
    assert not lab.our.core.kernel.grants.is_issue(a.id, number)
