"""The story of a failure says what events say: what was asked, lost, given up and asked again, and what held then."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from testnet.journal.journal import Journal, JournalEnd
from testnet.report.story import FailureStory, tell
from tests.testnet.report.small import ASKED, ASKER, small, step

USER = "a.nec@terminal:terminal:sys"


def failed(*events: tuple[float, str, str], text: str = "it does not hold", **header: Any) -> Journal:
    journal = small(*events, (8.0, "-", f"violation {text}"), **header)
    return replace(journal, end=JournalEnd("00", len(journal.events), 9.0, "violated", text))


def fault(number: int, state: str, **more: Any) -> str:
    return f"fault {json.dumps({'number': number, 'state': state, **more})}"


def asked(at: float, id: int, beginning: str = '"Cast"') -> tuple[float, str, str]:
    return step(at, "a.nec", "sent", id=id, beginning=beginning)


def taken(at: float, id: int, beginning: str = '"Cast"') -> list[tuple[float, str, str]]:
    return [step(at, "b.nec", each, id=id, beginning=beginning) for each in ("sent", "handed over")]


def answered(at: float, id: int, votes: int) -> tuple[float, str, str]:
    return step(at, "b.nec", "answered", id=id, beginning=f'{{"Votes":{votes}}}', body=11)


def told(journal: Journal) -> list[str]:
    story = tell(journal)
    assert isinstance(story, FailureStory)
    return [each.text for each in story.told]


def test_a_request_that_was_given_up_and_asked_again_has_been_given_twice() -> None:
    journal = failed(
        asked(1.0, 7),
        *taken(1.1, 7),
        answered(1.1, 7, 1),
        (1.2, "-", fault(1, "begins", words="no links", nodes=[])),
        step(6.0, "a.nec", "failed", id=7, beginning='"Cast"', reason="expired"),
        asked(6.0, 8),
        (6.5, "-", fault(1, "ends")),
        *taken(7.0, 8),
        answered(7.0, 8, 2),
    )
    said = told(journal)
    assert said[0] == 'ask on a.nec asks greet on b.nec: "Cast".'
    assert "That answer has not come back (meanwhile: no links, from 1.200 s to 6.500 s)." in said
    twice = 'So greet on b.nec has been given the same "Cast" twice, at 1.100 s and at 7.000 s'
    assert [each for each in said if each.startswith(twice)]


def test_a_request_that_never_arrived_is_told_with_the_faults_of_its_nodes_alone() -> None:
    journal = failed(
        (0.5, "-", fault(1, "begins", words="b.nec sleeps", nodes=["b.nec"])),
        (0.6, "-", fault(2, "begins", words="c.nec sleeps", nodes=["c.nec"])),
        asked(1.0, 7),
        step(6.0, "a.nec", "failed", id=7, reason="expired"),
    )
    assert "It has not arrived (meanwhile: b.nec sleeps, from 0.500 s on)." in told(journal)
    story = tell(journal)
    assert story is not None
    assert [band.words for band in story.faults] == ["b.nec sleeps", "c.nec sleeps"]


def test_nothing_is_told_of_what_happened_after_the_failure_or_of_a_run_that_passed() -> None:
    assert tell(small(asked(1.0, 7))) is None
    late = step(8.5, "a.nec", "failed", id=7, reason="expired")
    journal = failed(asked(1.0, 7))
    journal = replace(journal, events=(*journal.events, *small(late).events))
    assert told(journal) == []


def test_a_process_that_waits_says_so_in_its_last_state() -> None:
    user = step(0.9, "a.nec", "sent", id=6, source=USER, target=ASKER, expects=True)
    story = tell(failed(user, asked(1.0, 7), text="G5: request 7777 is lost"))
    assert story is not None
    assert [each.process for each in story.states] == [ASKER]
    assert any(words.startswith("waits for the outcome of") for each in story.states for words in each.words)
    assert ASKED not in [each.process for each in story.states]


def operation(at: float, number: int, client: str, words: str, wrong: bool) -> tuple[float, str, str]:
    value = {"history": "x", "number": number, "client": client, "place": number, "words": words, "status": "ok"}
    times = {"called": at, "returned": at + 0.5, "wrong": wrong}
    return 8.0, "-", f"operation {json.dumps(value | times)}"


def test_the_operations_that_cannot_be_explained_are_told_with_their_times() -> None:
    journal = failed(
        operation(1.0, 0, "a.nec", "add(1) → 1", True),
        operation(2.0, 1, "b.nec", "read() → 0", True),
        operation(3.0, 2, "b.nec", "read() → 1", False),
    )
    story = tell(journal)
    assert isinstance(story, FailureStory)
    assert [each.text for each in story.told] == [
        "a.nec called add(1) → 1, until 1.500000 s.",
        "b.nec called read() → 0, until 2.500000 s.",
    ]
    assert [(each.at, each.lines, each.bad) for each in story.told] == [(1.0, (2,), True), (2.0, (3,), True)]


def test_what_a_history_names_is_told_with_its_request_and_the_page_opens_there() -> None:
    user = step(1.0, "a.nec", "sent", id=7, source=USER, beginning='"Add"')
    journal = failed(
        user, (1.2, "-", fault(1, "begins", words="cut", nodes=["b.nec"])), operation(1.0, 0, "a.nec", "add(1)", True)
    )
    story = tell(journal)
    assert story is not None
    assert story.opens == 4
    assert story.told[0].text == "a.nec called add(1), until 1.500000 s (meanwhile: cut, from 1.200 s on)."


def test_a_file_or_key_that_the_failure_names_is_found_in_the_messages() -> None:
    journal = failed(
        asked(1.0, 7, '{"Put":"k17"}'),
        *taken(1.1, 7, '{"Put":"k17"}'),
        answered(1.1, 7, 1),
        asked(2.0, 8, '{"Put":"k2"}'),
        text="b.nec has lost k17",
    )
    said = told(journal)
    assert 'ask on a.nec asks greet on b.nec: {"Put":"k17"}.' in said
    assert not any("k2" in each for each in said)


def test_a_node_that_does_not_reach_another_is_told_with_the_last_attempt_and_its_log() -> None:
    journal = failed(
        (0.5, "a.nec", "log net: connection 1 with b.nec ends: silent for too long"),
        asked(1.0, 7, '{"Greet":"heal"}'),
        text="5 s after the last fault the network has not healed: a.nec does not reach b.nec",
    )
    said = told(journal)
    assert said[0] == "The last that a.nec logged of b.nec: net: connection 1 with b.nec ends: silent for too long."
    assert "It has not arrived, and ask on a.nec still waits for it." in said


def test_a_request_that_came_twice_or_from_nobody_is_told_as_such() -> None:
    twice = failed(
        asked(1.0, 7777), *taken(1.1, 7777), *taken(1.3, 7777), text="G4: b.nec was given request 7777 twice"
    )
    assert "The same request has come to greet on b.nec at 1.100 s and at 1.300 s." in told(twice)
    nobody = failed(*taken(1.1, 7777), text="G3: b.nec took request 7777, who never sent it")
    assert any(each.startswith("Nobody was seen to send this") for each in told(nobody))


def test_a_node_that_crashes_after_its_answer_is_told_with_that_answer_once() -> None:
    journal = failed(
        step(1.0, "a.nec", "sent", source=USER, beginning='"Cast"'),
        step(1.1, "b.nec", "sent", source=USER, beginning='"Cast"'),
        step(1.1, "b.nec", "handed over", source=USER, beginning='"Cast"'),
        step(1.1, "b.nec", "answered", target=USER, beginning='{"Votes":1}'),
        (1.2, "b.nec", "crashes"),
        step(2.0, "a.nec", "failed", source=USER, beginning='"Cast"', reason="connection lost"),
        (3.0, "b.nec", "boots"),
    )
    said = told(journal)
    assert "b.nec crashes, and boots again at 3.000 s." in said
    assert len([each for each in said if 'answers {"Votes":1}' in each]) == 1
