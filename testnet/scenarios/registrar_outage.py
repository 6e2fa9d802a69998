"""The registrar is gone for a while: nodes that know each other talk on, and new names wait until it is back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from testnet.faults import draw
from testnet.faults.latency import Latency
from testnet.faults.registrar_down import RegistrarDown
from testnet.model.lab import READY_SECONDS, Lab
from testnet.model.rule import Fault
from testnet.scenarios.scenario import Options, Plan, Scenario, everywhere, require
from testnet.scenarios.witnesses import MOST_NODES, PACKAGE, RunTally, WitnessRun, WitnessStory

_KNOWN = 2
"""Nodes that have talked to each other before; the others have talked to nobody. The last is asked for last."""
_TIMEOUT = 20
_LATE = (0.05, 0.5, 1.0, 2.0)
"""Seconds that the outage still lasts when a node asks for a name: less than a look-up may take."""


class _Story(WitnessStory):
    def __init__(self, lab: Lab, plan: Plan) -> None:
        super().__init__(lab, plan)
        self._known, self._new, self._late = plan.nodes[:_KNOWN], plan.nodes[_KNOWN:-1], plan.nodes[-1:]
        self._events: dict[str, Callable[[], None]] = {
            "nothing": lambda: None,
            "cut": lambda: lab.cut(self._known[0]),
            "restart": self._restart,
        }

    def work(self) -> None:
        """Send requests before, during and after the outage."""
        self._witnesses.all_answered(self._among_known("before"), 20.0)
        with self._lab.apply(RegistrarDown(self._plan.options["how"])):
            self._outage()
            late = self._ask_late()
        self._over(late)
        if self._plan.options["how"] == "crash":  # otherwise its nodes may give up on it just before it is back
            self._see(late, lambda tally: tally.answered == tally.sent, "asked for it until the registrar was back")

    def _ask_late(self) -> list[WitnessRun]:
        """Send a request shortly before the registrar is back; its look-up is repeated then."""
        runs = [
            WitnessRun(f"{self._known[0]} to {name}", self._known[0], (name,), 1, 0, _TIMEOUT) for name in self._late
        ]
        self._witnesses.begin_all(runs)
        self._lab.rest(self._plan.options["late"])
        return runs

    def _outage(self) -> None:
        options = self._plan.options
        restarts = options["event"] == "restart"
        self._lab.rest(options["pause"])
        runs = [] if restarts else self._among_known("during")
        strangers = self._among_strangers(self._known[:1] if restarts else self._known)
        self._witnesses.begin_all((*runs, *strangers))
        self._lab.rest(0.5)
        self._events[options["event"]]()
        self._lab.rest(options["lasts"])
        self._over((*runs, *strangers))
        self._see(runs, lambda tally: tally.answered == tally.sent, "knows it, and is not answered")
        self._see(strangers, lambda tally: tally.answered == 0, "cannot know where it is, and is answered")

    def _restart(self) -> None:
        """Boot a node without the registrar: it has kept what it knows of the others, and they of it."""
        first, known = self._known
        self._lab.crash(known)
        self._lab.start(known)
        # The node waits a limited time for the registrar before it starts its packages; requests to it until then
        # wait with it.
        early = WitnessRun(f"{first} to {known}, which boots", first, (known,), 5, 100, _TIMEOUT)
        self._witnesses.begin(early)
        self._lab.wait(lambda: self._lab.ready(known), READY_SECONDS, f"the boot of {known}")
        self._lab.rest(3.0)
        runs = self._among_known("after a restart")
        self._witnesses.begin_all(runs)
        self._over((early, *runs))
        self._see([early], lambda tally: tally.timeout == 0, "has reached it before its processes ran")
        self._see(runs, lambda tally: tally.answered == tally.sent, "knows it from before, and is not answered")

    def _over(self, runs: Sequence[WitnessRun]) -> None:
        self._lab.rest(1.0)
        self._witnesses.all_over(runs, _TIMEOUT + 60.0)

    def _see(self, runs: Sequence[WitnessRun], holds: Callable[[RunTally], bool], words: str) -> None:
        for run in runs:
            for target, tally, _ in self._witnesses.tallies(run):
                require(holds(tally), f"{run.author} asks {target}, {words}: {tally.words()}")

    def _among_strangers(self, known: Sequence[str]) -> list[WitnessRun]:
        """Return runs between nodes that do not know each other, in both directions."""
        pairs = [(name, self._new) for name in known] + [(name, self._known) for name in self._new]
        return [WitnessRun(f"{author} to strangers", author, others, 5, 100, _TIMEOUT) for author, others in pairs]

    def _among_known(self, when: str) -> list[WitnessRun]:
        count, gap_ms = self._plan.options["count"], self._plan.options["gap_ms"]
        first, second = self._known
        pairs = ((first, second), (second, first))
        return [
            WitnessRun(f"{when} from {author}", author, (other,), count, gap_ms, _TIMEOUT) for author, other in pairs
        ]

    def check(self) -> None:
        """Check that all nodes reach each other."""
        runs = [WitnessRun(f"after it from {name}", name, self._nodes, 3, 0, _TIMEOUT) for name in self._nodes]
        self._check_calm(runs, self._nodes)


def _options(names: Sequence[str], chance: Random) -> Options:
    return {
        "how": chance.choice(("crash", "unreachable")),
        "pause": round(chance.uniform(0.0, 10.0), 3),
        "lasts": round(chance.uniform(5.0, 40.0), 3),
        "event": chance.choice(("nothing", "cut", "restart")),
        "late": chance.choice(_LATE),
        "count": chance.choice((1, 20, 100)),
        "gap_ms": chance.choice((0, 10, 200)),
    }


def _latency(nodes: Sequence[str], chance: Random) -> Fault:
    """Draw a latency that is short enough for handshakes."""
    return Latency(chance.choice((0.01, 0.1)), where=draw.where(nodes, chance))


REGISTRAR_OUTAGE = Scenario(
    name="registrar_outage",
    about="without the registrar, nodes that know each other talk on, and new names fail until it is back",
    nodes=("a.nec", "b.nec", "new.nec", "late.nec"),
    topology=everywhere(PACKAGE),
    options=_options,
    begin=_Story,
    drawers=(_latency, draw.bandwidth),
    least_nodes=4,
    most_nodes=MOST_NODES,
)
