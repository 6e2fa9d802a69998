"""What follows from looks at a testnet, one after another."""

from __future__ import annotations

from typing import Any

from testnet.model.rule import Link
from testnet.watch.figures import ErrorFigures, Figures, History, errors, kinds
from testnet.watch.snapshot import Letter, LinkCounts, LinksLook, NodeLook, NodeState, Snapshot


def look(at: float, state: NodeState = NodeState.RUNNING, boot: str = "1", **counts: int) -> NodeLook:
    running = state is NodeState.RUNNING
    return NodeLook(at, "a.nec", state, 7, boot if running else "", at if running else None, counts=counts)


def after(*looks: NodeLook) -> Figures:
    """The figures when the last of these has been seen."""
    history = History()
    return [history.add(Snapshot(each.at, (each,))) for each in looks][-1]


def link(at: float, bytes: int, resets: int = 0, pid: int = 1, **more: Any) -> Snapshot:
    counts = LinkCounts("b.nec", "a.nec", bytes, 1, resets)
    return Snapshot(at, (), LinksLook(at, "running", pid, links=(counts,), **more))


def test_a_rate_is_what_came_in_three_seconds_and_lately_what_came_in_ten() -> None:
    figures = after(look(0, messages=0), look(7, messages=1000), look(8, messages=1010), look(10, messages=1040))
    assert figures.nodes[0].per_second == 40 / 3
    figures = after(look(0, offline=1), look(5, offline=4), look(12, offline=9), look(15, offline=20))
    assert figures.nodes[0].lately == {"offline": 16}
    history = History()
    for at in range(100):
        figures = history.add(Snapshot(at, (look(at, timeout=at),)))
    assert figures.nodes[0].lately == {"timeout": 10}
    figures = after(look(0, answered=500), look(2, answered=3, boot="2"))
    assert (figures.nodes[0].lately, figures.nodes[0].per_second) == ({"answered": 3}, None)
    node = after(look(0, messages=1), look(1, messages=9), look(2, NodeState.PAUSED)).nodes[0]
    assert (node.per_second, node.lately) == (None, {})


def test_it_is_known_since_when_or_how_long_at_least_a_state_holds() -> None:
    node = after(look(0), look(1, NodeState.DOWN), look(4, NodeState.DOWN)).nodes[0]
    assert (node.since, node.since_at_least) == (3, False)
    node = after(look(0, NodeState.PAUSED), look(4, NodeState.PAUSED)).nodes[0]
    assert (node.since, node.since_at_least) == (4, True)
    assert after(look(100), look(101)).nodes[0].since == 101


def test_both_ways_of_a_link_are_one_line_with_a_rate_each_unless_they_began_anew() -> None:
    history = History()
    history.add(link(0, 1000))
    (figures,) = history.add(link(2, 5000, 3)).links
    assert (figures.ends, figures.there, figures.back) == (("a.nec", "b.nec"), 0.0, 2000.0)
    assert (figures.bytes, figures.resets, figures.resets_lately) == (5000, 3, 3)
    history = History()
    history.add(link(0, 1000))
    (figures,) = history.add(link(2, 10, pid=2)).links
    assert (figures.there, figures.resets_lately) == (None, 0)


def test_a_link_shows_the_faults_of_links_that_hold_there_whichever_way() -> None:
    rows = [
        {"kind": "partition", "parameters": {"source": "b.nec", "target": "a.nec"}},
        {"kind": "latency", "parameters": {"seconds": 1.0, "between": ["a.nec", "c.nec"]}},
        {"kind": "stall", "parameters": {}},
        {"kind": "pause", "parameters": {"node": "a.nec"}},
        {"kind": "/x/mine.py:Mine", "parameters": {"node": "a.nec"}},
        {"kind": "/x/mine.py:Odd", "parameters": {"node": 5}},
    ]
    assert kinds(rows, Link("a.nec", "b.nec")) == ("partition", "stall", "Mine")


def test_errors_alike_are_one_line_and_the_newest_comes_first() -> None:
    one = Letter("1", "a.nec", "p", "q", "unreachable")
    other = Letter("2", "a.nec", "p", "r", "expired")
    again = Letter("3", "a.nec", "p", "q", "unreachable")
    assert errors([one, other, again]) == [ErrorFigures(again, 2), ErrorFigures(other, 1)]
    letters = [Letter(str(each), "a.nec", f"a.nec@{each}7:p:q", "b.nec@x:p:q", "expired") for each in (1, 2)]
    (figures,) = errors(letters)
    assert (figures.last.source, figures.count) == ("a.nec@…:p:q", 2)
