"""A process that ends whenever it is asked something: it starts again, after ever longer pauses (G14, G22)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from testnet.faults import draw
from testnet.lab import PACKAGES, Lab, NodePlan, Outcome
from testnet.scenarios import processes
from testnet.scenarios.scenario import Options, Outcomes, Plan, Scenario, require
from testnet.scenarios.witnesses import MOST_NODES, PACKAGE, Run, Witnesses

_PROCESS = "fragile:crash_isolation:sys"
_CODE = PACKAGES / "crash_isolation" / "pkg" / "decoder.wasm"
_TIMEOUT = 30
_LATE = 0.25
"""Seconds after the back-off in which it is there again."""
_EARLY = 0.05
"""Seconds by which two clocks may differ in what they take for the back-off."""


class _Story:
    def __init__(self, lab: Lab, plan: Plan) -> None:
        self._lab = lab
        self._plan = plan
        self._node, *self._others = plan.nodes
        self._witnesses = Witnesses(lab)
        processes.make(lab, self._node, _PROCESS, _CODE, "Restart")
        processes.run(lab, self._node, _PROCESS)

    def work(self) -> None:
        """Its neighbours notice nothing of it."""
        options = self._plan.options
        for node in self._others:
            self._witnesses.begin(Run(f"meanwhile from {node}", node, (self._node,), 100, 100, _TIMEOUT))
        self._lab.rest(options["first"])
        back_off = 1.0
        self._end()
        for _ in range(options["times"]):
            ended = self._lab.now
            self._end_again(ended + back_off)
            waited = self._lab.now - ended
            require(waited >= back_off - _EARLY, f"{_PROCESS} ran again {waited:.3f} s after its end, not {back_off:g}")
            back_off *= 2

    def _end(self) -> None:
        """Ask it something, by which it ends: that is told at once (G14)."""
        asked_at = self._lab.now
        outcome = self._ask()
        require(_is_end(outcome), f"{_PROCESS} ended, and who asked it was told {outcome}")
        took = self._lab.now - asked_at
        require(took < 1.0, f"{_PROCESS} ended, and who asked it was told so {took:.3f} s later")

    def _end_again(self, due: float) -> None:
        """The same, as soon as it is there again."""
        while not _is_end(outcome := self._ask()):
            require(outcome.kind == "timeout", f"{_PROCESS} cannot answer, and who asked it was told {outcome}")
            require(self._lab.now <= due + _LATE, f"{_PROCESS} is not there {_LATE} s after its back-off: {outcome}")
            self._lab.rest(_LATE / 10)

    def _ask(self) -> Outcome:
        return self._lab.ask(self._node, f"our@{_PROCESS}", "no digits", _TIMEOUT)

    def check(self) -> None:
        """Everybody else has been served."""
        self._witnesses.all_over([run for run, _ in self._witnesses.runs], 60.0)
        nodes = self._plan.nodes
        self._witnesses.all_answered([Run(f"after it from {name}", name, nodes, 3, 0, _TIMEOUT) for name in nodes])
        self._witnesses.nothing_wrong(nodes)

    def outcomes(self) -> Outcomes:
        """See `Telling`."""
        return self._witnesses.outcomes()


def _is_end(outcome: Outcome) -> bool:
    return outcome.kind == "timeout" and outcome.reason == "process ended"


def _topology(names: Sequence[str]) -> tuple[NodePlan, ...]:
    return tuple(NodePlan(name, (PACKAGE, "crash_isolation")) for name in names)


def _options(names: Sequence[str], chance: Random) -> Options:
    """The first end comes before the process has run long enough to count as healthy."""
    return {"first": round(chance.uniform(0.0, 4.0), 3), "times": chance.randint(1, 5)}


RESTARTS = Scenario(
    name="restarts",
    about="a process that ends again and again starts again after ever longer pauses, and nobody else suffers",
    nodes=("fragile.nec", "calm.nec"),
    topology=_topology,
    options=_options,
    begin=_Story,
    drawers=draw.LINKS,
    most_nodes=MOST_NODES,
)
