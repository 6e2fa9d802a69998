"""Processes that are ended together with all that descend from them (G22)."""

from __future__ import annotations

import random

import pytest

from kernel.contract import limits
from kernel.contract.address import ProcessId
from kernel.contract.capability import Capability
from kernel.contract.descent import Descent, Kin
from kernel.contract.events import (
    Begin,
    Initialize,
    Kill,
    KillAll,
    Loaded,
    ResumeGuest,
    StateUsed,
)
from kernel.contract.guest import End, GetState, Poll, Spawn
from kernel.contract.message import ON_EXIT_NONE, ON_EXIT_RESTART, OnExit, Reason
from kernel.contract.process import Launch
from kernel.router import lifecycle
from tests.kernel.rig import NoProgram, Rig, here, pid, send
from tests.seeds import sample


@pytest.fixture(params=[lifecycle.KILLS_AT_ONCE, 1], ids=["at once", "one by one"])
def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(lifecycle, "KILLS_AT_ONCE", request.param)
    return Rig()


def ask_to_spawn(rig: Rig, parent: str, child: str, on_exit: OnExit = ON_EXIT_NONE) -> None:
    rig.poll(parent, Spawn(child, "/x.wasm", on_exit, (), (), False), poll=Poll.CALL)


def spawn(rig: Rig, parent: str, child: str, on_exit: OnExit = ON_EXIT_NONE) -> None:
    ask_to_spawn(rig, parent, child, on_exit)
    rig.tell(Loaded(pid(child), NoProgram()))
    for name in (parent, child):
        rig.receive(name)


def tree(rig: Rig, *names: str) -> list[str]:
    chosen = {pid(name) for name in names}
    return [id.process for id in rig.kernel.lifecycle.tree(lambda process: process in chosen)]


def doom(rig: Rig, *names: str) -> None:
    rig.tell(KillAll(tuple(pid(name) for name in tree(rig, *names))))


def end(rig: Rig) -> None:
    """Let those end who are to, without time passing."""
    while rig.kernel.lifecycle.ending:
        assert rig.kernel.next_deadline() == rig.now
        rig.tick(rig.now)


def kill_tree(rig: Rig, *names: str) -> None:
    doom(rig, *names)
    end(rig)


def test_g22_a_tree_is_all_that_descend_from_a_process_parents_first(rig: Rig) -> None:
    rig.start("a", "z")
    for parent, child in (("a", "b"), ("a", "c"), ("b", "d"), ("z", "y")):
        spawn(rig, parent, child)
    assert tree(rig, "a") == ["a", "b", "d", "c"]
    assert tree(rig, "b", "z") == ["z", "y", "b", "d"]
    kill_tree(rig, "a")
    assert sorted(id.process for id in rig.kernel.processes) == ["y", "z"]


@pytest.mark.parametrize("by", ["return", "kill"])
def test_g22_who_has_spawned_and_ended_hides_nobody(rig: Rig, by: str) -> None:
    rig.start("a")
    spawn(rig, "a", "b")
    spawn(rig, "b", "c")
    spawn(rig, "c", "d")
    for name in ("b", "c"):
        if by == "return":
            rig.end(name)
        else:
            rig.tell(Kill(pid(name)))
    assert tree(rig, "a") == ["a", "d"]
    assert tree(rig, "c") == ["d"]
    rig.end("a")
    assert tree(rig, "a") == ["d"]
    kill_tree(rig, "a")
    assert rig.kernel.processes == {}
    assert tree(rig, "a", "b", "c", "d") == []


def test_g22_a_new_process_of_an_ended_parents_name_does_not_take_its_place(rig: Rig) -> None:
    rig.start("a")
    spawn(rig, "a", "b")
    rig.end("a")
    spawn(rig, "b", "a")
    assert tree(rig, "b") == ["b", "a"]
    assert sorted(tree(rig, "a")) == ["a", "b"]


def test_g22_a_restarted_process_keeps_its_children_in_its_tree(rig: Rig) -> None:
    rig.start("a", on_exit=ON_EXIT_RESTART)
    spawn(rig, "a", "b")
    rig.end("a")
    rig.tick(1.0)
    assert tree(rig, "a") == ["a", "b"]


def test_g22_a_child_that_is_being_spawned_when_the_tree_ends_never_begins(rig: Rig) -> None:
    rig.start("a")
    spawn(rig, "a", "b")
    ask_to_spawn(rig, "b", "c")
    begun = len(rig.all(Begin))
    doom(rig, "a")
    rig.tell(Loaded(pid("c"), NoProgram()))
    end(rig)
    rig.poll("b", Spawn("d", "/x.wasm", ON_EXIT_NONE, (), (), False), poll=Poll.CALL)  # polled elsewhere meanwhile
    assert (len(rig.all(Begin)), rig.kernel.processes) == (begun, {})


def test_g22_one_that_waits_for_room_at_another_of_its_tree_does_nothing_more(rig: Rig) -> None:
    rig.start("a", on_exit=ON_EXIT_RESTART)
    spawn(rig, "a", "b")
    rig.poll("b", poll=Poll.PREEMPTED)  # busy: what comes waits in its inbox
    full = [send(here("b"))] * limits.MAX_INBOX_MESSAGES
    late = Spawn("late", "/x.wasm", ON_EXIT_NONE, (), (), False)
    rig.poll("a", *full, send(here("b"), b"no room"), late, poll=Poll.ENDED, end=End(None))
    assert rig.kernel.processes[pid("a")].waiting.value == "waiting for room in another inbox"
    doom(rig, "a")
    rig.tell(Loaded(pid("late"), NoProgram()))
    rig.tick(1000.0)
    end(rig)
    assert (rig.kernel.processes, rig.kernel.lifecycle.waiting()) == ({}, [])
    assert set(rig.dead()) == {Reason.PROCESS_ENDED}


def test_g22_two_of_a_tree_that_wait_for_each_other_are_told_nothing(rig: Rig) -> None:
    rig.start("a")
    spawn(rig, "a", "b")
    rig.poll("a", send(here("b"), expects=60))
    rig.poll("b", send(here("a"), expects=60))
    before = len(rig.all(ResumeGuest))
    kill_tree(rig, "a")
    assert len(rig.all(ResumeGuest)) == before
    assert len(rig.kernel.outstanding) == 0


def test_g22_who_is_to_end_is_told_nothing_more_and_makes_nobody_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lifecycle, "KILLS_AT_ONCE", 1)
    rig = Rig()
    rig.start("a", "asker")
    for child in ("b", "c"):
        spawn(rig, "a", child)
    rig.poll("c", GetState(), poll=Poll.CALL)
    token = rig.use_of_state()
    rig.kernel.grants.grant(pid("asker"), [Capability(here("b"), '"messaging"')])
    doom(rig, "a")
    told = len(rig.all(ResumeGuest))
    rig.tell(StateUsed(token, b"state"))
    rig.poll("asker", send(here("b"), b"late", expects=60))
    rig.tell(Initialize(Launch(pid("made"), NoProgram(), ON_EXIT_NONE, public=True, parent=pid("b")), ()))
    rig.tell(Initialize(Launch(pid("c"), NoProgram(), ON_EXIT_NONE, public=True), ()))
    assert len(rig.all(ResumeGuest)) == told
    end(rig)
    assert [id.process for id in rig.kernel.processes] == ["asker"]
    assert rig.bodies("asker") == [b"late"]


def test_g22_who_is_started_anew_while_its_former_tree_ends_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "KILLS_AT_ONCE", 1)
    rig = Rig()
    rig.start("a")
    spawn(rig, "a", "b")
    rig.tell(KillAll((pid("a"), pid("never"), pid("b"))))
    rig.start("a", "never")
    end(rig)
    assert [id.process for id in rig.kernel.processes] == ["a", "never"]


# --- what is remembered of those that have ended ------------------------------------------------------------------


def test_a_chain_of_processes_that_each_spawn_the_next_and_end_leaves_no_trace_of_its_length() -> None:
    descent = Descent()
    first = kin = descent.born(pid("0"), None)
    for number in range(1000):
        child = descent.born(pid(str(number + 1)), kin)
        descent.ended(kin)
        kin = child
    ghosts = descent.ghosts(lambda _: True)
    assert ghosts == [first, kin.parent]
    assert list(descent.below([first])) == [kin]
    descent.ended(kin)
    assert descent.ghosts(lambda _: True) == []


@pytest.mark.parametrize("seed", sample(range(20), 5))
def test_a_tree_is_what_a_plain_list_of_all_that_ever_were_says(seed: int) -> None:
    chance, descent = random.Random(seed), Descent()
    families: dict[Kin, set[Kin]] = {}
    """By each that ever was: itself and its ancestors."""
    living: list[Kin] = []
    for number in range(300):
        if living and chance.random() < 0.45:
            descent.ended(living.pop(chance.randrange(len(living))))
        else:
            parent = chance.choice(living) if living and chance.random() < 0.9 else None
            kin = descent.born(ProcessId(str(number), "tests", "sys"), parent)
            families[kin] = {kin} | (families[parent] if parent is not None else set())
            living.append(kin)
        roots = [kin for kin in families if kin.parent is None and (kin.lives or kin.children)]
        for root in (*roots, *living):
            assert set(descent.below([root])) == {kin for kin in living if root in families[kin]}
        assert {kin for root in roots for kin in descent.below([root])} == set(living)
        assert len(descent.ghosts(lambda _: True)) <= 2 * len(living)
