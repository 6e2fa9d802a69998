"""Requests that are passed on from node to node: the last node answers the first, and the blob arrives there whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from testnet.faults import draw
from testnet.model.lab import Lab
from testnet.scenarios.scenario import Options, Plan, Scenario, everywhere, require
from testnet.scenarios.timing import in_time, may_forget
from testnet.scenarios.witnesses import PACKAGE, WitnessRun, WitnessStory

_BLOBS = (0, 0, 1, 1000, 30_000, 300_000, 2_000_000)
_PACES = ((1, 0), (10, 100), (100, 100), (200, 20), (200, 20), (2200, 0))
"""Counts, and milliseconds between requests: some runs last for seconds, some need more than a session's credit."""
_MAX_HOPS = 7000
"""The most hops of all requests of a chain."""
_MAX_BYTES = 5_000_000
"""The most bytes of all blobs of a chain."""
_TIMEOUTS = (5, 20, 60)
_UNDER_WAY = 60.0
"""Seconds in which a request that nobody waits for any more arrives or comes back; a plan may say how long it takes."""


class _Story(WitnessStory):
    def __init__(self, lab: Lab, plan: Plan) -> None:
        super().__init__(lab, plan)
        self._unsteady = {name for name in plan.nodes if may_forget(plan.schedule, name, 0.0)}
        self._runs = [
            [at, WitnessRun(f"chain {number}", **run)] for number, (at, run) in enumerate(plan.options["chains"])
        ]

    def work(self) -> None:
        """Begin each chain at its time."""
        for (run,) in in_time(self._lab, self._runs):
            self._witnesses.begin(run)

    def check(self) -> None:
        """Check that every request has had its outcome, and that none was lost or came from nowhere."""
        runs = [run for _, run in self._runs if self._witnesses.begun(run)]
        self._witnesses.all_over(runs, 120.0)
        self._lab.rest(self._plan.options.get("under_way", _UNDER_WAY))
        for run in runs:
            if self._unsteady.isdisjoint((run.author, *run.targets, *run.path)):
                self._check_flow(run)
        self._check_calm([_again(run) for run in runs], self._nodes)

    def _check_flow(self, run: WitnessRun) -> None:
        """Check that what is passed on arrives or comes back, and that none arises on the way: no node on the way
        forgets."""
        way = (*run.targets, *run.path)
        (tally,) = self._witnesses.report(run.author).of(run)
        before, returned, place = tally.sent, tally.sent, run.author
        for number, node in enumerate(way):
            report = self._witnesses.report(node)
            trail = way[:number]
            came = report.count(run, trail, "noted") + report.count(run, trail, "passed")
            words = f"of {run.name}, {place} sent {before} to {node}, of which {came} arrived and {returned} came back"
            require(came <= before, f"messages out of nothing: {words}")
            require(came + returned >= before, f"messages lost without a word: {words}")
            before, returned, place = came, report.count(run, trail, "returned"), node
        require(tally.answered <= before, f"{run.name}: {tally.answered} answers to {before} requests at {place}")


def _again(run: WitnessRun) -> WitnessRun:
    return WitnessRun(f"{run.name} again", run.author, run.targets, 2, 0, 30, run.path, run.blob)


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw chains. A chain may pass its author again, and a node twice, but no node hands on to itself."""
    chains = []
    for at in sorted(round(chance.uniform(0.0, 10.0), 3) for _ in range(chance.randint(1, 4))):
        author = chance.choice(list(names))
        way = [author]
        for _ in range(chance.randint(2, 4)):
            way.append(chance.choice([name for name in names if name != way[-1]]))
        blob = chance.choice(_BLOBS)
        count, gap_ms = chance.choice(
            [pace for pace in _PACES if pace[0] * blob <= _MAX_BYTES and pace[0] * len(way) <= _MAX_HOPS]
        )
        run = {"author": author, "targets": [way[1]], "path": way[2:], "blob": blob, "count": count}
        chains.append([at, run | {"gap_ms": gap_ms, "timeout": chance.choice(_TIMEOUTS)}])
    return {"chains": chains}


CHAINS = Scenario(
    name="chains",
    about="requests and their blobs are inherited along chains of nodes, and the last one answers the first",
    nodes=("a.nec", "b.nec", "c.nec", "d.nec"),
    topology=everywhere(PACKAGE),
    options=_options,
    begin=_Story,
    drawers=draw.ALL,
    least_nodes=2,
)


CUT_CHAINS = replace(
    CHAINS,
    name="cut_chains",
    about="chains of requests whose connections break in the midst of them go on where they stopped",
    drawers=(draw.late_reset,),
)
"""Among all other faults that hardly ever happens."""
