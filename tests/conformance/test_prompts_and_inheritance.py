"""G9 and G10: which request a response answers, and how answers find their way back."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.wasm.engine import Engine
from tests.conformance import everywhere, spanning
from tests.conformance.lab import Lab, SimLab
from tests.conformance.steps import receive, respond, send, wait_for


@everywhere
def test_g9_a_response_answers_the_request_being_handled(lab: Lab) -> None:
    b = lab.probe("b", far=True)
    assert b.ask(respond("one")).body == "one"
    assert b.ask(respond("two")).body == "two"


@spanning
def test_g9_a_response_restores_the_prompt_that_was_current_when_its_request_was_sent(lab: SimLab) -> None:
    a, b, c, d = lab.probe("a"), lab.probe("b", far=True), lab.probe("c"), lab.probe("d")
    a.tell(send(b, "", send(c, "", receive(), respond(), expects=50, then=(respond("for a"),)), expects=50))
    d.tell(send(b, "another question", expects=50))
    c.tell()
    assert (a.bodies("response"), d.bodies("response")) == (["for a"], [])


@spanning
@pytest.mark.parametrize("target", ["our@nobody:probes:sys", "nobody.nec@b:probes:sys", "our@c:probes:sys"])
def test_g9_a_send_error_restores_the_prompt_too(lab: SimLab, target: str) -> None:
    a, b, d = lab.probe("a"), lab.probe("b", far=True), lab.probe("d")
    lab.probe("c", far=True)
    a.tell(send(b, "", send(target, "silence", expects=20, then=(respond("sorry"),)), expects=50))
    d.tell(send(b, "another question", expects=50))
    lab.until(lab.now + 30)
    assert (a.bodies("response"), d.bodies("response")) == (["sorry"], [])


@spanning
def test_g9_an_awaited_response_restores_the_prompt_too(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    a.tell(send(b, "", wait_for(c, "", respond(), expects=20), respond("for a"), expects=50))
    assert a.bodies("response") == ["for a"]
    assert c.bodies("response") == []


@spanning
def test_g9_a_request_that_nobody_waits_for_is_no_prompt(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    a.tell(send(b, "question", expects=50))
    c.tell(send(b, "", respond("for a")))
    assert (a.bodies("response"), c.bodies("response")) == (["for a"], [])


@spanning
def test_g9_the_latest_question_is_the_prompt(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    a.tell(send(b, "question", expects=50))
    c.tell(send(b, "", respond("for c"), expects=50))
    assert (a.bodies("response"), c.bodies("response")) == ([], ["for c"])


@spanning
def test_g9_each_of_many_questions_under_way_gets_its_own_answer(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    for number in range(10):
        help_first = send(c, str(number), expects=50, then=(respond(f"answer {number}"),))
        a.tell(send(b, "", help_first, expects=90, context=str(number)))
    c.tell(*(respond() for _ in range(3)))
    lab.until(lab.now + 60)
    outcomes = {seen.context: seen.body for seen in a.seen("response")}
    assert outcomes == {str(number): f"answer {number}" for number in range(10)}


def test_g9_a_response_without_a_prompt_is_dropped_and_the_log_says_so(lab: SimLab) -> None:
    a = lab.probe("a")
    a.tell(respond("to whom?"))
    assert a.lines() == ["sent a response, but there is no request to answer"]
    assert a.running


@everywhere
def test_g10_the_answer_to_an_inherited_request_goes_to_the_original_requester(lab: Lab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    onward = send(c, "", send("our@d:probes:sys", "", respond("from d"), inherit=True), inherit=True)
    lab.probe("d")
    answer = a.ask(send(b, "", onward, inherit=True))
    assert answer.body == "from d"
    assert all(probe.seen("response") == [] for probe in (a, b, c))


@spanning
def test_g10_it_comes_back_with_the_context_of_the_request(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c", far=True)
    a.tell(send(b, "", send(c, "", respond("from c"), inherit=True, context="b's"), expects=50, context="a's"))
    assert [(seen.body, seen.source, seen.context) for seen in a.seen("response")] == [("from c", c.address, "a's")]


@spanning
def test_g10_a_request_that_expects_a_response_gets_the_answer_itself(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    a.tell(send(b, "", send(c, "", respond("for b"), inherit=True, expects=20), expects=50))
    assert (a.bodies("response"), b.bodies("response")) == ([], ["for b"])


@spanning
def test_g10_without_inherit_the_answer_goes_nowhere(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    a.tell(send(b, "", send(c, "", respond("to whom?")), expects=50))
    assert (a.bodies("response"), b.bodies("response")) == ([], [])
    assert c.lines() == ["sent a response, but there is no request to answer"]


@spanning
def test_g10_inheriting_from_a_message_that_nobody_waits_for_makes_no_prompt(lab: SimLab) -> None:
    a, b, c = lab.probe("a"), lab.probe("b", far=True), lab.probe("c")
    a.tell(send(b, "", send(c, "", respond("to whom?"), inherit=True)))
    assert c.lines() == ["sent a response, but there is no request to answer"]
    assert a.bodies("response") == []


def test_g10_the_answer_of_a_third_node_comes_straight_back(engine: Engine, tmp_path: Path) -> None:
    lab = SimLab(engine, tmp_path, 3)
    a, b, c = lab.probe("a"), lab.probe("b", on=1), lab.probe("c", on=2)
    a.tell(send(b, "", send(c, "", respond("from the third"), inherit=True), expects=50))
    assert [(seen.body, seen.source) for seen in a.seen("response")] == [("from the third", c.address)]
