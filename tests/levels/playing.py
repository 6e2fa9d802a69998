"""Plays plans at levels, several real networks at once: they mostly wait, and do not know of each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from nectar_node.base.errors import NodeError
from testnet.model.lab import Level
from testnet.real.nodes import namespaces
from testnet.real.run import run_real
from testnet.runs.result import BROKEN, DEADLINE, PASSED, Result
from testnet.sim.programs import Programs
from testnet.sim.run import run
from tests.levels.plans import Levelled

AT_ONCE = 8
"""Networks of real nodes."""
AGAIN = 2
"""How often a plan is played again."""


@dataclass(frozen=True, slots=True)
class Played:
    """A run, and how long it took."""

    result: Result
    real_seconds: float

    @property
    def words(self) -> str:
        """How it went, for people."""
        return f"{self.result.result} {self.result.text}".rstrip()


def play_at(levelled: Levelled, level: Level, programs: Programs) -> Played:
    """Play it there."""
    began = time.monotonic()
    if level is Level.SIMULATION:
        result = run(levelled.plan, programs, levelled.scenario)
    else:
        result = _run_real(levelled, level)
    return Played(result, time.monotonic() - began)


def _run_real(levelled: Levelled, level: Level) -> Result:
    try:
        return run_real(levelled.plan, levelled.scenario, level)
    except NodeError as error:
        return Result(levelled.plan, (), "", 0.0, BROKEN, str(error), {}, level)


@contextmanager
def playing(
    wanted: Iterable[tuple[Levelled, Level]], programs: Programs
) -> Iterator[Mapping[tuple[str, Level], Future[Played]]]:
    """Runs of these at these levels that have begun, or will; by name and level. Afterwards all are over."""
    with ThreadPoolExecutor(AT_ONCE, "plays") as pool:
        futures = {(each.name, level): pool.submit(play_at, each, level, programs) for each, level in wanted}
        try:
            yield futures
        finally:
            pool.shutdown(cancel_futures=True)


def in_order_of_end(futures: Mapping[tuple[str, Level], Future[Played]]) -> Iterator[tuple[str, Level, Played]]:
    """Each when it is over."""
    keys = {future: key for key, future in futures.items()}
    for future in as_completed(keys):
        yield *keys[future], future.result()


def differences(simulated: Result, real: Result) -> list[str]:
    """What came to something else with real nodes, a line each."""
    names = dict.fromkeys((*simulated.outcomes, *real.outcomes))
    pairs = [(name, simulated.outcomes.get(name, "-"), real.outcomes.get(name, "-")) for name in names]
    place = real.level.value
    return [f"{name}: {here} when simulated, {there} ({place})" for name, here, there in pairs if here != there]


def settled(simulated: Result, played: Played, again: Callable[[], Played]) -> Played:
    """What a plan comes to with real nodes, when a busy machine has had its chances.

    One that has too much to do makes differences, which do not come back. So where a run has not come to the same, or
    to no end, `again` plays it alone. Whatever violates a promise counts at once.
    """
    for _ in range(AGAIN):
        same = played.result.result == PASSED and not differences(simulated, played.result)
        if same or played.result.result not in (PASSED, DEADLINE):
            break
        played = again()
    return played


@cache
def unavailable(level: Level) -> str | None:
    """Why nothing can be played there, as one sentence; None: it can."""
    return namespaces.unavailable() if level is Level.NAMESPACES else None
