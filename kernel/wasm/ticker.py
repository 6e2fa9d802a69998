"""The clock behind pre-emption: a thread that advances the engine's epoch while some guest is being polled.

It sleeps while none is. A poll under way is an entry in a list, whose append and pop are atomic, so that a poll pays
for it with two of those; a lock or an event for every poll would cost more than the poll.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import process_time

TICK_SECONDS = 0.005
"""Seconds between two ticks; a guest's slice ends at the first or second one that it sees."""

_IDLE_TICKS = 20
"""Intervals without a poll after which the thread goes to sleep until the next one."""


class Ticker:
    """Calls `tick` every TICK_SECONDS while polls are under way."""

    def __init__(self, tick: Callable[[], None], clock: Callable[[], float] = process_time) -> None:
        """`clock` returns the seconds of processor time that this program has used."""
        self.ticks = 0
        """How often it has ticked."""
        self.used = 0.0
        """Seconds of processor time that this program had used when an interval ended last. Where other programs want
        the processor, a poll may see ticks go by and have run in none of them."""
        self.polls: list[None] = []
        """An entry for each poll that is under way: append before, pop after."""
        self.asleep = True
        """After an append, if this is set, call `wake`."""
        self.slept = threading.Event()
        """Set while it sleeps after having ticked."""
        self._tick = tick
        self._clock = clock
        self._closing = threading.Event()
        self._awake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Tick again; the thread starts at the first call."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="wasm ticker", daemon=True)
                self._thread.start()
        self.used = self._clock()
        self.asleep = False
        self._awake.set()

    def close(self) -> None:
        """End the thread; no poll may be under way."""
        self._closing.set()
        self._awake.set()
        if self._thread is not None:
            self._thread.join()

    def __repr__(self) -> str:
        return f"<Ticker {'asleep' if self.asleep else 'ticking'}, {self.ticks} ticks, {len(self.polls)} polls>"

    def _run(self) -> None:
        idle = 0
        while not self._closing.wait(TICK_SECONDS):
            self.used = self._clock()
            if self.polls:
                self._tick()
                self.ticks += 1
                idle = 0
                continue
            idle += 1
            if idle > _IDLE_TICKS:
                self._sleep()
                idle = 0

    def _sleep(self) -> None:
        self._awake.clear()
        self.asleep = True
        # A poll that began before `asleep` was set did not call wake; one that begins now does.
        if not self.polls:
            self.slept.set()
            self._awake.wait()
            self.slept.clear()
        self.asleep = False
