"""Processes that end whenever they are asked something: their on-exit setting takes effect, in its time (G14, G22).

And a request to a silent node ends when its timeout is up, not later (G7).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from testnet.faults import draw
from testnet.faults.pause import Pause
from testnet.model.lab import PACKAGES, Lab, Outcome
from testnet.scenarios import processes
from testnet.scenarios.scenario import Options, Plan, Scenario, everywhere, require
from testnet.scenarios.witnesses import MOST_NODES, PACKAGE, WitnessRun, WitnessStory

_PROCESS = "fragile:crash_isolation:sys"
_TESTATOR, _HEIR = "testator:crash_isolation:sys", "heir:crash_isolation:sys"
"""When the first ends, the second is run."""
_CODE = PACKAGES / "crash_isolation" / "pkg" / "decoder.wasm"
_DIGITS, _DECODED = 1234, 2444
"""The answer of a process that does not end."""
_TIMEOUT = 30
_SHORT = 2
"""A short timeout in seconds, for requests that are about timeouts."""
_LATE = 0.25
"""Seconds after the back-off in which it is there again."""
_EARLY = 0.05
"""Seconds by which two clocks may differ in what they take for the back-off."""


class _Story(WitnessStory):
    def __init__(self, lab: Lab, plan: Plan) -> None:
        super().__init__(lab, plan)
        self._node, *self._others = plan.nodes
        self._back_off = 1.0
        """Seconds that it waits the next time."""
        processes.make(lab, self._node, _PROCESS, _CODE, "Restart")
        processes.run(lab, self._node, _PROCESS)

    def work(self) -> None:
        """End the process again and again; its neighbours notice nothing."""
        options = self._plan.options
        for node in self._others:
            self._witnesses.begin(WitnessRun(f"meanwhile from {node}", node, (self._node,), 100, 100, _TIMEOUT))
        self._lab.rest(options["first"])
        self._end(_PROCESS)
        for _ in range(options["times"]):
            self._end_again(self._back_off)
            self._back_off *= 2

    def _end(self, process: str) -> None:
        """Send a request that ends the process: the requester is told at once (G14)."""
        asked_at = self._lab.now
        outcome = self._ask(process)
        require(_is_end(outcome), f"{process} ended, and who asked it was told {outcome}")
        took = self._lab.now - asked_at
        require(took < 1.0, f"{process} ended, and who asked it was told so {took:.3f} s later")

    def _end_again(self, back_off: float) -> None:
        """End it again as soon as it is back: `back_off` seconds after it has ended, which is now."""
        ended = self._lab.now
        while not _is_end(outcome := self._ask(_PROCESS)):
            require(outcome.kind == "timeout", f"{_PROCESS} cannot answer, and who asked it was told {outcome}")
            late = self._lab.now > ended + back_off + _LATE
            require(not late, f"{_PROCESS} is not there {_LATE} s after its back-off: {outcome}")
            self._lab.rest(_LATE / 10)
        waited = self._lab.now - ended
        require(waited >= back_off - _EARLY, f"{_PROCESS} ran again {waited:.3f} s after its end, not {back_off:g}")

    def _ask(self, process: str) -> Outcome:
        return self._lab.ask(self._node, f"our@{process}", "no digits", _TIMEOUT)

    def check(self) -> None:
        """Check that all others have been served, and that timeouts are exact."""
        self._check_others()
        self._check_timeout()
        self._check_last_will()
        self._check_recovery()

    def _check_timeout(self) -> None:
        """Check a request to a paused node, which does not answer."""
        silent, began = self._others[0], self._lab.now
        with self._lab.apply(Pause(silent)):
            question = {"Ask": {"node": silent, "name": "nobody", "timeout": _SHORT}}
            outcome = self._lab.ask(self._node, "our@hello:hello:sys", question, _TIMEOUT)
        took = self._lab.now - began
        words = (
            f"{silent} is silent, and who asked it with a timeout of {_SHORT} s was told {outcome} after {took:.3f} s"
        )
        told = isinstance(outcome.body, dict) and outcome.body == {"Failed": {"kind": "Timeout"}}
        require(told and _SHORT - _EARLY <= took <= _SHORT + _LATE, words)

    def _check_last_will(self) -> None:
        """Check that the requests of an on-exit setting are sent."""
        processes.make(self._lab, self._node, _HEIR, _CODE)
        processes.make(self._lab, self._node, _TESTATOR, _CODE, processes.running(_HEIR))
        processes.run(self._lab, self._node, _TESTATOR)
        self._end(_TESTATOR)
        outcome = self._lab.ask(self._node, f"our@{_HEIR}", _DIGITS, _TIMEOUT)
        require(outcome.body == _DECODED, f"{_TESTATOR} has ended, and {_HEIR}, which it has run, says {outcome}")

    def _check_recovery(self) -> None:
        """Check that a process that has run for five times its next back-off begins with the first one again."""
        self._lab.rest(self._back_off + 5 * 2 * self._back_off + 1.0)
        self._end(_PROCESS)
        self._end_again(1.0)

    def _check_others(self) -> None:
        self._witnesses.all_over([run for run, _ in self._witnesses.runs], 60.0)
        runs = [WitnessRun(f"after it from {name}", name, self._nodes, 3, 0, _TIMEOUT) for name in self._nodes]
        self._check_calm(runs, self._nodes)


def _is_end(outcome: Outcome) -> bool:
    return outcome.kind == "timeout" and outcome.reason == "process ended"


def _options(names: Sequence[str], chance: Random) -> Options:
    """Draw the ends. The first one comes before the process has run long enough to count as healthy."""
    return {"first": round(chance.uniform(0.0, 4.0), 3), "times": chance.randint(1, 4)}


RESTARTS = Scenario(
    name="restarts",
    about="a process that ends again and again starts again after ever longer pauses, and nobody else suffers",
    nodes=("fragile.nec", "calm.nec"),
    topology=everywhere(PACKAGE, "crash_isolation"),
    options=_options,
    begin=_Story,
    drawers=draw.LINKS,
    most_nodes=MOST_NODES,
)
