"""Runs a machine with trio: the only file of this package that waits.

Guests run inside `turn`, which the code that has just given the machine an event calls: a message that arrives on a
socket reaches its guest, and the guest's answer the net, without a task switch. A turn ends after a bounded number of
polls; the runner's own task does the rest, giving way to the others after each turn. That task also waits for
deadlines.

Guests that use up their slices are lent to worker threads, a few slices at a time and in turns, so that they use other
cores while messages flow (G23). So a guest can hold up a turn for one slice, and again only after it has handled many
messages without using one up (`machine`). The threads have a lower priority than this one: where there are fewer cores
than threads, a message still finds a core at once.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Protocol

import trio

from kernel.contract.guest import Guest, Poll

POLLS_PER_TURN = 256
"""About two milliseconds of messages; others wait no longer than that."""
POLLS_AT_ONCE = 32
"""Polls after which the machine's actions are carried out."""
GRAIN_SECONDS = 0.002
"""How often deadlines are checked while messages flow. After every message it would cost as much as several other steps
of its way. The turns check them, and put the runner's own wake-up off by twice as much: trio wakes a task at a time by
cancelling it, which costs as much as a message, and is needed only when the messages stop."""
TURN_SECONDS = 0.002
"""Seconds after which a turn ends in which a guest has used up its slice."""
BUSY_THREADS = max(2, len(os.sched_getaffinity(0)))
"""Guests that are polled on other threads at once."""
SLICES_ELSEWHERE = 4
"""Slices that a guest gets there in a row: each time that it comes back costs this thread a tenth of a millisecond."""
NICENESS = 10
"""How much lower the priority of those threads is."""


class Runnable(Protocol):
    """What the runner drives: a machine, or a node around one."""

    @property
    def can_run(self) -> bool:
        """Whether `run` has anything to do."""

    def run(self, now: float, polls: int) -> object:
        """Let guests run, at most so many polls."""

    def next_deadline(self) -> float | None:
        """Return when `on_timer` has something to do."""

    def on_timer(self, now: float) -> None:
        """Do what is due."""

    def take_busy(self) -> Guest | None:
        """Return a guest to poll on another thread, or None."""

    def polled(self, guest: Guest, poll: Poll, now: float) -> None:
        """Take back a guest that has been polled there."""


class Runner:
    """Drives one machine until it is cancelled."""

    def __init__(
        self, machine: Runnable, carry_out: Callable[[float, bool], None], flush: Callable[[float], None]
    ) -> None:
        """`carry_out` does what the machine's actions say at a time, in seconds; it must not block. It is told whether
        nothing more can run, as far as anyone knows: so also the last time in each turn. Then `flush` is called. Both
        are for what is better done once than after every poll, such as writing to disks and sockets."""
        self._machine = machine
        self._carry_out = carry_out
        self._flush = flush
        self._wake = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._threads: ThreadPoolExecutor | None = None
        """The worker threads, while it runs."""
        self._lent = 0
        """Guests that the threads have."""
        self._back: deque[tuple[Guest, Future[Poll]]] = deque()
        """Guests that the threads have polled."""
        self._turning = False
        self._clock: Callable[[], float] = trio.current_time
        self._sleep: trio.CancelScope | None = None
        """The scope in which the runner's task sleeps."""
        self._look_at = math.inf
        """When a turn has to check the deadlines, because the runner's task relies on it."""
        self._turned = False
        """Whether there was a turn since the runner's task last checked the deadlines."""
        self._idle = True
        """Whether the runner's task sleeps until the next deadline that it knows, and has to be told of a turn."""

    def turn(self, polls: int = POLLS_PER_TURN) -> None:
        """Let the machine run for a while, at most `polls` times, after it was given an event."""
        if self._turning:
            return  # the event was given within a turn, which goes on
        self._turning = True
        try:
            machine, carry_out, rests = self._machine, self._carry_out, False
            carry_out(self._clock(), False)  # not within TURN_SECONDS, or much that came at once is answered in parts
            now = self._clock()
            end = now + TURN_SECONDS
            while machine.can_run and polls > 0 and now < end:
                machine.run(now, POLLS_AT_ONCE)
                polls -= POLLS_AT_ONCE
                now = self._clock()
                rests = not machine.can_run
                carry_out(now, rests)
            if not rests:
                carry_out(now, True)
            self._flush(now)
        finally:
            self._turning = False
        self._lend()
        self._turned = True
        if self._idle or machine.can_run:
            self._wake.set()
        elif now >= self._look_at:
            self._look(now)

    def _look(self, now: float) -> None:
        """Check whether something is due; if not, the runner's task may sleep on."""
        deadline = self._machine.next_deadline()
        if self._sleep is None or (deadline is not None and deadline <= now):
            self._wake.set()
        else:
            self._look_at = now + GRAIN_SECONDS
            self._sleep.deadline = (
                now + 2 * GRAIN_SECONDS if deadline is None else min(deadline, now + 2 * GRAIN_SECONDS)
            )

    async def run(self) -> None:
        """Run until cancelled."""
        self._token = trio.lowlevel.current_trio_token()
        self._clock = trio.lowlevel.current_clock().current_time
        self._threads = threads = ThreadPoolExecutor(BUSY_THREADS, "busy guests", _lower_priority)
        try:
            self._lend()
            while True:
                await self._go_on()
        finally:
            self._threads = None
            threads.shutdown()  # waits for the slices under way: no guest may be closed in the middle of one

    async def _go_on(self) -> None:
        """Do what is due, or wait until something is."""
        machine = self._machine
        self._wake = trio.Event()
        self._look_at = math.inf
        deadline = machine.next_deadline()
        if deadline is not None and deadline <= self._clock():
            machine.on_timer(self._clock())
            self.turn()
            deadline = machine.next_deadline()
        self._take_back()
        if machine.can_run:
            await trio.lowlevel.checkpoint()
            self.turn()
            return
        wait_until = math.inf if deadline is None else deadline
        if self._turned:
            now = self._clock()
            self._look_at = now + GRAIN_SECONDS
            wait_until = min(wait_until, now + 2 * GRAIN_SECONDS)
        self._idle, self._turned = not self._turned, False
        with trio.move_on_at(wait_until) as self._sleep:
            await self._wake.wait()
        self._sleep = None

    def statistics(self) -> dict[str, int]:
        """Return live figures."""
        return {"lent": self._lent, "threads": BUSY_THREADS}

    def _lend(self) -> None:
        """Lend guests to the threads, as many as they can take."""
        threads = self._threads
        while threads is not None and self._lent < BUSY_THREADS and (guest := self._machine.take_busy()) is not None:
            self._lent += 1
            future = threads.submit(_poll_slices, guest)
            future.add_done_callback(partial(self._polled_elsewhere, guest))

    def _polled_elsewhere(self, guest: Guest, future: Future[Poll]) -> None:
        """Take back a guest, on the thread that has polled it."""
        assert self._token is not None
        self._back.append((guest, future))
        self._token.run_sync_soon(lambda: self._wake.set())

    def _take_back(self) -> None:
        while self._back:
            guest, future = self._back.popleft()
            self._lent -= 1
            self._machine.polled(guest, future.result(), trio.current_time())
            self.turn()


def _poll_slices(guest: Guest) -> Poll:
    """Poll a busy guest for some slices, but no longer than until it has an effect."""
    for _ in range(SLICES_ELSEWHERE):
        poll = guest.poll()
        if poll is not Poll.PREEMPTED or guest.effects:
            break
    return poll


def _lower_priority() -> None:
    """Lower the priority of the current thread, as Linux has one for each; where that is forbidden, messages wait a
    little longer."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
