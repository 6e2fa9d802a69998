"""Nodes that lose each other and find each other at the same moment: of several connections one survives, and messages
to a process that has ended do not reach its successor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from testnet.faults import draw
from testnet.faults.latency import Latency
from testnet.faults.loss import Loss
from testnet.faults.partition import Partition
from testnet.model.lab import READY_SECONDS, Lab
from testnet.model.rule import Fault
from testnet.model.where import ANY, Where
from testnet.scenarios.scenario import Options, Plan, Scenario, everywhere, require
from testnet.scenarios.timing import soon
from testnet.scenarios.witnesses import MOST_NODES, PACKAGE, WitnessRun, WitnessStory

_SECONDS = 15.0
_TIMEOUT = 20
_CALM = 2.0
"""Seconds after which everybody has found each other again, where nothing else is wrong."""
_PACES = ((20, 0), (30, 20), (60, 10))
"""Counts, and milliseconds between requests."""
_JITTERS = (0.0, 0.05, 0.2)
"""Seconds by which what is said on one connection may come after what was said later on another one."""
_MUTES: dict[str, Callable[[Where], Fault]] = {"loss": Loss, "partition": Partition}
"""Faults by which nobody hears a node any more, nor of its end: for ever, or until the news comes late."""


class _Story(WitnessStory):
    def __init__(self, lab: Lab, plan: Plan) -> None:
        super().__init__(lab, plan)
        self._ends: Counter[str] = Counter()
        """The number of ends of each node."""
        self._talks: list[tuple[WitnessRun, int]] = []
        """Runs, with the number of ends of their authors when they began."""
        self._actions: dict[str, Callable[[dict[str, Any]], object]] = {
            "cut": lambda event: lab.cut(event["node"]),
            "restart": self._restart,
        }

    def meet(self) -> None:
        """Let all nodes meet for the first time, at once, while nothing is wrong: every request is answered."""
        with self._lab.apply(Latency(jitter=self._plan.options["jitter"])):
            runs = [self._run(f"{node} meets all", node, 20, 0, _TIMEOUT) for node in self._plan.nodes]
            self._witnesses.all_answered(runs)

    def work(self) -> None:
        """Let all nodes lose one, again and again, and then all of them talk to all others at once."""
        began = self._lab.now
        for number, event in enumerate(self._plan.options["events"]):
            self._lab.rest(max(0.0, began + event["at"] - self._lab.now))
            self._do(event, f"talk {number}")

    def _do(self, event: dict[str, Any], name: str) -> None:
        self._actions[event["do"]](event)
        count, gap_ms = event["pace"]
        for author in self._plan.nodes:
            self._talk(self._run(f"{name} of {author}", author, count, gap_ms, _TIMEOUT))

    def _restart(self, event: dict[str, Any]) -> None:
        """Restart a node that has not acknowledged what it heard last; nobody knows that it has ended."""
        node = event["node"]
        self._lab.cut(node)
        self._lab.rest(event["after"])
        with self._lab.apply(_MUTES[event["how"]](Where(node, ANY, both=False))):
            self._lab.rest(event["mute"])
            self._ends[node] += 1
            self._lab.crash(node)
            self._lab.start(node)

    def _talk(self, run: WitnessRun) -> None:
        self._talks.append((run, self._ends[run.author]))
        self._witnesses.begin(run)

    def _run(self, name: str, author: str, count: int, gap_ms: int, timeout: int) -> WitnessRun:
        others = tuple(node for node in self._plan.nodes if node != author)
        return WitnessRun(name, author, others, count, gap_ms, timeout)

    def check(self) -> None:
        """Check that nodes that have not ended have all outcomes, and that those that are back are heard, also where
        their absence was not noticed."""
        runs = [run for run, ends in self._talks if ends == self._ends[run.author] and self._witnesses.begun(run)]
        self._witnesses.all_over(runs, _TIMEOUT + 60.0)
        for number, event in enumerate(self._plan.options["calm"]):
            self._do(event, f"calm talk {number}")
            self._lab.rest(_CALM)
            when, timeout = f"after calm talk {number}", soon(self._lab)
            runs = [self._run(f"{when}, {node}", node, 1, 0, timeout) for node in self._plan.nodes]
            self._witnesses.all_answered(runs)
        for node in self._plan.options["last"]:
            self._check_return(node)
        self._witnesses.nothing_wrong(self._plan.nodes)

    def _check_return(self, node: str) -> None:
        with self._lab.apply(Loss(Where(node, ANY))):
            self._lab.crash(node)
            self._lab.start(node)
            self._lab.wait(lambda: self._lab.ready(node), READY_SECONDS, f"that {node} is there again")
            run = self._run(f"{node} is back", node, 1, 0, soon(self._lab))
            self._witnesses.play([run], 60.0)
        for target, tally, _ in self._witnesses.tallies(run):
            require(tally.answered == 1, f"{node} is back, and not heard by {target}: {tally.words()}")


def _begin(lab: Lab, plan: Plan) -> _Story:
    story = _Story(lab, plan)
    story.meet()
    return story


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw the ends. Of any two nodes one chooses the connection, so two come back in the end."""
    times = sorted(round(chance.uniform(0.0, _SECONDS - 5.0), 3) for _ in range(chance.randint(2, 6)))
    events = [{"at": at} | _event(names, chance) for at in times]
    calm = [_restart(names, chance, "partition") for _ in range(3)]
    last = chance.sample(list(names), 2)
    return {"jitter": chance.choice(_JITTERS), "events": events, "calm": calm, "last": last}


def _event(names: Sequence[str], chance: Random) -> dict[str, Any]:
    if chance.random() < 0.25:
        return {"do": "cut", "node": chance.choice(list(names)), "pace": list(chance.choice(_PACES))}
    return _restart(names, chance, chance.choice(list(_MUTES)))


def _restart(names: Sequence[str], chance: Random, how: str) -> dict[str, Any]:
    """Draw a restart. Connections that exist again are lost, and what comes late was said while there were none. It
    lasts so long that TCP sends lost bytes again when there are new connections."""
    after = round(chance.uniform(0.0, 0.4 if how == "loss" else 0.06), 3)
    event = {"do": "restart", "node": chance.choice(list(names)), "pace": list(chance.choice(_PACES))}
    return event | {"how": how, "after": after, "mute": round(chance.uniform(0.5, 0.7), 3)}


REUNIONS = Scenario(
    name="reunions",
    about="nodes that lose each other and dial each other at once keep one connection, and nothing comes twice",
    nodes=("a.nec", "b.nec", "c.nec"),
    topology=everywhere(PACKAGE),
    options=_options,
    begin=_begin,
    drawers=(draw.latency, draw.reset, draw.loss, draw.partition, draw.stall, draw.refusal, draw.slow_handshake),
    seconds=_SECONDS,
    most_nodes=MOST_NODES,
)
