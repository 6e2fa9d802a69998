"""The report of a chaos run, for people and programs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from nectar_node.base.errors import NodeError
from nectar_node.console import output
from testnet.chaos.tally import RequestCounts, TransferCounts
from testnet.faults.schedule import Step

SAME_SEED = "The same seed gives the same faults at the same times; their effects differ from run to run."


@dataclass(slots=True)
class Held:
    """A fault of the schedule, as it happened."""

    step: Step
    began: float
    """Seconds since the beginning, when it held."""
    ended: float | None = None
    """When it ended."""
    refused: str | None = None
    """Why it could not be injected."""

    def value(self) -> dict[str, Any]:
        """Return the fault as JSON values."""
        more = {"words": self.step.fault.words(), "began": round(self.began, 3), "refused": self.refused}
        return {**self.step.value(), **more, "ended": None if self.ended is None else round(self.ended, 3)}

    def words(self) -> str:
        """Describe the fault for people."""
        end = "" if self.ended is None else f" to {self.ended:6.1f} s"
        why = "" if self.refused is None else f" (not injected: {self.refused})"
        return f"{self.began:6.1f} s{end}  {self.step.fault.words()}{why}"


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise that a run checks."""

    words: str
    count: int
    """How often it has been broken, as far as that is known."""
    broken: str
    """What is counted."""


@dataclass(slots=True)
class ChaosReport:
    """The report of one run."""

    seed: int
    nodes: tuple[str, ...]
    planned: float
    """The planned seconds."""
    seconds: float = 0.0
    """How long there were faults and traffic."""
    faults: list[Held] = field(default_factory=list)
    transfers: TransferCounts = field(default_factory=TransferCounts)
    requests: RequestCounts = field(default_factory=RequestCounts)
    healed: float | None = None
    """Seconds from the end of the last fault until all nodes reached each other."""
    apart: list[str] = field(default_factory=list)
    """Pairs of nodes that had not reached each other when the time was over."""
    steps: int = 0
    """Steps of messages in which the invariants were watched."""
    unwatched: str = "The nodes were running already, so they write no traces."
    """Why they were not."""
    problems: list[str] = field(default_factory=list)
    """What kept the run from going as planned."""
    journal: tuple[str, ...] = ()
    """The lines of its journal, if a promise was broken."""

    def unseen(self, node: str, error: NodeError) -> None:
        """Note that files of a node cannot be looked at, once for each reason."""
        sentence = f"what {node} has received cannot be looked at: {error}"
        if sentence not in self.problems:
            self.problems.append(sentence)

    @property
    def ended_early(self) -> bool:
        """Return whether the user ended the run early."""
        return self.seconds < self.planned - 0.5

    def violations(self) -> list[str]:
        """Return the broken promises, a sentence each."""
        return [*(f"{each.broken}: {each.count}" for each in self.promises() if each.count), *self.problems]

    def promises(self) -> tuple[Promise, ...]:
        """Return all promises that are counted, with how often each has been broken so far."""
        requests, transfers = self.requests, self.transfers
        return (
            Promise("Every file that has arrived is right", len(transfers.wrong), "wrong files"),
            Promise("Every transfer has an outcome", transfers.unended, "transfers without an outcome"),
            Promise("No request is lost (G5)", requests.lost, "requests lost (G5)"),
            Promise("Nothing comes twice (G4, G5)", requests.doubled, "requests or outcomes that came twice (G4, G5)"),
            Promise("Requests come in order (G4)", requests.disordered, "requests out of order (G4)"),
            Promise(
                "All comes from its own node (G3)", requests.wrong_node, "requests or answers from the wrong node (G3)"
            ),
            Promise("Witnesses find nothing else wrong", requests.other, "other things that witnesses found wrong"),
            Promise(
                "All nodes reach each other after the last fault",
                len(self.apart),
                "pairs of nodes that did not reach each other after the last fault",
            ),
        )

    def evidence(self) -> list[str]:
        """Return details for a closer look."""
        return [*self.transfers.wrong, *self.requests.sentences, *self.apart]

    def value(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "seed": self.seed,
            "nodes": list(self.nodes),
            "planned_seconds": self.planned,
            "seconds": round(self.seconds, 3),
            "ended_early": self.ended_early,
            "faults": [held.value() for held in self.faults],
            "transfers": self.transfers.value(),
            "requests": self.requests.value(),
            "traced_steps": None if self.unwatched else self.steps,
            "healed_seconds": None if self.healed is None else round(self.healed, 3),
            "violations": self.violations(),
            "evidence": self.evidence(),
        }


def words(report: ChaosReport, logs: Callable[[str], str]) -> str:
    """Return the report for people; `logs` gives the command that shows a node's log."""
    return "\n".join(
        [
            *_head(report),
            "",
            *_faults(report),
            "",
            *_traffic(report),
            *_traces(report),
            *_healing(report),
            "",
            *_verdict(report, logs),
        ]
    )


def _head(report: ChaosReport) -> list[str]:
    early = f", ended early (of {output.duration(report.planned)})" if report.ended_early else ""
    return [
        f"Chaos with seed {report.seed} for {output.duration(report.seconds)}{early} on {', '.join(report.nodes)}.",
        SAME_SEED,
    ]


def _faults(report: ChaosReport) -> list[str]:
    held = [f"  {each.words()}" for each in report.faults]
    return [f"Faults: {len(held)}", *held] if held else ["Faults: none were drawn."]


def _traffic(report: ChaosReport) -> list[str]:
    transfers, requests = report.transfers, report.requests
    kinds = ", ".join(f"{kind} {count}" for kind, count in transfers.failed.most_common())
    return [
        f"Transfers: {transfers.started} started",
        f"  {transfers.completed} completed, {output.size(transfers.bytes)}",
        f"  {transfers.failed.total()} failed with an error{f': {kinds}' if kinds else ''}",
        f"  {transfers.died} died with their node{_abandoned(transfers.abandoned)}",
        f"  {transfers.unended} without an outcome, {len(transfers.wrong)} wrong",
        f"Requests: {requests.started} started",
        f"  {requests.answered} answered, {requests.returned} returned on their way",
        f"  {requests.offline} Offline, {requests.timeout} Timeout",
        f"  {requests.died} died with their node{_abandoned(requests.abandoned)}",
        f"  {requests.lost} lost, {requests.doubled} doubled, {requests.disordered} out of order, "
        f"{requests.wrong_node} from the wrong node",
    ]


def _traces(report: ChaosReport) -> list[str]:
    if report.unwatched:
        return [f"Traces: not watched. {report.unwatched}"]
    return [f"Traces: {report.steps} steps of messages, in which G2 to G5 and G24 were watched"]


def _abandoned(count: int) -> str:
    return f", {count} abandoned by Ctrl-C" if count else ""


def _healing(report: ChaosReport) -> list[str]:
    if report.healed is None:
        return ["Healing: not all nodes reached each other again."]
    return [f"Healing: all nodes reached each other {output.duration(report.healed)} after the last fault."]


def _verdict(report: ChaosReport, logs: Callable[[str], str]) -> list[str]:
    violations = report.violations()
    if not violations:
        return ["All promises held."]
    looks: Sequence[str] = [f"  {logs(node)}" for node in report.nodes]
    return [
        *(f"VIOLATED: {violation.rstrip('.')}." for violation in violations),
        *(f"  {line}" for line in report.evidence()),
        "Look at:",
        *looks,
    ]
