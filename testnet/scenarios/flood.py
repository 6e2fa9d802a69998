"""More requests than a process can hold, while it does not take any: they wait at their source, and none is lost."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from testnet.faults import draw
from testnet.model.lab import PACKAGES, Lab
from testnet.scenarios import processes
from testnet.scenarios.scenario import Options, Outcomes, Plan, Scenario, everywhere, require
from testnet.scenarios.witnesses import MOST_NODES, PACKAGE, Witnesses, WitnessRun

_PROCESS = "slow:witness:sys"
_CODE = PACKAGES / PACKAGE / "pkg" / "witness.wasm"
_BATCH = 512
"""Requests of one run that a witness has under way at a time."""
_TIMEOUT = 120
"""Seconds: nobody runs out of time."""


class _Story:
    def __init__(self, lab: Lab, plan: Plan) -> None:
        self._lab = lab
        self._plan = plan
        self._slow, *self._others = plan.nodes
        self._witnesses = Witnesses(lab, f"our@{_PROCESS}")
        self._neighbours = Witnesses(lab)
        for node in plan.nodes:
            processes.make(lab, node, _PROCESS, _CODE)
        for node in self._others:
            processes.run(lab, node, _PROCESS)

    def work(self) -> None:
        """Send the flood, wait until the slow process takes it, and reach its neighbours meanwhile."""
        for author in self._others:
            for number in range(self._plan.options["batches"]):
                self._witnesses.begin(
                    WitnessRun(f"batch {number} of {author}", author, (self._slow,), _BATCH, 0, _TIMEOUT)
                )
        self._lab.rest(self._plan.options["waits"])
        for author in self._others:
            self._neighbours.begin(WitnessRun(f"past the flood of {author}", author, (self._slow,), 10, 10, _TIMEOUT))
        self._lab.rest(self._plan.options["waits"])
        processes.run(self._lab, self._slow, _PROCESS)

    def check(self) -> None:
        """Check that nothing was lost: no node ended, and there was enough time."""
        for witnesses in (self._neighbours, self._witnesses):
            runs = [run for run, _ in witnesses.runs if witnesses.begun(run)]
            witnesses.all_over(runs, _TIMEOUT + 10.0)
            self._check_answers(witnesses, runs)
            witnesses.nothing_wrong(self._others)
        self._witnesses.nothing_wrong(self._plan.nodes)

    def outcomes(self) -> Outcomes:
        return self._witnesses.outcomes() | self._neighbours.outcomes()

    def _check_answers(self, witnesses: Witnesses, runs: Sequence[WitnessRun]) -> None:
        """Check the answers of a run. An Offline request was not sent, or its connection broke. A request that timed
        out was taken, but its answer could not be delivered before the connection was given up; the node that gave it
        knows this (G15). Without a fault there is neither."""
        for run in runs:
            (tally,) = witnesses.report(run.author).of(run)
            lost = witnesses.report(self._slow).count(run, (), "lost")
            words = f"{run.author}'s {run.name}: {tally.words()}, and {lost} answers could not be delivered"
            require(tally.timeout <= lost, f"there was time enough for {words}")
            require(bool(self._plan.schedule) or tally.answered == run.count, f"nothing was wrong with {words}")


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw about as many requests as an inbox holds, or as many more as may be in flight."""
    return {"batches": chance.choice((4, 8, 10, 12)), "waits": round(chance.uniform(0.5, 10.0), 3)}


FLOOD = Scenario(
    name="flood",
    about="requests to a process with a full inbox wait at their senders, and none is lost",
    nodes=("slow.nec", "eager.nec"),
    topology=everywhere(PACKAGE),
    options=_options,
    begin=_Story,
    drawers=draw.LINKS,
    most_nodes=MOST_NODES,
)
