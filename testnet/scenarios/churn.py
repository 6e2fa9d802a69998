"""Nodes join, leave, crash and boot again while everybody talks to everybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from testnet.faults import draw
from testnet.model.lab import Lab, NodePlan
from testnet.scenarios.scenario import Options, Plan, Scenario, everywhere, require
from testnet.scenarios.timing import may_forget
from testnet.scenarios.witnesses import MOST_NODES, PACKAGE, WitnessRun, WitnessStory

_SECONDS = 30.0
_TIMEOUTS = (5, 20)
_BLOBS = (0, 0, 1000, 20_000)
_PACES = ((1, 0), (20, 0), (10, 100), (60, 10), (60, 10))
"""Counts, and milliseconds between requests."""
_MAX_JOINS = 2


class _Story(WitnessStory):
    def __init__(self, lab: Lab, plan: Plan) -> None:
        super().__init__(lab, plan)
        self._joined: list[str] = []
        self._ends: Counter[str] = Counter()
        """The number of ends of each node."""
        self._steady: dict[str, int] = {}
        """By run, the number of ends of its author when it began."""
        self._actions: dict[str, Callable[[str], object]] = {
            "crash": self._crash,
            "leave": self._leave,
            "restart": self._restart,
            "start": lab.start,
            "join": self._join,
        }

    def work(self) -> None:
        """Let each event happen at its time, or when those before it are over."""
        began = self._lab.now
        for event in self._plan.options["events"]:
            self._lab.rest(max(0.0, began + event["at"] - self._lab.now))
            if event["do"] == "talk":
                self._talk(WitnessRun(**event["run"]))
            else:
                self._actions[event["do"]](event["node"])

    def _talk(self, run: WitnessRun) -> None:
        self._steady[run.name] = self._ends[run.author]
        self._witnesses.begin(run)

    def _crash(self, node: str) -> None:
        self._ends[node] += 1
        self._lab.crash(node)

    def _restart(self, node: str) -> None:
        """Restart a node before any other gives up on it."""
        self._crash(node)
        self._lab.start(node)

    def _leave(self, node: str) -> None:
        self._ends[node] += 1
        self._lab.leave(node)

    def _join(self, node: str) -> None:
        self._joined.append(node)
        self._lab.boot(NodePlan(node, (PACKAGE, "hello")))

    def check(self) -> None:
        """Check that nodes that stayed have all outcomes, that all reach those that are there, and that those that have
        left are Offline."""
        runs = [run for run, _ in self._witnesses.runs if self._witnesses.begun(run) and self._stayed(run)]
        for run in runs:
            require(self._knows(run), f"{run.author} never ended, and its witness has forgotten the run {run.name}")
        self._witnesses.all_over(runs, 120.0)
        there = [name for name in (*self._plan.nodes, *self._joined) if self._lab.running(name)]
        self._witnesses.all_answered(
            [WitnessRun(f"at the end from {name}", name, tuple(there), 3, 0, 30) for name in there]
        )
        self._check_gone(there[0], [name for name in self._joined if name not in there])
        self._witnesses.nothing_wrong(there)

    def _stayed(self, run: WitnessRun) -> bool:
        return self._ends[run.author] == self._steady[run.name] and not may_forget(self._plan.schedule, run.author, 0.0)

    def _knows(self, run: WitnessRun) -> bool:
        return all((run.name, target) in self._witnesses.report(run.author).tallies for target in run.targets)

    def _check_gone(self, author: str, gone: Sequence[str]) -> None:
        for node in gone:
            run = WitnessRun(f"to {node}, who has left", author, (node,), 3, 0, 30)
            self._witnesses.play([run], 60.0)
            (tally,) = self._witnesses.report(author).of(run)
            require(tally.offline == run.count, f"{node} has left, and {author}'s requests to it: {tally.words()}")


def _options(names: Sequence[str], chance: Random) -> Options:
    return {"events": _Draw(names, chance).events()}


class _Draw:
    """Draws events that make sense: only nodes that are there can leave."""

    def __init__(self, names: Sequence[str], chance: Random) -> None:
        self._chance = chance
        self._there = list(names)
        self._gone: list[str] = []
        self._joins = 0

    def events(self) -> list[dict[str, Any]]:
        times = sorted(round(self._chance.uniform(0.0, _SECONDS - 5.0), 3) for _ in range(self._chance.randint(5, 20)))
        return [{"at": at} | self._event(number) for number, at in enumerate(times)]

    def _event(self, number: int) -> dict[str, Any]:
        match self._chance.choice(("talk", "talk", "talk", "talk", "restart", "restart", "end", "start", "join")):
            case "restart":
                return {"do": "restart", "node": self._chance.choice(self._there)}
            case "end" if len(self._there) > 1:
                return self._end()
            case "start" if self._gone:
                return self._start()
            case "join" if self._joins < _MAX_JOINS:
                return self._join()
        return self._talk(number)

    def _end(self) -> dict[str, Any]:
        node = self._chance.choice(self._there)
        self._there.remove(node)
        self._gone.append(node)
        return {"do": self._chance.choice(("crash", "leave")), "node": node}

    def _start(self) -> dict[str, Any]:
        node = self._chance.choice(self._gone)
        self._gone.remove(node)
        self._there.append(node)
        return {"do": "start", "node": node}

    def _join(self) -> dict[str, Any]:
        self._joins += 1
        node = f"join{self._joins}.nec"
        self._there.append(node)
        return {"do": "join", "node": node}

    def _talk(self, number: int) -> dict[str, Any]:
        """Draw a run to all nodes, present or not."""
        chance, author = self._chance, self._chance.choice(self._there)
        targets = [name for name in sorted([*self._there, *self._gone]) if name != author]
        run = {"name": f"run {number}", "author": author, "targets": targets, "blob": chance.choice(_BLOBS)}
        count, gap_ms = chance.choice(_PACES)
        return {"do": "talk", "run": run | {"count": count, "gap_ms": gap_ms, "timeout": chance.choice(_TIMEOUTS)}}


CHURN = Scenario(
    name="churn",
    about="nodes join, leave, crash and boot again, and nodes that stay lose no outcome and reach all that are there",
    nodes=("a.nec", "b.nec", "c.nec", "d.nec"),
    topology=everywhere(PACKAGE),
    options=_options,
    begin=_Story,
    drawers=(*draw.LINKS, *draw.WRONG_BYTES, *draw.NODES, *draw.MACHINES),
    seconds=_SECONDS,
    most_nodes=MOST_NODES - _MAX_JOINS,
)
