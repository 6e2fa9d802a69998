"""A node behind two routers that fail one at a time: nobody who talks to that node notices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isqrt
from random import Random
from typing import cast

from net.base.limits import MAX_CIRCUITS
from testnet.faults import draw
from testnet.faults.partition import Partition
from testnet.model.lab import READY_SECONDS, Lab, NodePlan
from testnet.model.where import ANY, Where
from testnet.scenarios.scenario import Options, Plan, Scenario, require
from testnet.scenarios.timing import soon
from testnet.scenarios.witnesses import PACKAGE, WitnessRun, WitnessStory

_ROUTERS = 2
_MOST_HIDDEN = isqrt(MAX_CIRCUITS)
"""Nodes behind the routers. Each of them and the last node are dialed by all others at once, so any two may have a
circuit in each direction, and the router that has not failed carries all of these."""
_TIMEOUT = 120
"""Seconds: longer than it takes to find out that a router has stopped, and to find another way."""
_AWAY = 10.0
"""Seconds: until everybody has given up on a node that has ended."""
_BLOBS = (0, 0, 1000, 100_000)


class _Story(WitnessStory):
    def __init__(self, lab: Lab, plan: Plan) -> None:
        super().__init__(lab, plan)
        self._runs = [WitnessRun(f"run {number}", **run) for number, run in enumerate(plan.options["runs"])]

    def work(self) -> None:
        """Let all others reach the hidden nodes at once, before those have dialed anyone; then all runs last as long as
        the faults."""
        hidden, others = self._nodes[_ROUTERS:-1], self._nodes[_ROUTERS + 1 :]
        firsts = [
            WitnessRun(f"first from {name}", name, tuple(each for each in hidden if each != name), 1, 0, _TIMEOUT)
            for name in others
        ]
        self._witnesses.begin_all(firsts)
        self._witnesses.all_over(firsts, _TIMEOUT + 10.0)
        self._runs = [*firsts, *self._runs]
        self._witnesses.begin_all(self._runs[len(firsts) :])

    def check(self) -> None:
        """Check that every request was answered, since a router was there all the time."""
        self._witnesses.all_over(self._runs, _TIMEOUT + 10.0)
        for run in self._runs:
            for _, tally, words in self._witnesses.tallies(run):
                require(tally.answered == run.count, f"one of two routers was there, but {words}")
        self._end()
        self._witnesses.nothing_wrong(self._nodes)

    def _end(self) -> None:
        """Check that nodes that have lost a connection soon have another one, once nothing is wrong any more."""
        hidden, others = self._nodes[_ROUTERS], self._nodes[_ROUTERS + 1 :]
        for number, lost in enumerate(self._plan.options["lost"]):
            self._lose(lost, hidden, others)
            self._lab.wait(lambda: self._lab.ready(hidden), READY_SECONDS, f"that {hidden} is there again")
            self._lab.rest(1.0)
            when = f"after loss {number} ({lost})"
            runs = [WitnessRun(f"{when} from {name}", name, (hidden,), 3, 100, soon(self._lab)) for name in others]
            runs.append(WitnessRun(f"{when} from {hidden}", hidden, others, 3, 100, soon(self._lab)))
            self._witnesses.all_answered(runs)

    def _lose(self, lost: str, hidden: str, others: Sequence[str]) -> None:
        for name in {"hidden": (hidden,), "others": others}.get(lost, ()):
            self._lab.cut(name)
        if lost in ("restart", "away"):
            self._lab.crash(hidden)
            self._lab.rest(_AWAY if lost == "away" else 0.0)
            self._lab.start(hidden)


def _topology(names: Sequence[str]) -> tuple[NodePlan, ...]:
    """Put all nodes but the last behind the routers: two such nodes reach each other through a router alone."""
    routers, hidden, last = tuple(names[:_ROUTERS]), names[_ROUTERS:-1], names[-1]
    plain = tuple(NodePlan(name, (PACKAGE,)) for name in (*routers, last))
    return (*plain, *(NodePlan(name, (PACKAGE,), routers) for name in hidden))


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw runs from and to the first hidden node; all others talk to it."""
    hidden, others = names[_ROUTERS], list(names[_ROUTERS + 1 :])
    runs = [_run(hidden, others, chance), *(_run(name, [hidden], chance) for name in others)]
    return {"runs": runs, "lost": chance.sample(("hidden", "others", "restart", "away"), 2)}


def _run(author: str, targets: list[str], chance: Random) -> dict[str, object]:
    gap_ms = chance.choice((100, 500, 2000))
    count = 18_000 // gap_ms // len(targets)
    blob = chance.choice(_BLOBS)
    return {
        "author": author, "targets": targets, "count": count, "gap_ms": gap_ms, "timeout": _TIMEOUT, "blob": blob,
    }  # fmt: skip


def _near(nodes: Sequence[str], chance: Random) -> Where:
    """Return the links of the first router."""
    router, other = nodes[0], chance.choice(list(nodes[1:]))
    both, one_way = Where(router, other), Where(router, other, both=False)
    return chance.choice([Where(router, ANY), both, one_way, Where(other, router, both=False)])


def _on_its_links(drawer: draw.Drawer) -> draw.Drawer:
    """Draw the same kind of fault on the links of the first router."""
    return lambda nodes, chance: replace(cast(Partition, drawer(nodes, chance)), where=_near(nodes, chance))


def _of_it(drawer: draw.Drawer) -> draw.Drawer:
    """Draw the same kind of fault of the first router."""
    return lambda nodes, chance: drawer(nodes[:1], chance)


INDIRECT = Scenario(
    name="indirect",
    about="while one of two routers fails, everybody reaches the node behind them through the other",
    nodes=("router1.nec", "router2.nec", "hidden.nec", "a.nec", "b.nec"),
    topology=_topology,
    options=_options,
    begin=_Story,
    drawers=(
        *(_on_its_links(drawer) for drawer in (*draw.LINKS, *draw.WRONG_BYTES)),
        *(_of_it(drawer) for drawer in (*draw.NODES, *draw.MACHINES)),
    ),
    least_nodes=4,
    most_nodes=_ROUTERS + _MOST_HIDDEN + 1,
)
