"""The evidence of a test: a journal in a file, properties for JUnit's XML, and a section of the report if it fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from testnet.journal.journal import NOBODY, OF_A_TEST, digest
from testnet.model.invariants import Violation
from testnet.model.lab import Level
from testnet.scenarios.scenario import Plan
from testnet.sim.run import PASSED, VIOLATED, Result
from testnet.testing.networks import LabRun
from testnet.testing.package_lab import PackageLab, Trouble

FAILED = "failed"
"""The result of a test that has failed for reasons of its own."""
TAIL_LINES = 12
"""Lines of the journal in the report."""
MAX_LINE = 160
"""Characters of one of these."""
MAX_TEXT = 2000
"""Characters of an error, in the journal."""
MAX_WAITING = 5
"""Outstanding requests in the report."""
_BYTES = ("sends", "disk")
"""Events that the report leaves out: bytes say nothing to people."""


@dataclass(slots=True)
class Evidence:
    """The evidence of one test with one network."""

    test: str
    """The node id of the test."""
    repeat: str
    """The command that runs it again."""
    journal: Path
    """The file of its journal, if it is kept."""
    seed: int
    level: Level
    run: LabRun
    lab: PackageLab
    written: bool = False
    result: str = PASSED
    text: str = ""
    """What went wrong."""
    unseen: str = ""
    """A violation that the test has not met with: it has failed otherwise."""

    def finish(self) -> Violation | None:
        """Raise Violation if an invariant does not hold, now that the test has passed."""
        try:
            self.run.finish()
        except Violation as violation:
            self.result, self.text = VIOLATED, str(violation)
            return violation
        return None

    def conclude(self, error: BaseException | None) -> None:
        """End the test, with `error` if it has failed."""
        violations = [each for each in _leaves(error) if isinstance(each, Violation)] if error is not None else []
        if error is not None and not violations and (found := self.run.found()) is not None:
            self.unseen = str(found)
            violations = [found]
        if violations:
            self.result, self.text = VIOLATED, str(violations[0])
        elif error is not None and self.result == PASSED:
            self.run.lab.histories.tell()
            self.result, self.text = FAILED, f"{type(error).__name__}: {error}"[:MAX_TEXT]

    def lines(self) -> tuple[str, ...]:
        """Return the lines of the journal."""
        last = (f"{self.lab.now:.9f} {NOBODY} violation {self.text}",) if self.result == VIOLATED else ()
        return (*self.run.journal(), *last)

    def properties(self) -> list[tuple[str, object]]:
        """Return the properties for JUnit's XML."""
        found: list[tuple[str, object]] = [
            ("nectar_level", self.level.value),
            ("nectar_seconds", round(self.lab.now, 9)),
            ("nectar_digest", digest(self.lines())),
        ]
        return [*found, ("nectar_journal", str(self.journal))] if self.written else found

    def write(self) -> None:
        """Write the journal, if the disk takes it."""
        lines = self.lines()
        plan = Plan(OF_A_TEST, self.seed, self.lab.nodes, {"test": self.test, "repeat": self.repeat})
        with suppress(OSError):
            Result(plan, lines, digest(lines), self.lab.now, self.result, self.text).write(self.journal)
            self.written = True

    def section(self, error: BaseException | None) -> str:
        """Return the section for people about a test that has failed with `error`."""
        trouble = self._trouble(error)
        now = trouble.moment.now if trouble else self.lab.now
        journal = self.run.journal(trouble.moment) if trouble else self.lines()
        lines = [
            f"seed      {self.seed}",
            f"time      {now:.9f} s ({'virtual' if self.level is Level.SIMULATION else 'real'}), {self.level.value}",
            *([f"violated  {self.unseen}"] if self.unseen else []),
            *_list("faults   ", holding(journal) or ("none held",)),
            *_list("waiting  ", _few(self.run.outstanding())),
            f"journal   {self.journal if self.written else 'could not be written'}; until then:",
            *(f"  {line}" for line in tail(journal)),
            f"repeat    {self.repeat}",
        ]
        return "\n".join(lines) + "\n"

    def _trouble(self, error: BaseException | None) -> Trouble | None:
        trouble = self.lab.trouble
        if trouble is None or error is None:
            return None
        return trouble if any(each is trouble.error for each in _leaves(error)) else None


def holding(journal: Sequence[str]) -> list[str]:
    """Return the faults that hold at the end of a journal, in words."""
    faults: dict[int, str] = {}
    for line in journal:
        at, _, what = line.split(" ", 2)
        if what.startswith("fault "):
            it = json.loads(what.removeprefix("fault "))
            if it["state"] == "begins":
                faults[it["number"]] = f"{it['words']} (since {float(at):.3f} s)"
            else:
                faults.pop(it["number"], None)
    return list(faults.values())


def tail(journal: Sequence[str]) -> list[str]:
    """Return the last lines of a journal that matter to people, shortened."""
    found: list[str] = []
    for line in reversed(journal):
        if len(found) == TAIL_LINES:
            break
        if (text := _shown(line)) is not None:
            found.append(text if len(text) <= MAX_LINE else f"{text[: MAX_LINE - 1]}…")
    return found[::-1]


def _shown(line: str) -> str | None:
    at, node, what = line.split(" ", 2)
    word, _, rest = what.partition(" ")
    if word in _BYTES:
        return None
    if word == "message":
        it = json.loads(rest)
        reason = f" ({it['reason']})" if it["reason"] else ""
        return f"{at} {node} {it['step']}{reason}: {it['source']} → {it['target']} {it['beginning']}"
    if word == "fault":
        it = json.loads(rest)
        return f"{at} fault {it['number']} {it['state']}{': ' + it['words'] if 'words' in it else ''}"
    return line


def _list(title: str, entries: Sequence[str]) -> list[str]:
    return [f"{title if number == 0 else ' ' * len(title)} {entry}" for number, entry in enumerate(entries)]


def _few(entries: Sequence[str]) -> list[str]:
    more = len(entries) - MAX_WAITING
    return [*entries[:MAX_WAITING], *([f"and {more} more"] if more > 0 else [])]


def _leaves(error: BaseException) -> list[BaseException]:
    """Yield the exceptions: one, or those of a nursery's group."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
