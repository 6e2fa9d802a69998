"""Threads that carry out work and bring it back to the trio thread."""

from __future__ import annotations

import threading

import pytest
import trio

from nectar_node.driver.work_threads import WorkThreads

LIMIT_SECONDS = 60


class Gate:
    """Work that ends when it may, and how much of it is done at once."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def pass_through(self, number: int) -> int:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        assert self.open.wait(LIMIT_SECONDS)
        with self._lock:
            self._now -= 1
        return 10 * number


async def test_everything_comes_back_to_the_trio_thread_and_no_more_threads_work_than_may() -> None:
    gate, home = Gate(), threading.get_ident()
    back: dict[int, int] = {}

    def done(number: int, result: int) -> None:
        assert threading.get_ident() == home
        back[number] = result

    with trio.fail_after(LIMIT_SECONDS):
        async with trio.open_nursery() as nursery:
            threads = WorkThreads(3, gate.pass_through, done)
            await nursery.start(threads.run)
            await trio.lowlevel.checkpoint()
            for number in range(20):
                threads.submit(number)
            assert threads.at_work == 20
            gate.open.set()
            await threads.rest()
            assert back == {number: 10 * number for number in range(20)}
            assert threads.at_work == 0
            threads.close()
            nursery.cancel_scope.cancel()
    assert gate.most <= 3


async def test_one_thread_does_things_in_order() -> None:
    order: list[int] = []
    with trio.fail_after(LIMIT_SECONDS):
        async with trio.open_nursery() as nursery:
            threads: WorkThreads[int, int] = WorkThreads(1, int, lambda number, _: order.append(number))
            await nursery.start(threads.run)
            await trio.lowlevel.checkpoint()
            for number in range(100):
                threads.submit(number)
            await threads.rest()
            threads.close()
            nursery.cancel_scope.cancel()
    assert order == list(range(100))


@pytest.mark.parametrize("fails_at_home", [False, True])
async def test_a_failure_comes_out_of_the_task_that_serves(fails_at_home: bool) -> None:
    def work(number: int) -> int:
        return number if fails_at_home else 1 // number

    def done(number: int, result: int) -> None:
        1 // number

    threads = WorkThreads(1, work, done)
    with trio.fail_after(LIMIT_SECONDS), pytest.RaisesGroup(ZeroDivisionError):
        async with trio.open_nursery() as nursery:
            await nursery.start(threads.run)
            await trio.lowlevel.checkpoint()
            threads.submit(0)
    threads.close()
