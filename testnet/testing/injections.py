"""The faults of a test: they have numbers in the order in which the test asks for them, and a later run of the same
test can leave some of them out, or let them hold for less time. So a failure of a test shrinks without its source.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TypeAlias

from testnet.faults.schedule import Schedule, Step
from testnet.model.lab import Lab, Outcome
from testnet.model.rule import Fault

MAX_KEPT = 10_000
"""The most faults that a text names."""


@dataclass(frozen=True, slots=True)
class KeptFault:
    """A fault that a run keeps."""

    number: int
    """The first fault that a test asks for is 1."""
    late: float = 0.0
    """Seconds after its time at which it begins."""
    held: float | None = None
    """Seconds that it holds from then on, at most; None: as long as the test wants."""

    def value(self) -> list[float | int | None]:
        """Return the fault as JSON values."""
        return [self.number, self.late, self.held]


Keeping: TypeAlias = tuple[KeptFault, ...] | None
"""The faults that a run keeps; None: all of them."""


def keeping_text(keeping: Keeping) -> str:
    """Return what `parse_keeping` reads."""
    return json.dumps(None if keeping is None else [each.value() for each in keeping], separators=(",", ":"))


def parse_keeping(text: str) -> Keeping:
    """Read a JSON list of [number, late, held], as `KeptFault` has them, or null; raises ValueError, one sentence."""
    try:
        return keeping_of(json.loads(text))
    except (ValueError, RecursionError):
        raise ValueError(f"{text[:80]!r} does not say which faults to keep: give a list such as [[1,0,2.5]]") from None


def keeping_of(value: object) -> Keeping:
    """Read a value of JSON; raises ValueError."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MAX_KEPT:
        raise ValueError("expected a list of faults")
    return tuple(map(_kept, value))


def _kept(value: object) -> KeptFault:
    match value:
        case [int(number), int() | float() as late, int() | float() | None as held]:
            if number >= 1 and 0 <= late < math.inf and (held is None or 0 <= held < math.inf):
                return KeptFault(number, float(late), None if held is None else float(held))
    raise ValueError("expected a number, a delay and a duration")


def parse_left_out(text: str) -> frozenset[int]:
    """Read a JSON list of numbers of requests; raises ValueError, one sentence."""
    try:
        return left_out_of(json.loads(text))
    except (ValueError, RecursionError):
        raise ValueError(f"{text[:80]!r} does not say which requests to leave out: give a list such as [2,3]") from None


def left_out_of(value: object) -> frozenset[int]:
    """Read a value of JSON; raises ValueError."""
    if not isinstance(value, list) or len(value) > MAX_KEPT:
        raise ValueError("expected a list of requests")
    if not all(isinstance(each, int) and not isinstance(each, bool) and each >= 1 for each in value):
        raise ValueError("expected numbers of requests")
    return frozenset(value)


@dataclass(frozen=True, slots=True)
class UnsentRequest:
    """A request that is left out of a run: it is not sent, and is Offline at once, as any request may be."""

    begun: float
    """When it would have been sent."""

    @property
    def outcome(self) -> Outcome:
        """What the test is told."""
        return Outcome("offline", None, "left out")

    @property
    def ended(self) -> float:
        """When it ended: at once."""
        return self.begun


@dataclass(slots=True)
class AskedFault:
    """A fault that a test has asked for."""

    kept: KeptFault
    step: Step
    """When it held; times count from the beginning of the network. A step without an end still holds."""


class Injections:
    """All faults of one network."""

    def __init__(self, lab: Lab, keeping: Keeping = None) -> None:
        self._lab = lab
        self._keeping = None if keeping is None else {each.number: each for each in keeping}
        self._asked = 0
        self.injected: list[AskedFault] = []
        """Those that were not left out, in the order of their numbers."""
        self._holding: dict[int, tuple[AskedFault, int | None]] = {}
        """By the number that the test knows: the fault, and the lab's number of it once it holds."""

    def _next(self) -> KeptFault | None:
        self._asked += 1
        return KeptFault(self._asked) if self._keeping is None else self._keeping.get(self._asked)

    def plan(self, schedule: Schedule) -> list[Step]:
        """Return what is kept of a schedule that begins now."""
        planned: list[Step] = []
        for step in schedule:
            kept = self._next()
            if kept is None:
                continue
            at = step.at + kept.late
            until = step.until
            if kept.held is not None:
                until = at + kept.held if until is None else min(until, at + kept.held)
            if until is not None and until <= at:
                continue
            now = self._lab.now
            planned.append(replace(step, at=at, until=until))
            ends = None if until is None else now + until
            self.injected.append(AskedFault(kept, Step(now + at, ends, step.fault)))
        return planned

    def over(self, since: int) -> None:
        """All faults from number `since` of `injected` on have ended by now."""
        now = self._lab.now
        for each in self.injected[since:]:
            if each.step.until is None or each.step.until > now:
                each.step = replace(each.step, until=max(now, each.step.at))

    def begin(self, fault: Fault) -> int:
        """Let a fault begin, and return its number for `end`."""
        kept = self._next()
        if kept is None:
            return -self._asked
        injected = AskedFault(kept, Step(self._lab.now + kept.late, None, fault))
        if not kept.late and kept.held is None:
            number = self._lab.inject(fault)
            self._holding[number] = injected, number
        else:
            number = -self._asked
            self._holding[number] = injected, None
            if kept.late:
                self._lab.at(kept.late, lambda: self._begin(number))
            else:
                self._begin(number)
        self.injected.append(injected)
        return number

    def _begin(self, number: int) -> None:
        if number in self._holding:
            injected, _ = self._holding[number]
            self._holding[number] = injected, self._lab.inject(injected.step.fault)
            if injected.kept.held is not None:
                self._lab.at(injected.kept.held, lambda: self.end(number))

    def end(self, number: int) -> None:
        """Let a fault end. One that was left out, or has ended by itself, is none."""
        injected, there = self._holding.pop(number, (None, number if number > 0 else None))
        if injected is not None:
            injected.step = replace(injected.step, until=max(self._lab.now, injected.step.at))
        if there is not None:
            self._lab.withdraw(there)
