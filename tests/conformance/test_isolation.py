"""G23 and G24: what one process does harms no other, and senders wait for room."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.message import Reason
from kernel.contract.process import Waiting
from tests.conformance import spanning, two_nodes
from tests.conformance.lab import SimLab, SimProbe, SocketLab
from tests.conformance.steps import (
    RECURSE,
    SPIN,
    TRAP,
    Step,
    blob,
    flood,
    grow,
    receive_until,
    respond,
    script,
    send,
    spawn,
    wait_for,
)

MEMORY_PAGES = limits.MAX_MEMORY_BYTES >> 16
"""What the simulation gives a guest."""
OWN_PAGES = 200
"""What an interpreter has for itself, at most."""


def answers(lab: SimLab, probe: SimProbe) -> bool:
    """Whether a process answers while others may never come to rest."""
    before = len(probe.lines())
    probe.inject(b'[{"Print": {"text": "here"}}]')
    lab.crank(30)
    return probe.lines()[before:] == ["here"]


# --- G23 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", [TRAP, RECURSE])
def test_g22_g23_a_crash_stays_inside_and_has_a_line_in_the_log(lab: SimLab, crash: str) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(crash)
    *traceback, line = a.lines()
    assert line.startswith("ended: wasm trap: ") or (traceback and line == "ended: exited with code 1")
    if traceback:  # that of an interpreter, which ends itself after an exception
        text = "\n".join(traceback)
        assert ("told to" in text, "recursion" in text) == (crash == TRAP, crash == RECURSE)
    else:
        assert ("unreachable" in line) == (crash == TRAP)
    assert not a.running
    assert b.ask(respond("well")).body == "well"


def test_g23_a_process_in_an_endless_loop_stops_no_other_and_can_be_killed(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.inject(script(SPIN))
    lab.crank(50)
    assert lab.our.core.can_run  # it spins
    assert answers(lab, b)
    lab.kill(a)
    assert not a.running
    assert b.ask(respond("well")).body == "well"


def test_g23_a_process_of_a_real_node_in_an_endless_loop_stops_no_other_and_can_be_killed(sockets: SocketLab) -> None:
    sockets.forget()
    a, b, spinning = sockets.probe("a"), sockets.probe("b"), sockets.probe("a").child("spinning")
    a.ask(spawn("spinning"), respond())
    assert spinning.ask(respond("ready"), SPIN).body == "ready"
    assert b.ask(respond("well")).body == "well"
    assert spinning.ask(respond(), timeout=1).kind == "timeout"
    assert spinning.running
    sockets.kill(spinning)
    assert not spinning.running
    assert b.ask(respond("well")).body == "well"


@pytest.mark.parametrize("step", [SPIN, flood("our@nobody:probes:sys", 1_000_000)], ids=["computing", "sending"])
def test_g23_an_endless_loop_ends_in_a_simulation_where_no_time_would_pass_for_it(
    lab: SimLab, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    monkeypatch.setattr("testnet.sim.node.SLICES_AT_ONCE", 100)
    a, b = lab.probe("a"), lab.probe("b")
    began = a.tell(step)
    assert a.lines() == [
        "ended: it has used up 100 slices without waiting for anything: an endless loop, or more computing than a "
        "simulation allows"
    ]
    (journal,) = [line for line in lab.simulation.journal if "ended: it has used up" in line]
    assert float(journal.split()[0]) == began
    assert not a.running
    assert b.ask(respond("well")).body == "well"


def test_g23_whoever_waits_for_a_process_in_an_endless_loop_has_its_timeout(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    sent = lab.now
    a.inject(script(send(b, "", SPIN, expects=5)))
    lab.crank(50)
    lab.our.core.on_timer(sent + 5)
    lab.crank(50)
    assert [seen.failure for seen in a.seen("error")] == ["timeout"]
    lab.kill(b)


def test_g23_a_process_that_awaits_can_be_killed(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(wait_for(b, "silence", expects=1000))
    lab.kill(a)
    assert not a.running
    assert lab.our.core.kernel.statistics()["outstanding"] == 0


def test_g23_a_process_that_waits_for_room_can_be_killed(lab: SimLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 5)
    a, b, c = lab.probe("a"), lab.probe("b"), lab.probe("c")
    b.tell(wait_for(c, "", receive_until("go"), respond(), expects=500))
    a.tell(flood(b, 20))
    assert a.process.stall is not None
    lab.kill(a)
    assert not a.running
    c.say("go")
    assert b.bodies() == ["0", "1", "2", "3", "4"]
    assert b.ask(respond("well")).body == "well"


def test_g23_memory_is_bounded(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(grow(10 * MEMORY_PAGES))
    (grown,) = a.seen("grown")
    assert MEMORY_PAGES - OWN_PAGES < grown.size < MEMORY_PAGES
    assert b.ask(respond("well")).body == "well"


def test_g23_outstanding_requests_are_bounded(lab: SimLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_OUTSTANDING", 20)
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(*(send(b, "silence", expects=500) for _ in range(21)))
    assert a.lines() == ["ended: it has 20 requests outstanding or outcomes that it does not receive"]
    assert b.ask(respond("well")).body == "well"


def test_g23_the_bytes_of_outstanding_requests_are_bounded(lab: SimLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_OUTSTANDING_BYTES", 100_000)
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(*(send(b, "silence", expects=500, blob=blob(size=60_000)) for _ in range(3)))
    assert not a.running
    assert len(b.seen()) == 2


def test_g23_bytes_in_an_inbox_are_bounded(lab: SimLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_BYTES", 10_000)
    a, b, c = lab.probe("a"), lab.probe("b"), lab.probe("c")
    b.tell(wait_for(c, "", receive_until("go"), respond(), expects=500))
    a.tell(flood(b, 10, size=4_000))
    assert b.process.mailbox.bytes <= 10_000 + 4_001
    assert len(b.process.mailbox) == 3
    c.say("go")
    assert len(b.bodies()) == 10


# --- G24 --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_inbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 10)


def hold(lab: SimLab, b: SimProbe, gate: SimProbe) -> None:
    """Let `b` take no message until `gate` is told to go."""
    b.tell(wait_for(gate, "", receive_until("go"), respond(), expects=1000))


@pytest.mark.usefixtures("small_inbox")
@spanning
def test_g24_all_of_a_flood_arrives_in_order_and_the_sender_waits(lab: SimLab) -> None:
    a, b, gate = lab.probe("a"), lab.probe("b", far=True), lab.probe("d", far=True)
    hold(lab, b, gate)
    a.tell(flood(b, 500))
    lab.until(lab.now + 20)
    assert len(b.process.mailbox) == 10
    gate.say("go")
    lab.until(lab.now + 20)
    assert b.bodies() == [str(number) for number in range(500)]
    assert lab.dead() == lab.dead(lab.other) == []


@pytest.mark.usefixtures("small_inbox")
def test_g24_a_sender_that_waits_takes_no_messages(lab: SimLab) -> None:
    a, b, gate = lab.probe("a"), lab.probe("b"), lab.probe("d")
    hold(lab, b, gate)
    a.tell(flood(b, 11))
    a.tell(send(b, "afterwards"))
    assert len(a.seen()) == 1
    gate.say("go")
    assert len(a.seen()) == 2
    assert b.bodies()[-2:] == ["10", "afterwards"]


@pytest.mark.usefixtures("small_inbox")
def test_g24_a_sender_waits_no_longer_than_its_timeout(lab: SimLab) -> None:
    a, b, gate = lab.probe("a"), lab.probe("b"), lab.probe("d")
    hold(lab, b, gate)
    lab.probe("c").tell(flood(b, 10))
    sent = a.tell(send(b, "too late", expects=7), send(gate, "then"))
    assert gate.bodies() == []
    lab.until(sent + 10)
    assert [(seen.failure, seen.body, seen.at) for seen in a.seen("error")] == [("timeout", "too late", sent + 7)]
    assert gate.bodies() == ["then"]
    gate.say("go")
    assert b.bodies() == [str(number) for number in range(10)]


@pytest.mark.usefixtures("small_inbox")
def test_g24_an_await_that_waits_for_room_gets_its_response(lab: SimLab) -> None:
    a, b, gate = lab.probe("a"), lab.probe("b"), lab.probe("d")
    hold(lab, b, gate)
    lab.probe("c").tell(flood(b, 10))
    a.tell(wait_for(b, "", respond("there was room"), expects=100))
    gate.say("go")
    assert a.bodies("response") == ["there was room"]


@pytest.mark.usefixtures("small_inbox")
def test_g24_outcomes_find_room_in_a_full_inbox(lab: SimLab) -> None:
    a, b, gate = lab.probe("a"), lab.probe("b"), lab.probe("d")
    b.tell(send(a, "question", expects=500))
    hold(lab, b, gate)
    lab.probe("c").tell(flood(b, 10))
    a.tell(respond("in time"))
    gate.say("go")
    assert b.bodies("response") == ["answer", "in time"]


@pytest.mark.usefixtures("small_inbox")
@two_nodes
def test_g24_a_full_inbox_holds_up_no_other_process_of_that_node(lab: SimLab) -> None:
    a, b, gate = lab.probe("a"), lab.probe("b", far=True), lab.probe("d", far=True)
    hold(lab, b, gate)
    a.tell(flood(b, 300))
    c = lab.probe("c", far=True)
    a.tell(send(c, "", respond("free"), expects=20))
    assert a.bodies("response") == ["free"]
    assert len(b.process.mailbox) == 10


@pytest.fixture
def little_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_IN_FLIGHT_MESSAGES", 40)
    monkeypatch.setattr(limits, "MAX_IN_FLIGHT_ANSWERS", 40)


@pytest.mark.usefixtures("small_inbox", "little_in_flight")
@two_nodes
def test_g24_a_sender_to_another_node_is_held_back_and_nobody_else_is(lab: SimLab) -> None:
    a, b, gate = lab.probe("a"), lab.probe("b", far=True), lab.probe("d", far=True)
    hold(lab, b, gate)
    a.tell(flood(b, 500))
    assert a.process.waiting is Waiting.ROOM
    assert (len(b.process.mailbox), lab.our.core.kernel.in_flight.requests(a.id, lab.other.name)) == (10, 40)
    c, free = lab.probe("c"), lab.probe("c", far=True)
    c.tell(send(free, "", respond("free"), expects=20), send(b, "in vain", expects=20))
    assert c.bodies("response") == ["free"]
    assert lab.our.core.network.statistics()["outgoing_bytes"] < 40_000
    gate.say("go")
    lab.until(lab.now + 20)
    assert [body for body in b.bodies() if body and body.isdigit()] == [str(number) for number in range(500)]
    assert (lab.dead(), lab.dead(lab.other)) == ([Reason.EXPIRED], [])


@pytest.mark.usefixtures("small_inbox", "little_in_flight")
@two_nodes
def test_g24_a_sender_to_another_node_waits_no_longer_than_its_timeout(lab: SimLab) -> None:
    a, b, gate = lab.probe("a"), lab.probe("b", far=True), lab.probe("d", far=True)
    hold(lab, b, gate)
    a.tell(flood(b, 50))
    c = lab.probe("c")
    sent = a.tell(send(b, "too late", expects=7), send(c, "then"))
    assert (a.process.waiting, c.bodies()) == (Waiting.ROOM, [])
    lab.until(sent + 10)
    assert [(seen.failure, seen.body, seen.at) for seen in a.seen("error")] == [("timeout", "too late", sent + 7)]
    assert c.bodies() == ["then"]


@pytest.mark.usefixtures("small_inbox")
@two_nodes
def test_g24_an_answer_reaches_a_process_of_another_node_whose_inbox_is_full(lab: SimLab) -> None:
    a, gate, b = lab.probe("a"), lab.probe("d"), lab.probe("b", far=True)
    hold(lab, b, gate)
    a.tell(flood(b, 500))
    assert (a.process.waiting, len(b.process.mailbox)) == (Waiting.RECEIVE, 10)
    gate.say("go")
    lab.until(lab.now + 20)
    assert b.bodies() == [str(number) for number in range(500)]


def test_g24_a_flood_to_a_stuck_process_of_a_real_node_holds_back_its_sender_alone(sockets: SocketLab) -> None:
    sockets.forget()
    a, c = sockets.probe("a"), sockets.probe("c")
    b, gate = sockets.probe("b", far=True), sockets.probe("d", far=True)
    count = 1 + limits.MAX_INBOX_MESSAGES + limits.MAX_IN_FLIGHT_MESSAGES
    a.ask(send(b, "", wait_for(gate, "", receive_until("go"), respond(), expects=50)), respond())
    a.ask(respond(), flood(b, count))
    assert a.ask(respond(), timeout=1).kind == "timeout"
    assert c.ask(wait_for(sockets.probe("c", far=True), "", respond(), expects=20), respond("well")).body == "well"
    c.ask(send(gate, "go"), respond())
    a.ask(wait_for(b, "last", respond(), expects=50), respond())
    bodies = [seen.body for seen in b.seen("request")]
    assert [body for body in bodies if body is not None and body.isdigit()] == [str(number) for number in range(count)]


@pytest.mark.usefixtures("small_inbox")
def test_g24_two_processes_that_flood_each_other_both_go_on(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.inject(script(flood(b, 30)))
    b.inject(script(flood(a, 30)))
    lab.our.go_on()
    lab.rest()
    # Each waits for room with the other: only a kill or a timeout ends that, and nobody else is held up by it.
    assert lab.probe("c").ask(respond("well")).body == "well"
    lab.kill(a)
    assert b.ask(respond("well")).body == "well"


@pytest.mark.usefixtures("small_inbox")
def test_g24_a_child_that_floods_its_parent_waits_and_the_parent_goes_on(lab: SimLab) -> None:
    parent = lab.probe("a")
    parent.tell({"Spawn": {"name": "child"}}, send("our@child:probes:sys", "", flood(parent, 200)))
    assert parent.bodies() == [str(number) for number in range(200)]
    assert parent.ask(respond("well")).body == "well"
    assert (lab.dead(), parent.child("child").running) == ([], True)


@pytest.mark.usefixtures("small_inbox")
def test_g24_a_parent_that_awaits_the_child_that_floods_it_is_answered(lab: SimLab) -> None:
    parent = lab.probe("a")
    child = "our@child:probes:sys"
    parent.tell({"Spawn": {"name": "child"}}, wait_for(child, "", respond("first"), flood(parent, 50), expects=50))
    assert parent.bodies("response") == ["first"]
    assert len(parent.bodies()) == 50
    assert lab.dead() == []


@pytest.mark.usefixtures("little_in_flight")
@two_nodes
def test_g24_a_node_that_takes_no_answers_silences_a_process_to_nobody_else(lab: SimLab) -> None:
    server, mute = lab.probe("a"), lab.probe("b", far=True)
    lab.other.core.network.taken = lambda receipt, now: None  # type: ignore[method-assign]
    mute.tell(*(send(server, "", respond("unread"), expects=20) for _ in range(120)))
    assert lab.our.core.kernel.in_flight.messages == 40
    assert server.process.waiting is Waiting.RECEIVE
    assert lab.dead() == [Reason.QUEUE_FULL] * 80
    c = lab.probe("c")
    c.tell(send(server, "", respond("free"), expects=20))
    assert c.bodies("response") == ["free"]
