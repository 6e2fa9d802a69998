"""Virtual time on an event heap, randomness from one seed, and the journal."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from random import Random

from testnet.journal.journal import digest
from testnet.journal.recording import Recording
from testnet.model.lab import OutOfTime
from testnet.model.points import Points
from testnet.sim.names import SimulationError

MAX_AT_ONCE = 1_000_000
"""Things that happen while no time passes: more than that never end."""


class Timeline:
    """The time, the randomness and the journal of a simulation."""

    seed = 0
    """The number that everything random follows from."""
    now = 0.0
    """Virtual seconds since the simulation began."""

    def __init__(self, seed: int, *, journal: bool = True) -> None:
        """Without a `journal` nothing of it is kept but its `fingerprint`."""
        self.seed = seed
        self.recording = Recording(journal)
        """What has happened."""
        self.points = Points()
        """Its events by number, for faults that strike at one of them."""
        self.deadline = math.inf
        """Virtual seconds at which the simulation stops."""
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._sequence = 0
        self._at_once = 0
        """The number of events at the present moment."""

    def chance(self, *purpose: str) -> Random:
        """Return a source of randomness of its own for each purpose, so that one does not shift another."""
        return Random(f"{self.seed}/{'/'.join(purpose)}")

    def schedule(self, when: float, what: Callable[[], object]) -> None:
        """Schedule `what` for the virtual time `when`, which is not over yet."""
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, what))

    def schedule_next(self, what: Callable[[], object]) -> None:
        """Schedule `what` for now, before everything else."""
        self._sequence += 1
        heapq.heappush(self._heap, (self.now, -self._sequence, what))

    def step(self) -> bool:
        """Let the next event happen; return False if there is none left."""
        if not self._heap:
            return False
        when, _, what = heapq.heappop(self._heap)
        assert when >= self.now, "time runs backwards"
        self._check_deadline(when)
        self._at_once = self._at_once + 1 if when == self.now else 0
        if self._at_once > MAX_AT_ONCE:
            raise OutOfTime(f"time stands still at {when:.3f} s: {MAX_AT_ONCE:,} things have happened there")
        self.now = when
        what()
        return True

    def _check_deadline(self, when: float) -> None:
        if when > self.deadline:
            raise OutOfTime(f"it was not over at its deadline, {self.deadline:g} s of virtual time")

    def run_until(self, done: Callable[[], bool], deadline: float) -> None:
        """Let events happen until `done`; raises SimulationError at the virtual `deadline`."""
        while not done():
            if not self._heap or self._heap[0][0] > deadline:
                raise SimulationError(f"seed {self.seed}: not done at {self.now:.3f} s of virtual time")
            self.step()

    def rest(self, seconds: float) -> None:
        """Let all events of the next `seconds` happen; with 0.0 those that are due now."""
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            self.step()
        self._check_deadline(end)
        self.now = max(self.now, end)  # an event may itself have let time pass

    def record(self, node: str, what: str) -> None:
        """Write a line into the journal."""
        self.recording.add(self.now, node, what)

    @property
    def journal(self) -> list[str]:
        """The lines of the journal."""
        return self.recording.lines

    def digest(self) -> str:
        """Return one hash of the whole journal."""
        return digest(self.journal)
