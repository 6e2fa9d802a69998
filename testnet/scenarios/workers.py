"""A boss and workers on other nodes: every job's result is right and there once, although workers vanish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from testnet.check import UNKNOWN, NoLostUpdate, OperationHistory
from testnet.faults import draw
from testnet.model.lab import Lab, Outcome, SentRequest
from testnet.scenarios.scenario import Options, Outcomes, Plan, Scenario, everywhere, require
from testnet.scenarios.timing import ended, in_time, may_forget, since, told

PROCESS = "our@boss:pool:sys"
PATIENCE = 300
"""Seconds that a run may take."""
MOST_WORKERS = 16
"""`max_workers` in packages/pool/board.zig."""
BELOW = 200
"""The bound of the first job's primes."""
_BUSY = "a run is under way"


@dataclass(slots=True)
class PoolRun:
    """Jobs that a user gave to the boss."""

    at: float
    """When in the schedule."""
    order: dict[str, Any]
    request: SentRequest

    def words(self) -> str:
        """Describe what the user was told."""
        outcome = self.request.outcome
        if outcome is None or outcome.kind != "response":
            return f"never ended: {outcome and outcome.kind}"
        if "Done" not in outcome.body:
            return "refused" if outcome.body == {"Err": _BUSY} else "failed"
        return "done, some given out again" if outcome.body["Done"]["retried"] else "done, each at the first attempt"


@dataclass(slots=True)
class _Story:
    lab: Lab
    plan: Plan
    history: OperationHistory
    runs: list[PoolRun] = field(default_factory=list)
    looks: list[SentRequest] = field(default_factory=list)

    @property
    def _boss(self) -> str:
        return self.plan.nodes[0]

    def work(self) -> None:
        """Begin runs at their times, one at a time, ask the boss for its progress, and wait for all outcomes."""
        began = self.lab.now
        for kind, order in in_time(self.lab, self.plan.options["events"]):
            if not self.lab.ready(self._boss):
                continue
            if kind == "run":
                request = self.lab.begin(self._boss, PROCESS, {"Run": order}, PATIENCE)
                number = len(self.runs)
                give(self.history, self._boss, number, order)
                self.history.follow(self._boss, request, "read", number, result=results_of)
                self.runs.append(PoolRun(since(self.lab, began), order, request))
            else:
                self.looks.append(self.lab.begin(self._boss, PROCESS, "Status", PATIENCE))
        waiting = (*(run.request for run in self.runs), *self.looks)
        self.lab.wait(ended(waiting), PATIENCE + 10.0, "the end of every run")

    def check(self) -> None:
        """Check that each run came to its end, and that one without faults needs no second attempt. That each job's
        result is there, right and once, the history says."""
        for run in self.runs:
            lost = may_forget(self.plan.schedule, self._boss, run.at)
            check_run(run.order, run.request.outcome, lost)
        for look in self.looks:
            check_status(look.outcome)
        order = {"jobs": 12, "below": BELOW, "workers": list(self.plan.nodes[1:]), "timeout": 60}
        give(self.history, self._boss, len(self.runs), order)
        call = self.history.call(self._boss, "read", len(self.runs))
        done = told(self.lab, self._boss, PROCESS, {"Run": order}, "Done")
        call.ok(results_of({"Done": done}))
        check_workers(order, done["results"])
        require(done["retried"] == 0, f"without any fault, {done['retried']} jobs were given out again")

    def outcomes(self) -> Outcomes:
        """Return the outcome of each run; chance decides which worker does a job, and how often it is given out
        again."""
        return {f"run {number} of {run.order['jobs']} jobs": run.words() for number, run in enumerate(self.runs)}


def check_run(order: dict[str, Any], outcome: Outcome | None, lost: bool) -> None:
    """Check that the run was done, or refused since another was under way; with `lost` the boss's node may have
    ended."""
    if outcome is None or outcome.kind != "response":
        require(lost, f"a run of {order['jobs']} jobs never came to an end: {outcome}")
    elif outcome.body != {"Err": _BUSY}:
        require("Done" in outcome.body, f"a run of {order['jobs']} jobs ended with {outcome.body}")
        check_workers(order, outcome.body["Done"]["results"])
        trapped, retried = len(order["trap"]), outcome.body["Done"]["retried"]
        require(retried >= trapped, f"{trapped} jobs trapped, and {retried} were given out again")


def check_workers(order: dict[str, Any], results: Sequence[dict[str, Any]]) -> None:
    """Check that results are in the order of their jobs, and each is by one of the workers."""
    numbers = [result["job"] for result in results]
    require(numbers == sorted(numbers), f"of {order['jobs']} jobs the results came in the order {numbers}")
    for result in results:
        require(result["worker"] in order["workers"], f"job {result['job']} was done by {result['worker']}")


def promised(lab: Lab) -> OperationHistory:
    """Return a history of what a pool promises: each job that is given to it comes back once, with its right sum.
    `add(run, (job, sum))` gives a job; `read(run)` is what the run came to."""
    return lab.history(NoLostUpdate(always=True), name="the jobs")


def give(history: OperationHistory, boss: str, number: int, order: dict[str, Any]) -> None:
    """Record the jobs of a run, as they are given to the boss: with their right results."""
    for job in range(order["jobs"]):
        history.call(boss, "add", number, (job, sum_of_primes(order["below"] + 100 * job))).ok()


def results_of(body: Any) -> Any:
    """Return each job and its sum, if the run was done: the result of a read."""
    if not isinstance(body, dict) or "Done" not in body:
        return UNKNOWN
    return tuple((each["job"], each["sum"]) for each in body["Done"]["results"])


def check_status(outcome: Outcome | None) -> None:
    """Check that every job is in one state."""
    if outcome is not None and outcome.kind == "response":
        status = outcome.body["Status"]
        counted = status["waiting"] + status["running"] + status["done"]
        require(counted == status["jobs"], f"of {status['jobs']} jobs the boss knows {counted}: {status}")


def sum_of_primes(below: int) -> int:
    """Return the sum by a sieve, unlike the workers."""
    prime = bytearray([1]) * below
    for number in range(2, below):
        if prime[number]:
            prime[number * number :: number] = bytes(len(range(number * number, below, number)))
    return sum(number for number in range(2, below) if prime[number])


def _begin(lab: Lab, plan: Plan) -> _Story:
    return _Story(lab, plan, promised(lab))


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw one to three runs, long enough for faults to hit them, and looks at their progress."""
    begun = [round(chance.uniform(0.0, 10.0), 3) for _ in range(chance.randint(1, 3))]
    looks = [round(chance.uniform(0.0, 20.0), 3) for _ in range(chance.randint(0, 10))]
    events = [[at, "run", _order(names[1:], chance)] for at in begun] + [[at, "look", None] for at in looks]
    return {"events": sorted(events, key=lambda event: event[0])}


def _order(workers: Sequence[str], chance: Random) -> dict[str, Any]:
    jobs = chance.randint(1, 40)
    return {
        "jobs": jobs,
        "below": BELOW,
        "workers": list(workers),
        "timeout": chance.choice((5, 10, 30)),
        "attempts": 1000,
        "rest": chance.choice((0, 300, 1000, 3000)),
        "trap": sorted(chance.sample(range(jobs), chance.choice((0, 0, 1)))),
    }


WORKERS = Scenario(
    name="workers",
    about="jobs that workers on other nodes do have each one right result, although workers vanish and children trap",
    nodes=("boss.nec", "worker1.nec", "worker2.nec", "worker3.nec"),
    topology=everywhere("pool"),
    options=_options,
    begin=_begin,
    drawers=(*draw.ALL, *draw.GUESTS),
    most_nodes=1 + MOST_WORKERS,
)
