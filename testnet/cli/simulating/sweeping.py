"""Sweeps a scenario's seeds and shrinks what fails, and shows the progress."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console

from nectar_node.console import output
from nectar_node.console.progress import display
from testnet.cli.simulating.shrinking import Shrunk, Task, shrink_plan
from testnet.runs.plans import expand
from testnet.scenarios.scenario import Scenario
from testnet.sweep.guided import GuidedSearch
from testnet.sweep.players import Players, PlayersLost
from testnet.sweep.sweep import SweepTally, sweep, sweep_guided
from testnet.sweep.workers import Workers

MAX_KINDS_SHRUNK = 5
"""The most kinds of failures that one sweep shrinks, one failure of each."""


@dataclass(frozen=True, slots=True)
class SweepOrder:
    """The sweep that is wanted."""

    scenario: Scenario
    seeds: range
    nodes: int | None
    keep_going: bool
    """Whether to go on after the first failure."""
    max_runs: int
    """To shrink each failure."""
    guided: bool = False
    """Whether plans whose runs reached new ground are varied; then `seeds` are how many plans are played, and the first
    of the seeds from which plans are drawn."""


@dataclass(slots=True)
class Findings:
    """The results of a sweep."""

    tally: SweepTally
    shrunk: list[Shrunk] = field(default_factory=list)
    """One failure of each kind."""
    interrupted: bool = False
    """Whether Ctrl-C ended the sweep; what had been found by then was kept."""
    lost: str = ""
    """Why there was nobody to play the rest, as a sentence."""


def find_failures(players: Players, order: SweepOrder, console: Console) -> Findings:
    """Play all seeds, or until one fails, and shrink."""
    findings = Findings(SweepTally(len(order.seeds)))
    try:
        _play(players, order, findings.tally, console)
        _shrink(players, order, findings, console)
    except PlayersLost as error:
        findings.lost = str(error)
    except KeyboardInterrupt:
        findings.interrupted = True
    return findings


def _play(players: Players, order: SweepOrder, tally: SweepTally, console: Console) -> None:
    began = time.monotonic()
    title = order.scenario.name.rpartition("/")[2]
    with display(console, title) as shown:
        if order.guided:
            assert isinstance(players, Workers), "a guided sweep is played here"
            search = GuidedSearch(
                order.scenario, order.seeds[0], lambda seed: expand(order.scenario, seed, order.nodes)
            )

            def show() -> None:
                done, wanted, words = progress(tally, time.monotonic() - began)
                shown.show(done, wanted, f"{words}, {search.places:,} places")

            sweep_guided(players, search, tally, order.keep_going, show)
            return
        plans = (expand(order.scenario, seed, order.nodes) for seed in order.seeds)
        sweep(players, plans, tally, order.keep_going, lambda: shown.show(*progress(tally, time.monotonic() - began)))


def _shrink(players: Players, order: SweepOrder, findings: Findings, console: Console) -> None:
    kinds = list(findings.tally.kinds().values())
    # No seed expands into a plan that has been varied: each kind of failure needs its journal.
    for number, verdicts in enumerate(kinds if order.guided else kinds[:MAX_KINDS_SHRUNK]):
        runs = order.max_runs if number < MAX_KINDS_SHRUNK else 0
        ending = f"-plan-{number + 1}" if order.guided else ""
        task = Task(verdicts[0], order.scenario.least_nodes, runs, ending=ending)
        findings.shrunk.append(shrink_plan(players, task, console))
        if findings.shrunk[-1].interrupted:
            raise KeyboardInterrupt


def progress(tally: SweepTally, seconds: float) -> tuple[int, int, str]:
    """Return the progress after so many seconds, for a display: done, in all, in words."""
    rate = tally.done / seconds if seconds > 0 else 0.0
    left = f", {output.duration((tally.wanted - tally.done) / rate)} left" if 0 < tally.done < tally.wanted else ""
    text = f"{tally.done:,} of {tally.wanted:,} seeds, {len(tally.failures)} failed, {rate:.1f}/s{left}"
    return tally.done, tally.wanted, text
