"""Lanes of a queue take turns, and what is in one keeps its order."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from kernel.contract.fair_queue import FairQueue


def filled(*items: tuple[str | None, int]) -> FairQueue[int]:
    """A queue with these, put in that order."""
    queue: FairQueue[int] = FairQueue()
    for lane, item in items:
        queue.put(lane, item)
    return queue


def test_lanes_take_turns_however_long_one_is() -> None:
    queue = filled(*(("flood", number) for number in range(100)), ("one", 1000), ("two", 2000), ("two", 2001))
    assert [queue.take() for _ in range(6)] == [0, 1000, 2000, 1, 2001, 2]


def test_one_lane_is_first_in_first_out() -> None:
    queue = filled((None, 1), (None, 2), (None, 3))
    assert (list(queue), len(queue), list(queue.drain()), len(queue)) == ([1, 2, 3], 3, [1, 2, 3], 0)
    with pytest.raises(IndexError):
        queue.take()


def test_what_is_discarded_or_replaced_leaves_the_rest_where_it_is() -> None:
    queue = filled((None, 1), ("a", 2), (None, 3), ("b", 4))
    queue.discard("a", 2)
    queue.discard("a", 2)
    queue.discard("b", 1)
    queue.replace(lambda item: item * 10)
    assert list(queue.drain()) == [10, 40, 30]


def test_whatever_happens_each_lane_keeps_its_order_and_nothing_is_lost() -> None:
    rng = random.Random(11)
    queue: FairQueue[tuple[str, int]] = FairQueue()
    sent: dict[str, list[int]] = defaultdict(list)
    taken: dict[str, list[int]] = defaultdict(list)
    for number in range(2000):
        if rng.random() < 0.6:
            lane = rng.choice("abcd")
            queue.put(lane, (lane, number))
            sent[lane].append(number)
        elif queue:
            lane, item = queue.take()
            taken[lane].append(item)
    for lane, item in queue.drain():
        taken[lane].append(item)
    assert taken == sent
