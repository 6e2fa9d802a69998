"""A node answers under another's name, with another key: nobody believes it, and nobody is believed to be it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from testnet.faults import draw
from testnet.faults.impostor import Impostor
from testnet.model.lab import Lab
from testnet.scenarios.scenario import Options, Plan, Scenario, everywhere, require
from testnet.scenarios.timing import told
from testnet.scenarios.witnesses import MOST_NODES, PACKAGE, PROCESS, WitnessRun, WitnessStory

_TIMEOUT = 30
_BLOBS = (0, 0, 1000, 100_000)


class _Story(WitnessStory):
    def __init__(self, lab: Lab, plan: Plan) -> None:
        super().__init__(lab, plan)
        self._victim, self._others = plan.nodes[0], plan.nodes[1:]
        self._fault = Impostor(self._victim)

    def work(self) -> None:
        """Send requests while the impostor is there; the real node may be there or not, known from before or not."""
        options = self._plan.options
        if options["known"]:
            self._witnesses.play(self._runs("before", self._others, (self._victim,)), 2 * _TIMEOUT)
        if options["gone"]:
            self._lab.crash(self._victim)
        with self._lab.apply(self._fault):
            self._meanwhile()
        self._lab.start(self._victim)

    def _meanwhile(self) -> None:
        host = self._fault.host
        self._lab.rest(self._plan.options["pause"])
        told(self._lab, host, PROCESS, "Report", "Report")  # it is there, however long it took to boot
        honest = self._runs("to whoever has the name", self._others, (self._victim,))
        false = self._runs("from an impostor", (host,), self._others)
        self._witnesses.play((*honest, *false), 2 * _TIMEOUT)
        self._check_impostor(false)
        if self._plan.options["gone"]:
            self._check_gone(honest)

    def _check_impostor(self, false: Sequence[WitnessRun]) -> None:
        """Check that the impostor was given nothing, and that nobody took anything from it."""
        report = self._witnesses.report(self._fault.host)
        noted = sum(row["noted"] for row in report.noted)
        require(not report.noted, f"the impostor of {self._victim} was given {noted} requests")
        for run in false:
            for target, tally in zip(run.targets, report.of(run), strict=True):
                words = f"{target} has answered the impostor of {self._victim}: {tally.words()}"
                require(tally.answered == 0, words)
                seen = self._witnesses.report(target).count(run, (), "noted")
                require(seen == 0, f"{target} took {seen} requests from the impostor of {self._victim}")

    def _check_gone(self, honest: Sequence[WitnessRun]) -> None:
        for run in honest:
            (tally,) = self._witnesses.report(run.author).of(run)
            words = f"only an impostor is there for {run.author}'s requests to {self._victim}: {tally.words()}"
            require(tally.offline == run.count, words)

    def check(self) -> None:
        """Check that the impostor is gone, and that all nodes reach each other."""
        self._check_calm(self._runs("after", self._nodes, self._nodes), self._nodes)

    def _runs(self, when: str, authors: Sequence[str], targets: Sequence[str]) -> list[WitnessRun]:
        count, gap_ms, blob = (self._plan.options[name] for name in ("count", "gap_ms", "blob"))
        return [
            WitnessRun(f"{when}, {author}", author, tuple(targets), count, gap_ms, _TIMEOUT, (), blob)
            for author in authors
        ]


def _options(names: Sequence[str], chance: Random) -> Options:
    return {
        "gone": chance.random() < 0.7,
        "known": chance.random() < 0.5,
        "pause": round(chance.uniform(0.0, 10.0), 3),
        "count": chance.choice((1, 10, 50)),
        "gap_ms": chance.choice((0, 10, 200)),
        "blob": chance.choice(_BLOBS),
    }


IMPOSTOR = Scenario(
    name="impostor",
    about="a node with the right name and the wrong key is given nothing and believed nothing, and its name is Offline",
    nodes=("victim.nec", "a.nec", "b.nec"),
    topology=everywhere(PACKAGE),
    options=_options,
    begin=_Story,
    drawers=(draw.refusal, draw.no_route, draw.latency, draw.reset, draw.slow_handshake),
    most_nodes=MOST_NODES,
)
