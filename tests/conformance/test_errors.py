"""G13 to G16: what becomes of messages that cannot be delivered or are not answered."""

from __future__ import annotations

import pytest

from kernel.contract import limits
from kernel.contract.message import Reason
from testnet.faults.refusal import Refusal
from testnet.model.where import Where
from tests.conformance import everywhere, spanning, two_nodes
from tests.conformance.lab import OUR, THEIR, Lab, SimLab
from tests.conformance.steps import (
    GET_BLOB,
    RETURN,
    TRAP,
    Step,
    blob,
    flood,
    on_returned,
    receive,
    receive_until,
    respond,
    send,
    wait_for,
)

NOBODY = "our@nobody:probes:sys"
NO_NODE = "nobody.nec@b:probes:sys"


@everywhere
def test_g13_a_node_that_has_no_name_is_offline_and_the_message_comes_back_whole(lab: Lab) -> None:
    a = lab.probe("a")
    a.ask(send(NO_NODE, "lost", expects=40, context="ctx", blob=blob("data", mime="x/y")), receive(), respond())
    (error,) = a.seen("error")
    assert (error.failure, error.body, error.context) == ("offline", "lost", "ctx")
    assert (error.blob, error.mime) == ("data", "x/y")


@two_nodes
def test_g13_a_node_that_does_not_run_is_offline(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    lab.take_down(THEIR)
    a.tell(send(b, "lost", expects=40), send(b, "lost too"))
    lab.until(lab.now + 35)
    assert [seen.failure for seen in a.seen("error")] == ["offline", "offline"]
    assert lab.dead() == [Reason.REFUSED, Reason.REFUSED]


@two_nodes
def test_g13_a_node_that_cannot_prove_its_name_is_offline(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    lab.replace_by_impostor(THEIR)
    a.tell(send(b, "secret", expects=40), send(b, "secret too"))
    lab.until(lab.now + 35)
    assert [seen.failure for seen in a.seen("error")] == ["offline", "offline"]
    assert lab.dead() == [Reason.BAD_KEY, Reason.BAD_KEY]


@two_nodes
def test_g13_a_connection_that_is_cut_and_comes_back_is_no_error(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.tell(send(b, "", receive(), respond("after the cut"), expects=50))
    lab.cut()
    lab.rest()
    b.tell()
    assert [(seen.kind, seen.body) for seen in a.seen()][1:] == [("response", "after the cut")]


@everywhere
def test_g14_a_message_that_expected_no_response_comes_back_as_offline_too(lab: Lab) -> None:
    a = lab.probe("a")
    a.ask(send(NO_NODE, "news", context="ctx"), receive(), respond())
    assert [(seen.failure, seen.body, seen.context) for seen in a.seen("error")] == [("offline", "news", "ctx")]


@pytest.mark.parametrize("target", [NOBODY, "our@private:probes:sys", "our@vfs:distro:sys"])
def test_g14_a_local_request_that_cannot_be_delivered_is_a_timeout_at_once(lab: SimLab, target: str) -> None:
    a = lab.probe("a")
    lab.probe("private", public=False)
    sent = a.tell(send(target, "lost", expects=50, context="ctx"))
    assert [(seen.failure, seen.at, seen.context) for seen in a.seen("error")] == [("timeout", sent, "ctx")]


def test_g14_a_request_to_a_system_process_that_the_node_lacks_is_answered_at_once(lab: SimLab) -> None:
    a = lab.probe("a")
    sent = a.tell(
        send("our@nobody:distro:sys", "lost", expects=50, context="ctx"), send("our@nobody:distro:sys", "news")
    )
    (answer,) = a.seen("response")
    assert (answer.at, answer.context, answer.body) == (sent, "ctx", '{"Err":"this node has no nobody:distro:sys"}')
    assert (a.seen("error"), lab.dead()) == ([], [])


def test_g14_a_local_request_to_nobody_that_expects_nothing_is_a_dead_letter(lab: SimLab) -> None:
    a = lab.probe("a")
    a.tell(send(NOBODY, "lost"))
    assert a.seen("error") == []
    assert lab.dead() == [Reason.NO_SUCH_PROCESS]


@pytest.mark.parametrize("end", [RETURN, TRAP, "kill"])
def test_g14_when_a_process_ends_whoever_waits_for_it_is_told_at_once(lab: SimLab, end: str) -> None:
    a, b, c = lab.probe("a"), lab.probe("b"), lab.probe("c")
    a.tell(send(b, "question", expects=100, context="ctx"))
    c.tell(wait_for(b, "awaited", expects=100))
    ends = lab.now
    if end == "kill":
        lab.kill(b)
    else:
        b.tell(end)
    for waiting in (a, c):
        assert [(seen.failure, seen.at) for seen in waiting.seen("error")] == [("timeout", ends)]


@pytest.mark.parametrize("end", [RETURN, TRAP, "kill"])
def test_g14_that_goes_for_what_it_had_not_read_yet_too(lab: SimLab, end: str) -> None:
    a, b, c = lab.probe("a"), lab.probe("b"), lab.probe("c")
    b.tell(wait_for(c, "", receive_until("go"), respond(), expects=90), end if end != "kill" else receive(9))
    a.tell(send(b, "unread", expects=100))
    ends = lab.now
    if end == "kill":
        lab.kill(b)
    else:
        c.say("go")
    assert [(seen.failure, seen.at, seen.body) for seen in a.seen("error")] == [("timeout", ends, "unread")]
    assert lab.dead() == [Reason.PROCESS_ENDED]


def test_g14_a_trap_fails_every_request_that_was_not_answered(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    sent = a.tell(*(send(b, str(number), TRAP if number == 5 else GET_BLOB, expects=20) for number in range(10)))
    assert [(seen.failure, seen.at) for seen in a.seen("error")] == [("timeout", sent)] * 10
    assert len(b.seen("request")) == 6


def test_g14_whoever_passed_a_request_on_may_end(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b"), lab.probe("c")
    a.tell(send(b, "", send(c, "question", inherit=True), RETURN, expects=100))
    assert not b.running
    assert a.seen("error") == []
    ends = lab.now
    lab.kill(c)
    assert [(seen.failure, seen.at) for seen in a.seen("error")] == [("timeout", ends)]


@spanning
def test_g15_a_response_that_cannot_be_delivered_comes_back_with_the_prompt_restored(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    a.tell(send(b, "", on_returned(respond("again")), respond("spoilt", metadata="{"), expects=50))
    assert [(seen.body, seen.failure) for seen in b.seen("returned")] == [("spoilt", "timeout")]
    assert a.bodies("response") == ["again"]
    assert Reason.BAD_METADATA in lab.dead(lab.other)


def test_g15_a_response_to_a_process_that_has_ended_comes_back(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    a.tell(send(b, "question", expects=50))
    lab.kill(a)
    b.tell(respond("too late"))
    assert [(seen.body, seen.failure) for seen in b.seen("returned")] == [("too late", "timeout")]
    assert f"kernel: response from {b} to {a}: process ended" in lab.our.log


@two_nodes
def test_g15_a_response_that_found_its_node_offline_can_be_sent_again(lab: SimLab) -> None:
    a, b = lab.probe("a"), lab.probe("b", far=True)
    retry: tuple[Step, ...] = (wait_for("our@timer:distro:sys", '{"SetTimer": 20000}', expects=40), respond("again"))
    a.tell(send(b, "", on_returned(*retry), receive(), respond("first try"), expects=200))
    with lab.simulation.apply(Refusal(Where(OUR))):
        lab.cut()
        b.tell()
        lab.until(lab.now + 15)
        assert [(seen.body, seen.failure) for seen in b.seen("returned")] == [("first try", "offline")]
    lab.until(lab.now + 60)
    assert a.bodies("response") == ["again"]


def assert_dead_letter(lab: SimLab, reason: Reason, line: str) -> None:
    """The node knows why, and its log says it in one line."""
    assert lab.dead() == [reason]
    assert [each for each in lab.our.log if each.startswith("kernel: ")] == [f"kernel: {line}"]


@pytest.mark.parametrize("expects", [None, 50])
@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("one.nec@nobody:probes:sys", Reason.NO_SUCH_PROCESS),
        ("one.nec@private:probes:sys", Reason.NO_CAPABILITY),
        ("No Node@b:probes:sys", Reason.BAD_ADDRESS),
    ],
)
def test_g16_a_dead_letter_says_why(lab: SimLab, target: str, reason: Reason, expects: int | None) -> None:
    a = lab.probe("a")
    lab.probe("private", public=False)
    a.tell(send(target, "lost", expects=expects))
    assert_dead_letter(lab, reason, f"request from {a} to {target}: {reason.value}")


def test_g16_what_waited_for_a_process_that_ended_is_a_dead_letter(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b"), lab.probe("c")
    b.tell(wait_for(c, "silence", expects=90))
    a.tell(send(b, "unread"))
    lab.kill(b)
    assert_dead_letter(lab, Reason.PROCESS_ENDED, f"request from {a} to {b}: process ended")


def test_g16_a_process_that_floods_itself_loses_what_finds_no_room(
    lab: SimLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_INBOX_MESSAGES", 10)
    a = lab.probe("a")
    a.tell(flood(a, 11))
    assert_dead_letter(lab, Reason.INBOX_FULL, f"request from {a} to {a}: inbox full")
    assert a.bodies() == [str(number) for number in range(10)]


@two_nodes
def test_g16_the_reason_of_an_offline_is_in_the_log_too(lab: SimLab) -> None:
    a = lab.probe("a")
    a.tell(send(NO_NODE, "lost"))
    assert_dead_letter(lab, Reason.NO_SUCH_NAME, f"request from {a} to {NO_NODE}: no such name")


def test_g16_a_dead_letter_is_kept_for_who_looks_for_it(lab: SimLab) -> None:
    a = lab.probe("a")
    sent = a.tell(send(NOBODY, "lost", metadata="1", blob=blob("data")))
    (letter,) = lab.our.core.dead_letters.latest
    assert (letter.time, letter.envelope.message.body) == (sent, b"lost")
    assert str(letter.envelope.source) == a.address
    assert letter.envelope.blob is None
