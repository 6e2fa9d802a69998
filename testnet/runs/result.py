"""How a run of a plan went, at whatever level."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from testnet.journal.journal import End, write_journal
from testnet.model.lab import Level
from testnet.scenarios.scenario import Outcomes, Plan

PASSED, VIOLATED, DEADLINE, BROKEN, INTERRUPTED = "passed", "violated", "deadline", "broken", "interrupted"


@dataclass(frozen=True, slots=True)
class Result:
    """How a run went."""

    plan: Plan
    journal: tuple[str, ...]
    """One line for each event."""
    digest: str
    """Of all of them."""
    seconds: float
    """Of virtual time in a simulation, else of real time."""
    result: str
    """passed, violated, deadline, broken: an error of the code itself came out of it; or, with real nodes,
    interrupted by Ctrl-C."""
    text: str = ""
    """What was violated, did not come to an end, or broke."""
    outcomes: Outcomes = field(default_factory=dict)
    """What everything came to, if it passed."""
    level: Level = Level.SIMULATION

    @property
    def end(self) -> End:
        """The last line of the journal."""
        return End(self.digest, len(self.journal), round(self.seconds, 9), self.result, self.text)

    def write(self, path: Path) -> None:
        """The journal as a file; raises OSError."""
        write_journal(path, self.plan.value(), self.journal, self.end)
