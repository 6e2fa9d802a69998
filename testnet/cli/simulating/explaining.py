"""What a failure needed: it is run again without each of its faults, and with shorter ones, and what came of that is
said, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from testnet.cli.simulating.reruns import HeldFault, Rerun
from testnet.report.model import Band
from testnet.report.story import span_of

MAX_FAULTS = 12
"""Faults of which each is left out once."""
PRECISION = 0.1
"""Seconds between an end with which it fails and one with which it passes."""


@dataclass(frozen=True, slots=True)
class Needed:
    """What was found out of one fault."""

    fault: HeldFault
    words: str
    needed: bool
    """Whether the run passes without it."""
    passes: float | None = None
    """It passes if the fault lasts only so many seconds."""
    fails: float | None = None
    """It fails if the fault lasts so many seconds."""


@dataclass(frozen=True, slots=True)
class Trials:
    """What reruns have shown."""

    again: bool
    """Whether it fails in the same way when it is run once more; otherwise nothing else is known."""
    without: bool
    """Whether it fails without any fault."""
    needed: tuple[Needed, ...]
    runs: int
    complete: bool


class _Enough(Exception):
    """As many runs were made as were allowed."""


class FaultTrials:
    """Runs of one failure with other faults."""

    def __init__(self, rerun: Rerun, words: Sequence[str], most: int, show: Callable[[int], None]) -> None:
        """`words` describe the faults of the rerun; `show` is told how many runs there were."""
        self._rerun, self._words, self._most, self._show = rerun, words, most, show
        self._runs = 0

    def settle(self) -> Trials:
        """Run it as often as necessary."""
        needed: list[Needed] = []
        again = without = False
        complete = True
        faults = self._rerun.faults
        try:
            again = self._fails(faults)
            if again and faults:
                without = self._fails(())
                if not without:
                    for fault in faults[:MAX_FAULTS]:
                        needed.append(self._one(fault))
                        if needed[-1].needed:
                            needed[-1] = self._length(needed[-1])
        except _Enough:
            complete = False
        return Trials(again, without, tuple(needed), self._runs, complete and len(faults) <= MAX_FAULTS)

    def _fails(self, faults: Sequence[HeldFault]) -> bool:
        if self._runs >= self._most:
            raise _Enough
        self._runs += 1
        self._show(self._runs)
        return self._rerun.fails(faults)

    def _one(self, fault: HeldFault) -> Needed:
        others = [each for each in self._rerun.faults if each is not fault]
        fails = bool(others) and self._fails(others)
        return Needed(fault, self._words[fault.index], needed=not fails)

    def _length(self, needed: Needed) -> Needed:
        """Halve the time in which it must have ended; that it passes below and fails above is known of the two ends
        alone."""
        fault = needed.fault
        if fault.held is None or fault.held <= PRECISION:
            return needed
        passes, fails = 0.0, fault.held
        while fails - passes > PRECISION:
            middle = round((passes + fails) / 2, 3)
            shorter = [replace(each, held=middle) if each is fault else each for each in self._rerun.faults]
            try:
                failed = self._fails(shorter)
            except _Enough:
                break
            passes, fails = (passes, middle) if failed else (middle, fails)
        return replace(needed, passes=passes, fails=fails)


def words_of(findings: Trials, bands: Sequence[Band], what: str) -> list[str]:
    """Return what was found out, in sentences; `bands` are the faults of the journal, `what` is "test" or "run"."""
    if not findings.again:
        if not findings.runs:
            return []
        return [f"Run once more, the {what} does not fail in the same way: what it needed cannot be said."]
    if findings.without:
        return [f"Without any fault the {what} fails in the same way."]
    if not findings.needed and not findings.complete:
        return [f"Run once more, the {what} fails in the same way. More was not tried: see --runs."]
    if not findings.needed:
        return [f"The {what} fails whenever it is run: it asks for no fault."]
    said = []
    for each in findings.needed:
        band = next((band for band in bands if band.words == each.words and _near(band, each, bands)), None)
        name = each.words if band is None else span_of(band)
        if not each.needed:
            said.append(f"Without this fault the {what} fails as well: {name}.")
            continue
        said.append(f"Without this fault the {what} passes: {name}.")
        begins = each.fault.at if band is None else band.begins
        if each.passes:
            passes, fails = _apart(begins + each.passes, begins + (each.fails or 0.0))
            said.append(f"It passes too if that fault ends at {passes} s; it fails if it ends at {fails} s.")
        elif each.fails is not None and each.fails < (each.fault.held or 0.0):
            said.append(f"That fault need not hold longer than {each.fails:.2f} s.")
    if len(findings.needed) > 1 and not any(each.needed for each in findings.needed):
        said.append(f"Without any of them the {what} passes: one of them is enough.")
    if not findings.complete:
        said.append("More was not tried: see --runs.")
    return said


def _apart(one: float, other: float) -> tuple[str, str]:
    """Return two times with as many digits as tell them apart."""
    digits = next((each for each in (1, 2) if round(one, each) != round(other, each)), 3)
    return f"{one:.{digits}f}", f"{other:.{digits}f}"


def _near(band: Band, each: Needed, bands: Sequence[Band]) -> bool:
    """Return whether it is the same fault, where several have the same words."""
    alike = [other for other in bands if other.words == band.words]
    return len(alike) == 1 or abs(band.begins - each.fault.at) < 0.001
