"""How processes come and go (G21, G22, G23, G25)."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.address import ProcessId
from kernel.contract.capability import Capability
from kernel.contract.events import (
    Begin,
    ChangeOnExit,
    CloseGuest,
    DeadLetter,
    Ended,
    GrantCapabilities,
    Initialize,
    Kill,
    Loaded,
    Output,
    ResumeGuest,
    Run,
    Start,
    ToSystem,
    WithdrawCapabilities,
)
from kernel.contract.guest import Arrival, Poll, SetOnExit, Spawn, SpawnError
from kernel.contract.message import (
    ON_EXIT_NONE,
    ON_EXIT_RESTART,
    LazyLoadBlob,
    OnExit,
    OnExitAction,
    OnExitRequest,
    Request,
)
from kernel.contract.process import Launch
from tests.kernel.rig import CLOCK, OUR, TERMINAL, THEIR, VFS, NoProgram, Rig, here, pid

ISSUED = Capability(here("b"), '{"kind":"read"}')


@pytest.fixture
def rig() -> Rig:
    return Rig()


def initialize(rig: Rig, name: str | ProcessId, *capabilities: Capability) -> None:
    process = name if isinstance(name, ProcessId) else pid(name)
    rig.tell(Initialize(Launch(process, NoProgram(), ON_EXIT_NONE, public=True), capabilities))


def waiting(rig: Rig) -> list[tuple[ProcessId, float]]:
    """Who waits for a restart, and until when."""
    return [(launch.process, at) for launch, at in rig.kernel.lifecycle.waiting()]


def begun(rig: Rig, name: str) -> int:
    return sum(isinstance(action, Begin) and action.launch.process == pid(name) for action in rig.actions)


def test_an_initialized_process_begins_once_when_it_is_run(rig: Rig) -> None:
    initialize(rig, "a", ISSUED)
    assert rig.kernel.processes[pid("a")].waiting.value == "initialized, not run yet"
    assert begun(rig, "a") == 0
    for _ in range(2):
        rig.tell(Run(pid("a")))
    assert begun(rig, "a") == 1
    assert rig.kernel.grants.of(pid("a")) == (ISSUED,)


def test_g21_no_event_makes_a_process_of_a_reserved_or_taken_name(rig: Rig) -> None:
    rig.start("a")
    before = rig.kernel.processes[pid("a")]
    for name in (CLOCK, ProcessId("new", "distro", "sys"), pid("a"), ProcessId("UPPER", "tests", "sys")):
        initialize(rig, name)
    assert rig.kernel.processes == {pid("a"): before}


def test_g23_a_process_that_would_hold_too_much_is_not_made(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_GIVEN_CAPABILITIES", 0)
    initialize(rig, "a", ISSUED)
    assert rig.kernel.processes == {}


def test_g21_a_new_process_holds_nothing_that_an_earlier_one_of_its_name_held(rig: Rig) -> None:
    rig.start("parent", network=False)
    for name in ("made", "spawned"):
        rig.kernel.grants.grant(pid(name), [ISSUED])  # as it lay in the store
    initialize(rig, "made")
    rig.poll("parent", Spawn("spawned", "/x.wasm", ON_EXIT_NONE, (), (), False), poll=Poll.CALL)
    rig.tell(Loaded(pid("spawned"), NoProgram()))
    assert pid("spawned") in rig.kernel.processes
    assert [rig.kernel.grants.of(pid(name)) for name in ("made", "spawned")] == [(), ()]


def test_capabilities_come_and_go(rig: Rig) -> None:
    rig.start("a", network=False)
    rig.tell(GrantCapabilities(pid("a"), (ISSUED,)))
    assert rig.kernel.grants.of(pid("a")) == (ISSUED,)
    rig.tell(WithdrawCapabilities(pid("a"), (ISSUED,)))
    assert rig.kernel.grants.of(pid("a")) == ()


def test_g23_nobody_who_is_not_there_is_granted_anything(rig: Rig) -> None:
    rig.tell(GrantCapabilities(pid("nobody"), (ISSUED,)))
    assert rig.kernel.grants.of(pid("nobody")) == ()


def test_g22_on_exit_can_be_changed_from_outside(rig: Rig) -> None:
    rig.start("a")
    rig.tell(ChangeOnExit(pid("a"), ON_EXIT_RESTART))
    rig.end("a")
    assert waiting(rig) == [(pid("a"), 1.0)]


def test_g22_restarts_are_counted_until_the_process_is_gone_for_good(rig: Rig) -> None:
    rig.start("a", on_exit=ON_EXIT_RESTART)
    assert rig.kernel.lifecycle.restarts(pid("a")) == 0
    for number, due in ((1, 1.0), (2, 3.0)):
        rig.end("a")
        assert waiting(rig) == [(pid("a"), due)]
        rig.tick(due)
        assert rig.kernel.lifecycle.restarts(pid("a")) == number
        assert waiting(rig) == []
    rig.tell(Kill(pid("a")))
    assert rig.kernel.lifecycle.restarts(pid("a")) == 0


def test_g21_a_kill_revokes_unless_it_says_otherwise(rig: Rig) -> None:
    for revokes, left in ((False, (ISSUED,)), (True, ())):
        rig.start("a", "b", network=False)
        rig.tell(GrantCapabilities(pid("a"), (ISSUED,)))
        rig.tell(Kill(pid("b"), revokes))
        assert rig.kernel.grants.of(pid("a")) == left


def test_who_keeps_something_for_a_process_is_told_of_its_end_after_its_last_requests(rig: Rig) -> None:
    request = OnExitRequest(here("clock")._replace(process=CLOCK), Request(False, None, b"x"), None)
    rig.start("a", on_exit=OnExit(OnExitAction.REQUESTS, (request,)))
    actions = rig.end("a")
    assert [type(action) for action in actions if isinstance(action, (CloseGuest, ToSystem, Ended))] == [
        CloseGuest,
        ToSystem,
        Ended,
    ]
    rig.start("b", on_exit=ON_EXIT_RESTART)
    assert Ended(pid("b")) in rig.end("b")
    rig.start("c")
    assert Ended(pid("c")) in rig.tell(Kill(pid("c")))
    assert Ended(pid("nobody")) not in rig.tell(Kill(pid("nobody")))


def test_g21_a_process_that_cannot_be_granted_all_that_it_asks_for_says_so(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_HELD_CAPABILITIES", 1)
    rig.start("a", capabilities=(ISSUED, Capability(here("b"), "2")))
    assert any(isinstance(action, Output) and "fewer capabilities" in action.text for action in rig.actions)


def test_g22_restart_backs_off_by_doubling_and_resets_after_a_healthy_run(rig: Rig) -> None:
    rig.start("a", on_exit=ON_EXIT_RESTART)
    began = []
    for _ in range(12):
        rig.end("a", "oops")
        due = rig.kernel.next_deadline()
        assert due is not None
        began.append(due - rig.now)
        rig.tick(due)
    assert began == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    rig.now += 5 * 600
    rig.end("a")
    assert rig.kernel.next_deadline() == rig.now + 1


def test_g22_on_exit_requests_are_sent_as_the_ended_process_and_expect_nothing(rig: Rig) -> None:
    rig.start("a", "b")
    last = OnExitRequest(here("b"), Request(False, 9, b"last words"), LazyLoadBlob(None, b"will"))
    rig.poll("a", SetOnExit(OnExit(OnExitAction.REQUESTS, (last,))))
    rig.end("a", "oops")
    (arrival,) = rig.handed("b")
    assert isinstance(arrival, Arrival)
    assert isinstance(arrival.message, Request)
    assert (arrival.source, arrival.message.body, arrival.message.expects_response) == (here("a"), b"last words", None)
    assert arrival.blob == LazyLoadBlob(None, b"will")


def test_g22_a_kill_runs_no_on_exit(rig: Rig) -> None:
    rig.start("a", on_exit=ON_EXIT_RESTART)
    rig.tell(Kill(pid("a")))
    assert rig.kernel.next_deadline() is None
    assert any(isinstance(a, CloseGuest) for a in rig.actions)


def test_g21_nobody_gets_the_name_of_a_system_process(rig: Rig) -> None:
    for process in (VFS, TERMINAL, VFS._replace(process="new")):
        rig.tell(Start(Launch(process, NoProgram(), ON_EXIT_RESTART, True), ()))
    assert rig.kernel.statistics()["processes"] == 0
    assert not [a for a in rig.actions if isinstance(a, Begin)]


def test_g25_a_spawn_fails_if_the_user_starts_a_process_of_that_name_meanwhile(rig: Rig) -> None:
    rig.start("a")
    rig.poll("a", Spawn("c", "/c.wasm", ON_EXIT_RESTART, (), (), False), poll=Poll.CALL)
    rig.start("c")
    assert [a.answer for a in rig.actions if isinstance(a, ResumeGuest)] == [SpawnError.NAME_TAKEN]
    rig.tell(Loaded(pid("c"), NoProgram()))
    assert len([a for a in rig.actions if isinstance(a, Begin) and a.launch.process == pid("c")]) == 1


def test_g23_processes_that_wait_for_their_restart_count_against_the_limit(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_PROCESSES", 3)
    rig.start("a", "b", on_exit=ON_EXIT_RESTART)
    rig.end("b", "oops")
    for name in ("c", "d"):
        rig.poll("a", Spawn(name, "/c.wasm", ON_EXIT_RESTART, (), (), False), poll=Poll.CALL)
        rig.tell(Loaded(pid(name), NoProgram()))
        rig.actions.clear()
        rig.receive("a")
    assert set(rig.kernel.processes) == {pid("a"), pid("c")}


def test_g23_a_package_leaves_places_to_others(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PROCESSES_OF_PACKAGE", 2)
    rig.start("a", "b")
    rig.poll("a", Spawn("c", "/c.wasm", ON_EXIT_RESTART, (), (), False), poll=Poll.CALL)
    assert any(isinstance(action, Output) and "its package runs 2 processes" in action.text for action in rig.actions)
    rig.end("b")
    rig.poll("a", Spawn("c", "/c.wasm", ON_EXIT_RESTART, (), (), False), poll=Poll.CALL)
    rig.tell(Loaded(pid("c"), NoProgram()))
    assert set(rig.kernel.processes) == {pid("a"), pid("c")}


def test_starting_a_process_again_replaces_the_one_that_runs(rig: Rig) -> None:
    rig.start("a")
    rig.start("a")
    kinds = [type(a) for a in rig.actions if isinstance(a, (Begin, CloseGuest))]
    assert kinds == [Begin, CloseGuest, Begin]
    assert rig.kernel.statistics()["processes"] == 1
    assert not [a for a in rig.actions if isinstance(a, DeadLetter)]
    assert THEIR != OUR
