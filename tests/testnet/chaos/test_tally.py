"""What is counted of witnesses' reports."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.chaos.tally import MAX_SENTENCES, Fate, RequestCounts, kind_of


def report(*asked: dict[str, int], noted: tuple[dict[str, int], ...] = (), wrong: tuple[str, ...] = ()) -> Any:
    nothing = {"answered": 0, "returned": 0, "offline": 0, "timeout": 0}
    rows = [{"run": "r", "target": "b.nec", **nothing, **row} for row in asked]
    return {"asked": rows, "noted": list(noted), "wrong": list(wrong), "wrong_left_out": 0}


def counted(what: Any, missing: Fate = "lost") -> RequestCounts:
    requests = RequestCounts()
    requests.add("a.nec", what, missing)
    return requests


def test_every_request_is_one_of_its_outcomes_or_lost() -> None:
    first = {"sent": 10, "answered": 4, "returned": 1, "offline": 2, "timeout": 3}
    requests = counted(report(first, {"sent": 7, "answered": 5}))
    assert (requests.started, requests.answered, requests.returned) == (17, 9, 1)
    assert (requests.offline, requests.timeout, requests.lost) == (2, 3, 2)
    assert requests.sentences == ["2 requests from a.nec to b.nec in run r have no outcome"]


@pytest.mark.parametrize("missing", ["died", "abandoned"])
def test_requests_of_a_node_that_was_killed_or_that_nobody_waits_for_are_not_lost(missing: Fate) -> None:
    requests = counted(report({"sent": 9, "answered": 2}), missing)
    assert (getattr(requests, missing), requests.lost, requests.sentences) == (7, 0, [])


def test_what_came_twice_or_out_of_order_is_counted_where_it_came() -> None:
    noted = ({"doubled": 2, "disordered": 0}, {"doubled": 1, "disordered": 4})
    wrong = ("number 1 of b.nec's run r came twice", "number 1 of b.nec's run r came after 7")
    requests = counted(report(noted=noted, wrong=wrong))
    assert (requests.doubled, requests.disordered, requests.wrong_node, requests.other) == (3, 4, 0, 0)


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("a second outcome for number 3 to b.nec in run r", "doubled"),
        ("number 3 of a.nec's run r must come from a.nec, and came from c.nec", "wrong node"),
        ("the answer to number 3 to b.nec in run r is b.nec's, and came from c.nec", "wrong node"),
        ("the answer to number 3 to b.nec in run r came another way, from c.nec", "wrong node"),
        ("number 3 of a.nec's run r came twice", "counted"),
        ("number 3 of a.nec's run r came after 9", "counted"),
        ("number 3 of a.nec's run r has a blob whose byte 7 is wrong", "other"),
    ],
)
def test_what_a_witness_says_is_put_where_it_belongs(sentence: str, kind: str) -> None:
    assert kind_of(sentence) == kind


def test_sentences_are_kept_up_to_a_bound_and_counted_beyond() -> None:
    requests = counted(report(wrong=tuple(f"odd {number}" for number in range(100))))
    assert (requests.other, len(requests.sentences)) == (100, MAX_SENTENCES)
