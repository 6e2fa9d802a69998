"""The evidence of a test: a journal in a file, properties for JUnit's XML, and a section of the report if it fails."""

from __future__ import annotations

import json
import shlex
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import asdict

import kernel
import nectar_node
import net
import testnet
from nectar_node.base.errors import BadInput
from testnet.journal.journal import NOBODY, OF_A_TEST, digest, line_of, time_of
from testnet.model.invariants import Violation
from testnet.model.lab import Level, OutOfTime
from testnet.model.rule import NotAtThisLevel
from testnet.scenarios.scenario import Plan
from testnet.sim.run import BROKEN, PASSED, VIOLATED, Result
from testnet.testing.networks import LabRun
from testnet.testing.origin import FailedLine, TestOrigin
from testnet.testing.package_lab import PackageLab, Trouble

FAILED = "failed"
"""The result of a test that has failed for reasons of its own."""
TAIL_LINES = 12
"""Lines of the journal in the report."""
MAX_LINE = 160
"""Characters of one of these."""
MAX_TEXT = 2000
"""Characters of an error, in the journal."""
MAX_SCHEDULE = 1000
"""Faults in the header of a journal."""
MAX_WAITING = 5
"""Outstanding requests in the report."""
_BYTES = ("sends", "disk")
"""Events that the report leaves out: bytes say nothing to people."""


@dataclass(slots=True)
class Evidence:
    """The evidence of one test with one network."""

    origin: TestOrigin
    """The test."""
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
    example: str | None = None
    """The example of Hypothesis (`testnet.testing.examples`)."""
    place: FailedLine | None = None
    """The line of the test that has failed."""
    trouble: Trouble | None = None
    """When it failed, if faults held then, which have ended since."""

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
        leaves = [] if error is None else _leaves(error)
        violations = [each for each in leaves if isinstance(each, Violation)]
        if error is not None and not violations and (found := self.run.found()) is not None:
            self.unseen = str(found)
            violations = [found]
        if violations:
            self.result, self.text = VIOLATED, str(violations[0])
        elif error is not None and self.result == PASSED:
            self.run.lab.histories.tell()
            result = BROKEN if all(map(_is_of_the_test_itself, leaves)) else FAILED
            self.result, self.text = result, f"{type(error).__name__}: {error}"[:MAX_TEXT]
        if error is not None:
            self.place = next((place for each in leaves if (place := self.origin.place_of(each)) is not None), None)
            self.trouble = self._trouble(error)

    def lines(self) -> tuple[str, ...]:
        """Return the lines of the journal; that of the failure stands where it came up."""
        lines = tuple(self.run.journal())
        if self.result == PASSED:
            return lines
        moment = None if self.trouble is None else self.trouble.moment
        last = line_of(self.lab.now if moment is None else moment.now, NOBODY, f"violation {self.text or self.result}")
        if moment is None or self.level is not Level.SIMULATION:
            return tuple(sorted((*lines, last), key=time_of))
        return (*lines[: moment.events], last, *lines[moment.events :])

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
        injected = self.lab.injections.injected[:MAX_SCHEDULE]
        options = self.origin.options(
            self.level.value,
            self.part,
            example=self.example,
            requests=self.lab.asked,
            injected=[each.kept.value() for each in injected],
            place=None if self.place is None else asdict(self.place),
        )
        steps = tuple(each.step for each in injected)
        plan = Plan(OF_A_TEST, self.seed, self.lab.nodes, dict(options), steps)
        with suppress(OSError):
            Result(plan, lines, digest(lines), self.lab.now, self.result, self.text, level=self.level).write(
                self.journal
            )
            self.written = True

    @property
    def part(self) -> str:
        """Return what the name of the journal ends with."""
        return part_of(self.level, self.example is not None)

    def section(self, error: BaseException | None) -> str:
        """Return the section for people about a test that has failed with `error`."""
        trouble = self.trouble
        now = trouble.moment.now if trouble else self.lab.now
        whole = self.lines() if self.result == VIOLATED else self.run.journal()
        journal = self.run.journal(trouble.moment) if trouble else whole
        lines = [
            f"seed      {self.seed}",
            *([f"failed    {self.place.words()}: {self.place.source}"] if self.place else []),
            f"time      {now:.9f} s ({'virtual' if self.level is Level.SIMULATION else 'real'}), {self.level.value}",
            *([f"violated  {self.unseen}"] if self.unseen else []),
            *_list("faults   ", holding(journal) or ("none held",)),
            *_list("waiting  ", _few(self.run.outstanding())),
            f"journal   {self.journal if self.written else 'could not be written'}; until then:",
            *(f"  {line}" for line in tail(journal)),
            *self._next(),
            f"repeat    {self.origin.command()}",
        ]
        return "\n".join(lines) + "\n"

    def _next(self) -> list[str]:
        """Return what can be done with the journal; of the test's own error there is nothing to explain."""
        if self.result == BROKEN:
            return ["broken    this is an error of the test's own Python: mend it"]
        return [f"explain   nectar sim explain {shlex.quote(str(self.journal))}"] if self.written else []

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
    if word == "operation":
        it = json.loads(rest)
        if not it["wrong"]:
            return None  # many, and they are no news: each is about a message
        return f"{at} operation of {it['client']}, unexplained: {it['words']}, called at {it['called']:.9f}"
    return line


def part_of(level: Level, of_an_example: bool = False) -> str:
    """Return how the name of a journal ends."""
    return f"nectar-{'example' if of_an_example else level.value}.journal"


_OF_THE_PROJECT = tuple(f"{Path(each.__path__[0])}/" for each in (kernel, net, nectar_node, testnet))


def _is_of_the_test_itself(error: BaseException) -> bool:
    """Return whether an error is a mistake in the test's own Python, and says nothing of what it tests."""
    if isinstance(error, (BadInput, NotAtThisLevel)):
        return True
    if isinstance(error, (AssertionError, Violation, OutOfTime)) or not isinstance(error, Exception):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and not frames[-1].filename.startswith(_OF_THE_PROJECT)


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
