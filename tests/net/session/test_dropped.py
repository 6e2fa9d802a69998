"""A flood of connections that prove no name leaves a line in the log now and then, and not one for each of them."""

from __future__ import annotations

import pytest

from net.base.limits import DROPPED_SECONDS, MAX_DROPPED_REASONS
from net.base.timers import Timers
from net.contract.events import Log
from net.session.dropped import Dropped
from tests.net.hostile import accept
from tests.net.world import Node, World, pair


def lines(node: Node) -> list[str]:
    """What a node has logged of connections that have ended."""
    return [event.text for event in node.of(Log) if isinstance(event, Log) and "end" in event.text]


def flood(world: World, node: Node, count: int, bytes_: bytes = b"GET / HTTP/1.1\r\n\r\n") -> None:
    """So many connect, and say something that is no handshake."""
    for _ in range(count):
        number = accept(node.network, "stranger", world.now)
        node.network.receive(number, bytes_, world.now)
        world.settle()


def test_the_first_has_a_line_of_its_own_and_the_others_one_together() -> None:
    world, node, _ = pair()
    flood(world, node, 100)
    (first,) = lines(node)
    assert first.startswith("connection ")
    assert " with stranger ends: " in first
    world.run(DROPPED_SECONDS)
    why = first.partition(" ends: ")[2]
    assert lines(node)[1:] == [f"99 more connections have ended before a name was proven: {why}"]
    world.run(2 * DROPPED_SECONDS)
    flood(world, node, 1)
    assert len(lines(node)) == 3, "it is quiet again, and the next one is a first one"


def test_those_that_say_nothing_are_counted_too() -> None:
    world, node, _ = pair()
    for _ in range(10):
        accept(node.network, "stranger", world.now)
    world.run(60)
    first, together = lines(node)
    assert first.endswith("ends: silent for too long")
    assert together == "9 more connections have ended before a name was proven: silent for too long"


def test_a_flood_that_goes_on_has_one_line_for_each_time() -> None:
    dropped = Dropped(Timers())
    said = [dropped.add("connection 1", "x", 0.0)]
    for number in range(1, 1001):
        now = number * DROPPED_SECONDS / 100
        said += [dropped.on_timer(now), dropped.add("connection", "x", now)]
    assert [line for line in said if line is not None] == [
        "connection 1 ends: x",
        "99 more connections have ended before a name was proven: x",
        *["100 more connections have ended before a name was proven: x"] * 9,
    ]


@pytest.mark.parametrize("many", [2, 10 * MAX_DROPPED_REASONS])
def test_so_many_reasons_are_told_apart_and_the_most_frequent_first(many: int) -> None:
    dropped = Dropped(Timers())
    dropped.add("connection 1", "x", 0.0)
    for number in range(many):
        for _ in range(2 if number == 1 else 1):
            dropped.add("connection", f"reason {number}", 0.0)
    line = str(dropped.on_timer(DROPPED_SECONDS))
    if many == 2:
        assert line == "3 more connections have ended before a name was proven: 2 reason 1, 1 reason 0"
    else:
        assert f": {many - MAX_DROPPED_REASONS} for other reasons, 2 reason 1, 1 reason 0, " in line
        assert line.count(", ") == MAX_DROPPED_REASONS
