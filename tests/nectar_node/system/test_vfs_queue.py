"""The order in which the vfs works, and how much may wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kernel.contract.address import ProcessId
from nectar_node.contract.memory_budget import MemoryBudget
from nectar_node.system.vfs_queue import MAX_ALL_BYTES, MAX_BYTES, MAX_REQUESTS, Pending, VfsQueue

APP = ProcessId("main", "app", "sys")
OTHER = ProcessId("main", "other", "sys")


def put(
    queue: VfsQueue[int], task: int, *places: str, alone: bool = False, caller: ProcessId = APP, weight: int = 0
) -> None:
    queue.put(Pending(task, places, alone, caller, weight))


def ready(queue: VfsQueue[int]) -> dict[int, Pending[int]]:
    found = {}
    while (pending := queue.next()) is not None:
        found[pending.task] = pending
    return found


def test_what_must_go_alone_or_concerns_two_places_waits() -> None:
    queue: VfsQueue[int] = VfsQueue()
    for task in (1, 2, 3):
        put(queue, task, "a")
    assert list(ready(queue)) == [1, 2, 3]
    queue = VfsQueue()
    put(queue, 1, "a")
    put(queue, 2, "a", alone=True)
    put(queue, 3, "a")
    put(queue, 4, "b")
    first = ready(queue)
    assert list(first) == [1, 4]
    queue.finished(first[1])
    second = ready(queue)
    assert list(second) == [2]
    queue.finished(second[2])
    assert list(ready(queue)) == [3]
    queue = VfsQueue()
    put(queue, 1, "a")
    put(queue, 2, "b")
    put(queue, 3, "a", "b", alone=True)
    put(queue, 4, "b")
    first = ready(queue)
    queue.finished(first[1])
    assert ready(queue) == {}
    queue.finished(first[2])
    third = ready(queue)
    assert list(third) == [3]
    queue.finished(third[3])
    assert list(ready(queue)) == [4]


@given(st.lists(st.tuples(st.sampled_from([("a",), ("b",), ("a", "b"), ("b", "a"), ("c", "a")]), st.booleans())))
def test_g4_everything_is_done_once_and_in_order_at_every_place(tasks: list[tuple[tuple[str, ...], bool]]) -> None:
    queue: VfsQueue[int] = VfsQueue()
    for number, (places, alone) in enumerate(tasks):
        put(queue, number, *places, alone=alone or len(places) > 1)
    done: list[Pending[int]] = []
    while going := list(ready(queue).values()):
        done += going
        for pending in reversed(going):
            queue.finished(pending)
    assert sorted(pending.task for pending in done) == list(range(len(tasks)))
    for place in "abc":
        here = [pending.task for pending in done if place in pending.places]
        assert here == sorted(here)
    assert queue._places == {}
    assert queue._usage == {}


def test_g23_one_process_has_room_for_so_many_requests_and_bytes_and_all_together_too() -> None:
    queue: VfsQueue[int] = VfsQueue()
    for number in range(MAX_REQUESTS):
        assert queue.has_room(APP)
        put(queue, number, "a")
    assert not queue.has_room(APP)
    assert queue.has_room(OTHER)
    queue.finished(ready(queue)[0])
    assert queue.has_room(APP)
    queue = VfsQueue()
    put(queue, 1, "a", weight=MAX_BYTES)
    assert not queue.has_room(APP)
    assert queue.has_room(OTHER)
    queue = VfsQueue()
    for number in range(MAX_ALL_BYTES // MAX_BYTES):
        put(queue, number, "a", caller=APP._replace(process=str(number)), weight=MAX_BYTES)
    assert not queue.has_room(OTHER)


def test_what_waits_is_paid_for_by_its_caller_until_it_is_done() -> None:
    budget = MemoryBudget(256 << 20)
    queue: VfsQueue[int] = VfsQueue(budget)
    taken = 0
    while queue.has_room(APP, 8 << 20):
        put(queue, taken, "a", weight=8 << 20)
        taken += 1
    assert 64 << 20 <= budget.used < 128 << 20  # half of it is for one package
    assert queue.has_room(OTHER, 8 << 20)
    queue.mend(lambda task: task == 0)
    assert budget.of("process", str(APP)) == (taken - 1) * (8 << 20)
    for pending in ready(queue).values():
        queue.finished(pending)
    assert (taken, budget.used) == (8, 0)


def test_a_refusal_is_told_of_once_until_nothing_waits_any_more() -> None:
    queue: VfsQueue[int] = VfsQueue()
    for _ in range(2):
        put(queue, 1, "a")
        assert [queue.first_refusal(APP) for _ in range(3)] == [True, False, False]
        queue.finished(ready(queue)[1])
