"""Runs a machine with trio: the only file of this package that waits.

Guests run inside `turn`, called by whoever has just given the machine an event: a message that arrives on a socket
reaches its guest, and the guest's answer the net, without a task switch. A turn ends after a bounded number of polls;
what is left is done by the runner's own task, which gives way to the others after each turn. That task also waits for
deadlines, and lends guests that keep using up their slices to worker threads, one poll at a time, so that they use
other cores while messages flow (G23).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import trio

from kernel.guest import Guest, Poll

POLLS_PER_TURN = 64
"""About half a millisecond of messages; others wait no longer than that."""
GRAIN_SECONDS = 0.002
"""While messages flow, deadlines are looked at so often, and not after every message: that would cost as much as
several other steps of its way."""
BUSY_THREADS = 2
"""Guests that are polled on other threads at once."""


class Runnable(Protocol):
    """What the runner drives: a machine, or a node around one."""

    @property
    def can_run(self) -> bool:
        """Whether `run` has anything to do."""

    def run(self, now: float, polls: int) -> None:
        """Let guests run, at most so many polls."""

    def next_deadline(self) -> float | None:
        """When `on_timer` has something to do."""

    def on_timer(self, now: float) -> None:
        """Do what is due."""

    def take_busy(self) -> Guest | None:
        """A guest to poll on another thread."""

    def polled(self, guest: Guest, poll: Poll, now: float) -> None:
        """It has been polled there."""


class Runner:
    """Drives one machine until it is cancelled."""

    def __init__(self, machine: Runnable, carry_out: Callable[[], None], flush: Callable[[], None]) -> None:
        """`carry_out` does whatever the machine wants done in the world; it must not block. `flush` is called at the
        end of each turn, for what is better done once than after every poll, such as writing to sockets."""
        self._machine = machine
        self._carry_out = carry_out
        self._flush = flush
        self._wake = trio.Event()
        self._threads = trio.CapacityLimiter(BUSY_THREADS)
        self._turning = False
        self._turned = False
        """Since the runner's task last looked at the deadlines."""
        self._idle = True
        """The runner's task sleeps until the next deadline that it knows, and has to be told of a turn."""

    def turn(self) -> None:
        """Let the machine run for a while, after something was told to it."""
        if self._turning:
            return  # it was told by something that a turn carries out: that turn goes on
        self._turning = True
        try:
            machine, carry_out = self._machine, self._carry_out
            carry_out()
            polls = POLLS_PER_TURN
            while machine.can_run and polls > 0:
                machine.run(trio.current_time(), 8)
                polls -= 8
                carry_out()
            self._flush()
        finally:
            self._turning = False
        self._turned = True
        if self._idle or machine.can_run:
            self._wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        machine = self._machine
        async with trio.open_nursery() as nursery:
            while True:
                self._wake = trio.Event()
                deadline = machine.next_deadline()
                if deadline is not None and deadline <= trio.current_time():
                    machine.on_timer(trio.current_time())
                    self.turn()
                    deadline = machine.next_deadline()
                while (guest := machine.take_busy()) is not None:
                    nursery.start_soon(self._poll_elsewhere, guest)
                if machine.can_run:
                    await trio.lowlevel.checkpoint()
                    self.turn()
                    continue
                wait_until = math.inf if deadline is None else deadline
                if self._turned:
                    wait_until = min(wait_until, trio.current_time() + GRAIN_SECONDS)
                self._idle, self._turned = not self._turned, False
                with trio.move_on_at(wait_until):
                    await self._wake.wait()

    async def _poll_elsewhere(self, guest: Guest) -> None:
        poll = await trio.to_thread.run_sync(guest.poll, limiter=self._threads)
        self._machine.polled(guest, poll, trio.current_time())
        self.turn()
        self._wake.set()
