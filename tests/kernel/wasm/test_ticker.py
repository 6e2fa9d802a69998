from __future__ import annotations

import threading

from kernel.wasm.ticker import Ticker

SOON = 10.0
"""Seconds after which a test that waits has failed."""


def test_it_does_not_tick_before_it_is_woken() -> None:
    ticker = Ticker(lambda: None)
    assert ticker.asleep
    assert ticker.ticks == 0
    ticker.close()


def test_it_ticks_while_a_poll_is_under_way() -> None:
    ticked = threading.Event()
    ticker = Ticker(ticked.set)
    ticker.polls.append(None)
    ticker.wake()
    assert ticked.wait(SOON)
    ticker.polls.pop()
    ticker.close()


def test_it_falls_asleep_without_polls_and_can_be_woken_again() -> None:
    ticks = threading.Semaphore(0)
    ticker = Ticker(ticks.release)
    for _ in range(2):
        ticker.polls.append(None)
        ticker.wake()
        assert ticks.acquire(timeout=SOON)
        ticker.polls.pop()
        assert ticker.slept.wait(SOON)
        assert ticker.asleep
    ticker.close()


def test_closing_ends_the_thread_asleep_or_not() -> None:
    before = threading.active_count()
    ticker = Ticker(lambda: None)
    ticker.polls.append(None)
    ticker.wake()
    ticker.close()
    assert threading.active_count() == before
