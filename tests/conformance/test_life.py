"""G22 and G25: how processes begin and end, and what becomes of them then; the uses of children."""

from __future__ import annotations

import pytest

from tests.conformance.lab import OUR, PROBE, SimLab
from tests.conformance.steps import (
    GET_BLOB,
    GET_ON_EXIT,
    RETURN,
    TRAP,
    blob,
    capability,
    message,
    respond,
    save,
    say,
    send,
    set_on_exit,
    spawn,
    wait_for,
)

ENDS = [RETURN, TRAP]


# --- G22 --------------------------------------------------------------------------------------------------------------


def test_g22_a_process_may_run_for_ever_or_return(lab: SimLab) -> None:
    a = lab.probe("a")
    assert a.ask(respond("one")).body == "one"
    assert a.ask(respond("two"), RETURN).body == "two"
    assert not a.running
    assert a.lines() == []


@pytest.mark.parametrize("end", ENDS)
def test_g22_with_on_exit_none_the_end_is_the_end(lab: SimLab, end: str) -> None:
    a = lab.probe("a")
    a.tell(end)
    lab.until(lab.now + 2000)
    assert not a.running
    assert a.held() == []


@pytest.mark.parametrize("end", ENDS)
def test_g22_restart_backs_off_by_doubling(lab: SimLab, end: str) -> None:
    a = lab.probe("a", on_exit="Restart")
    for wait in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600):
        ended = a.begin(end)
        lab.until(ended + wait - 0.25)
        assert not a.running, wait
        lab.until(ended + wait)
        lab.until(ended + wait + 0.25)
        assert a.running, wait
        assert a.process.started_at == ended + wait


def test_g22_the_back_off_begins_anew_after_five_times_its_length_of_healthy_running(lab: SimLab) -> None:
    a = lab.probe("a", on_exit="Restart")
    a.tell(TRAP)  # back after 1 s, the next time after 2
    lab.until(a.process.started_at + 9)
    a.tell(TRAP)  # too early: after 2 s
    lab.until(a.process.started_at + 20)
    a.tell(TRAP)  # it has run for five times 4 s
    assert [line for line in a.lines() if line.startswith("starts")] == [
        "starts again in 1 s",
        "starts again in 2 s",
        "starts again in 1 s",
    ]


def test_g22_a_restart_has_fresh_memory_and_the_same_capabilities(lab: SimLab) -> None:
    a = lab.probe("a", on_exit="Restart", network=False)
    a.tell(save(capability(a, "1")), TRAP)
    lab.rest()
    assert lab.our.ask(a.address, b'"Report"', 20).message.body == b"[]"  # type: ignore[union-attr]
    assert a.held() == [f"{a} 1"]


def test_g22_messages_of_the_former_life_do_not_reach_the_next(lab: SimLab) -> None:
    a, b = lab.probe("a", on_exit="Restart"), lab.probe("b")
    a.tell(send(b, "question", expects=50), TRAP)
    lab.rest()
    b.tell(respond("for whom?"))
    assert a.seen("response") == []


@pytest.mark.parametrize("end", ENDS)
def test_g22_on_exit_requests_are_sent_as_the_ended_process_and_expect_nothing(lab: SimLab, end: str) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(set_on_exit(message(b, "last words", blob=blob("will")), message(b, "", GET_BLOB, blob=blob("too"))), end)
    first, second = b.seen("request")
    assert (first.source, first.body, first.expects) == (a.address, "last words", None)
    assert second.source == a.address
    assert [seen.blob for seen in b.seen("blob")] == ["too"]
    assert not a.running


def test_g22_the_latest_setting_applies_to_later_lives_too(lab: SimLab) -> None:
    a = lab.probe("a")
    a.tell(set_on_exit(action="Restart"), TRAP)
    lab.rest()
    a.tell(TRAP)
    lab.rest()
    assert a.running


def test_g22_get_on_exit_tells_the_setting(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    restart, requests = set_on_exit(action="Restart"), set_on_exit(message(b, "x"), message(b, "y"))
    a.tell(GET_ON_EXIT, restart, GET_ON_EXIT, requests, GET_ON_EXIT)
    assert [(seen.body, seen.source) for seen in a.seen("on-exit")] == [
        ("none", None),
        ("restart", None),
        ("x", b.address),
        ("y", b.address),
    ]


def test_g22_a_kill_runs_no_on_exit(lab: SimLab) -> None:
    a, b, c = lab.probe("a", on_exit="Restart"), lab.probe("b"), lab.probe("c")
    b.tell(set_on_exit(message(c, "last words")))
    lab.kill(a)
    lab.kill(b)
    lab.until(lab.now + 1000)
    assert (a.running, b.running, c.seen()) == (False, False, [])


def test_g22_a_kill_ends_the_wait_for_a_restart(lab: SimLab) -> None:
    a = lab.probe("a", on_exit="Restart")
    a.begin(TRAP)
    lab.kill(a)
    lab.until(lab.now + 1000)
    assert not a.running


# --- G25 --------------------------------------------------------------------------------------------------------------


def test_g25_a_child_runs_under_its_name_in_the_package_of_its_parent(lab: SimLab) -> None:
    parent = lab.probe("a")
    parent.tell(spawn("child"), send("our@child:probes:sys", "hello"))
    assert [seen.body for seen in parent.seen("spawned")] == ["child:probes:sys"]
    assert parent.child("child").bodies() == ["hello"]


def test_g25_a_public_child_is_reached_by_all_and_another_by_those_who_were_granted_it(lab: SimLab) -> None:
    parent, b, c = lab.probe("a"), lab.probe("b"), lab.probe("c")
    parent.tell(spawn("open", public=True), spawn("closed", grants=["b:probes:sys"]))
    for probe in (b, c):
        probe.tell(send("our@open:probes:sys", "hello"), send("our@closed:probes:sys", "hello"))
    assert [seen.source for seen in parent.child("open").seen("request")] == [b.address, c.address]
    assert [seen.source for seen in parent.child("closed").seen("request")] == [b.address]


def test_g25_a_childs_on_exit_is_what_its_parent_said(lab: SimLab) -> None:
    parent = lab.probe("a")
    last = {"Requests": [message(parent, "it ended")]}
    parent.tell(spawn("restarts", on_exit="Restart"), spawn("tells", on_exit=last), spawn("none"))
    for name in ("restarts", "tells", "none"):
        parent.tell(send(f"our@{name}:probes:sys", "", TRAP))
    lab.rest()
    assert [parent.child(name).running for name in ("restarts", "tells", "none")] == [True, False, False]
    (told,) = [seen for seen in parent.seen("request") if seen.body == "it ended"]
    assert told.source == f"{OUR}@tells:probes:sys"


def test_g25_a_name_that_is_taken_and_a_file_that_is_not_there_are_told_apart(lab: SimLab) -> None:
    parent, _ = lab.probe("a"), lab.probe("b")
    parent.tell(spawn("b"), spawn("c", path="/missing.wasm"), spawn("a"))
    assert [seen.failure for seen in parent.seen("spawned")] == ["NameTaken", "NoFileAtPath", "NameTaken"]
    assert parent.child("c").lines() == ["cannot be started from /missing.wasm: there is no such file"]


def test_g25_a_name_that_waits_for_its_restart_is_taken(lab: SimLab) -> None:
    parent = lab.probe("a")
    restarting = lab.probe("b", on_exit="Restart")
    restarting.begin(TRAP)
    parent.tell(spawn("b"))
    assert [seen.failure for seen in parent.seen("spawned")] == ["NameTaken"]


def test_what_a_process_prints_is_in_the_log_without_its_colours(lab: SimLab) -> None:
    probe = lab.probe("a")
    probe.tell(say("\x1b[1;32mINFO\x1b[0m ready \x1b[2J"))
    assert probe.lines() == ["INFO ready \x1b[2J"]


PROBE_BYTES = PROBE.read_bytes()
NO_PROCESSES = {
    "empty": b"",
    "text": b"hello",
    "truncated": PROBE_BYTES[: len(PROBE_BYTES) // 2],
    "another version": b"\0asm\2\0\0\0" + PROBE_BYTES[8:],
    "only its header": PROBE_BYTES[:8],
    "a byte changed": PROBE_BYTES[:200] + b"\xff" + PROBE_BYTES[201:],
}


@pytest.mark.parametrize("kind", sorted(NO_PROCESSES))
def test_g25_a_file_that_is_no_process_fails_the_spawn_with_a_line_in_the_log(lab: SimLab, kind: str) -> None:
    lab.file("bad.wasm", NO_PROCESSES[kind])
    parent = lab.probe("a")
    parent.tell(spawn("child", path="/bad.wasm"))
    assert [seen.failure for seen in parent.seen("spawned")] == ["NoFileAtPath"]
    (line,) = parent.child("child").lines()
    assert line.startswith("cannot be started from /")
    assert parent.ask(respond("still here")).body == "still here"


@pytest.mark.parametrize("path", ["/../state/x", "..", "", "/", "/a\0b", "x" * 900])
def test_g25_no_path_leads_out_of_the_package(lab: SimLab, path: str) -> None:
    parent = lab.probe("a")
    parent.tell(spawn("child", path=path))
    assert [seen.failure for seen in parent.seen("spawned")] == ["NoFileAtPath"]
    assert len(parent.child("child").lines()) == 1


# --- children: the four uses that the process model names -------------------------------------------------------------


def test_g23_a_child_may_compute_while_its_parent_answers(lab: SimLab) -> None:
    parent = lab.probe("a")
    parent.tell(spawn("child"))
    parent.inject(b'[{"Send": {"to": "our@child:probes:sys", "script": ["Spin"]}}]')
    lab.crank(20)
    parent.inject(b'[{"Respond": {}}, {"Print": {"text": "busy child, free parent"}}]')
    lab.crank(20)
    assert "busy child, free parent" in parent.lines()
    lab.kill(parent.child("child"))


def test_g8_a_child_may_await_while_its_parent_answers(lab: SimLab) -> None:
    parent, slow = lab.probe("a"), lab.probe("b")
    child = "our@child:probes:sys"
    ask_slow = wait_for(slow, "slow question", expects=1000), respond("it took long")
    parent.tell(spawn("child", capabilities=[]), send(child, "", *ask_slow, expects=1000, context="long"))
    assert parent.ask(respond("meanwhile")).body == "meanwhile"
    slow.tell(respond("at last"))
    assert [(seen.context, seen.body) for seen in parent.seen("response")] == [("long", "it took long")]


def test_g25_children_work_side_by_side_and_their_parent_tells_them_apart(lab: SimLab) -> None:
    parent = lab.probe("a")
    names = [f"worker-{number}" for number in range(10)]
    sends = [send(f"our@{name}:probes:sys", "", respond(f"by {name}"), expects=50, context=name) for name in names]
    parent.tell(*(spawn(name) for name in names), *sends)
    assert {seen.context: seen.body for seen in parent.seen("response")} == {name: f"by {name}" for name in names}


def test_g25_a_parents_end_does_not_end_its_children(lab: SimLab) -> None:
    parent = lab.probe("a")
    parent.tell(spawn("child", public=True), RETURN)
    b = lab.probe("b")
    b.tell(send("our@child:probes:sys", "", respond("alive"), expects=50))
    assert b.bodies("response") == ["alive"]
    assert lab.dead() == []
