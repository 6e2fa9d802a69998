"""The package witness, as scenarios use it: traffic that checks itself, on every node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from testnet.model.lab import Lab, SentRequest
from testnet.scenarios.scenario import Outcomes, Plan, require

PACKAGE = "witness"
PROCESS = "our@witness:witness:sys"
MOST_NODES = 200
"""Targets of one run: `max_targets` in packages/witness/protocol.zig."""
_PATIENCE = 30
"""Seconds in which a witness on a node that nothing is wrong with answers its user."""
_OUTCOMES = ("answered", "returned", "offline", "timeout")


@dataclass(frozen=True, slots=True)
class WitnessRun:
    """Numbered requests from one node to others."""

    name: str
    """Unique in the scenario."""
    author: str
    targets: tuple[str, ...]
    count: int = 1
    """Requests for each target."""
    gap_ms: int = 0
    timeout: int = 20
    """The timeout in seconds."""
    path: tuple[str, ...] = ()
    """The nodes to which the targets pass the requests on; the last one answers."""
    blob: int = 0
    """Bytes."""

    def body(self) -> dict[str, Any]:
        """Return the order to a witness."""
        begin = {"run": self.name, "targets": list(self.targets), "count": self.count, "gap_ms": self.gap_ms}
        return {"Begin": begin | {"timeout": self.timeout, "path": list(self.path), "blob": self.blob}}


@dataclass(frozen=True, slots=True)
class RunTally:
    """The outcomes of a run at one target, as its author counts them."""

    sent: int
    answered: int
    returned: int
    offline: int
    timeout: int

    def words(self) -> str:
        """Describe the counts for people."""
        return ", ".join(f"{getattr(self, name)} {name}" for name in self.__slots__)


@dataclass(slots=True)
class WitnessReport:
    """What a witness has seen since its node booted."""

    tallies: dict[tuple[str, str], RunTally]
    """Tallies by run and target."""
    noted: list[dict[str, Any]]
    wrong: list[str]

    def of(self, run: WitnessRun) -> list[RunTally]:
        """Return the tallies of a run at its targets; raises Violation if its author has forgotten it."""
        known = (run.name, run.targets[0]) in self.tallies
        require(known, f"the witness on {run.author} has forgotten the run {run.name}, which it has begun")
        return [self.tallies[run.name, target] for target in run.targets]

    def count(self, run: WitnessRun, trail: Sequence[str], what: str) -> int:
        """Return how many requests of a run came this way and were `noted`, `passed` or `returned` here, or lost their
        answer (`lost`)."""
        rows = [row for row in self.noted if row["run"] == run.name and row["trail"] == list(trail)]
        return sum(int(row[what]) for row in rows)


@dataclass(slots=True)
class Witnesses:
    """The witnesses of a network, and the runs that were begun."""

    lab: Lab
    process: str = PROCESS
    """The name of the process on every node."""
    runs: list[tuple[WitnessRun, SentRequest]] = field(default_factory=list)

    def begin(self, run: WitnessRun) -> None:
        """Begin a run, if its author is there."""
        if self.lab.running(run.author):
            self.runs.append((run, self.lab.begin(run.author, self.process, run.body(), _PATIENCE)))

    def begin_all(self, runs: Iterable[WitnessRun]) -> None:
        """Begin these runs."""
        for run in runs:
            self.begin(run)

    def report(self, node: str) -> WitnessReport:
        """Return what the witness of a node has seen, while nothing is wrong with the node."""
        outcome = self.lab.ask(node, self.process, "Report", _PATIENCE)
        require(outcome.kind == "response", f"the witness on {node} does not answer its user: {outcome.reason}")
        value = outcome.body["Report"]
        tallies = {(row["run"], row["target"]): _tally(row) for row in value["asked"]}
        return WitnessReport(tallies, value["noted"], value["wrong"])

    def begun(self, run: WitnessRun) -> bool:
        """Whether its author has said so."""
        outcomes = (request.outcome for each, request in self.runs if each is run)
        return any(outcome is not None and outcome.body == "Begun" for outcome in outcomes)

    def all_over(self, runs: Sequence[WitnessRun], within: float) -> None:
        """Check that every request of these runs gets its outcome (G5), unless its author has forgotten it."""
        limit = self.lab.now + within
        while waiting := [text for run in runs for text in self._unfinished(run)]:
            require(self.lab.now < limit, f"G5: after {within:g} s there is no outcome: {'; '.join(waiting)}")
            self.lab.rest(1.0)

    def _unfinished(self, run: WitnessRun) -> list[str]:
        known = self.report(run.author).tallies
        tallies = [(target, known.get((run.name, target))) for target in run.targets]
        return [
            f"{run.author}'s run {run.name} to {target}: {tally.words()}"
            for target, tally in tallies
            if tally is not None and (tally.sent < run.count or outcomes(tally) < tally.sent)
        ]

    def outcomes(self) -> Outcomes:
        """Return the tallies of each run at its targets, as its author counts now."""
        found: Outcomes = {}
        for author in dict.fromkeys(run.author for run, _ in self.runs):
            known = self.report(author).tallies if self.lab.running(author) else {}
            for run in (run for run, _ in self.runs if run.author == author):
                for target in run.targets:
                    tally = known.get((run.name, target))
                    words = "nobody remembers" if tally is None else tally.words()
                    found[f"{run.name}: {author} to {target}"] = words
        return found

    def nothing_wrong(self, nodes: Sequence[str]) -> None:
        """Check that no witness has seen anything wrong."""
        for node in nodes:
            wrong = self.report(node).wrong
            require(not wrong, f"the witness on {node} has seen {len(wrong)} wrong things: {'; '.join(wrong[:3])}")

    def all_answered(self, runs: Sequence[WitnessRun], within: float = 60.0) -> None:
        """Begin these runs, and see that every request is answered."""
        authors = {run.author for run in runs}
        self.lab.wait(lambda: all(self.lab.ready(name) for name in authors), within, "that all nodes have joined again")
        self.play(runs, within)
        for run in runs:
            for _, tally, words in self.tallies(run):
                require(tally.answered == run.count, f"not all requests were answered: {words}")

    def play(self, runs: Sequence[WitnessRun], within: float) -> None:
        """Begin these runs, and see that every request gets its outcome."""
        self.begin_all(runs)
        self.lab.rest(1.0)
        self.all_over(runs, within)

    def tallies(self, run: WitnessRun) -> Iterator[tuple[str, RunTally, str]]:
        """Yield each target of a run, what its author counts there now, and a description."""
        for target, tally in zip(run.targets, self.report(run.author).of(run), strict=True):
            yield target, tally, f"{run.author}'s run {run.name} to {target}: {tally.words()}"


class WitnessStory:
    """The base of stories whose outcomes are what witnesses count."""

    def __init__(self, lab: Lab, plan: Plan) -> None:
        self._lab = lab
        self._plan = plan
        self._nodes = plan.nodes
        self._witnesses = Witnesses(lab)

    def outcomes(self) -> Outcomes:
        """Return the outcomes, after `check`."""
        return self._witnesses.outcomes()

    def _check_calm(self, runs: Sequence[WitnessRun], nodes: Sequence[str], within: float = 60.0) -> None:
        """Begin these runs when all is over, and check that all is answered, and that nothing was ever wrong."""
        self._witnesses.all_answered(runs, within)
        self._witnesses.nothing_wrong(nodes)


def outcomes(tally: RunTally) -> int:
    """Return how many requests have had their outcomes."""
    return sum(getattr(tally, name) for name in _OUTCOMES)


def _tally(row: dict[str, Any]) -> RunTally:
    return RunTally(**{name: int(row[name]) for name in ("sent", *_OUTCOMES)})
