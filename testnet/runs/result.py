"""The result of a run, at any level."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from testnet.journal.journal import JournalEnd, write_journal
from testnet.model.lab import Level
from testnet.scenarios.scenario import Outcomes, Plan

PASSED, VIOLATED, DEADLINE, BROKEN, INTERRUPTED = "passed", "violated", "deadline", "broken", "interrupted"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run."""

    plan: Plan
    journal: tuple[str, ...]
    """One line for each event."""
    digest: str
    """A hash of all events."""
    seconds: float
    """Seconds of virtual time in a simulation, else of real time."""
    result: str
    """passed, violated, deadline, broken: an error of the code itself came out of it; or, with real nodes,
    interrupted by Ctrl-C."""
    text: str = ""
    """What was violated, did not end, or broke."""
    outcomes: Outcomes = field(default_factory=dict)
    """The outcomes, if the run passed."""
    level: Level = Level.SIMULATION
    fingerprint: str = ""
    """One number of all events of a simulation, also of one without a journal (`testnet.journal.recording`)."""

    @property
    def end(self) -> JournalEnd:
        """Return the last line of the journal."""
        return JournalEnd(self.digest, len(self.journal), round(self.seconds, 9), self.result, self.text)

    def write(self, path: Path) -> None:
        """Write the journal to a file; raises OSError."""
        write_journal(path, {**self.plan.value(), "level": self.level.value}, self.journal, self.end)
