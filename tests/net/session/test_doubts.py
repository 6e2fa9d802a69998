"""A peer is asked about a copy of this node only when it has taken the connection away, and not too often."""

from __future__ import annotations

from net.base.frames import Found
from net.base.timers import Timers
from net.session.doubts import CALM_SECONDS, FIRST_SECONDS, MAX_DOUBTS, MOST_SECONDS, OWN_REQUEST, Doubts

ANSWER = Found(OWN_REQUEST, b"record")


def doubts() -> Doubts:
    return Doubts(Timers())


def test_a_peer_is_asked_once_and_answers_once() -> None:
    item = doubts()
    item.begin("bob.test", 0.0)
    assert not item.settle("bob.test")
    assert item.timers.pop_due(FIRST_SECONDS) == "bob.test"
    item.ask("bob.test")
    assert item.settle("bob.test")
    assert not item.settle("bob.test")
    assert not item.is_answer("cid.test", ANSWER)
    assert not item.is_answer("bob.test", Found(1, b"record"))
    assert item.is_answer("bob.test", ANSWER)
    assert not item.is_answer("bob.test", ANSWER)


def test_the_pause_doubles_while_copies_take_turns() -> None:
    item, pauses = doubts(), []
    for _ in range(9):
        item.begin("bob.test", 0.0)
        pauses.append(item.timers.next())
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 64.0, MOST_SECONDS]
    item.begin("bob.test", CALM_SECONDS + 1.0)
    assert item.timers.next() == CALM_SECONDS + 1.0 + FIRST_SECONDS


def test_peers_that_take_connections_away_are_remembered_within_a_bound() -> None:
    item = doubts()
    for number in range(2 * MAX_DOUBTS):
        item.begin(f"n{number}.test", float(number))
    due = [item.timers.pop_due(1e9) for _ in range(MAX_DOUBTS + 1)]
    assert (due[0], due[-1]) == (f"n{MAX_DOUBTS}.test", None)
