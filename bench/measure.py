"""Figures, and how they are measured: alternating with their reference, at least five times."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RUNS = 5
_PROCESS_CLOCK = 2
"""The scheduler's clock of all threads of a process (CPUCLOCK_SCHED of Linux; clock_getcpuclockid(3))."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference of a figure."""

    name: str
    median: float
    unit: str

    @classmethod
    def of(cls, name: str, values: Sequence[float], unit: str, digits: int = 3) -> Reference:
        """Return the reference that these values make."""
        return cls(name, round(statistics.median(values), digits), unit)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result."""

    name: str
    median: float
    min: float
    max: float
    unit: str
    reference: Reference | None
    goal: str
    met: bool
    detail: dict[str, float | str] = field(default_factory=dict)
    """The absolute values behind a ratio, for people."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A figure that cannot be taken on this machine."""

    name: str
    why: str


Result = Figure | Skipped


def in_turns(*subjects: Callable[[], float], runs: int = RUNS) -> list[list[float]]:
    """Return each subject's values: A B A B …, after one turn that is not counted."""
    for subject in subjects:
        subject()
    values: list[list[float]] = [[] for _ in subjects]
    for _ in range(runs):
        for subject, taken in zip(subjects, values, strict=True):
            taken.append(subject())
    return values


def ratio(
    name: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    reference: tuple[str, str],
    goal: float,
    *,
    at_most: bool = False,
) -> Figure:
    """Return our values against those of a reference, given as (name, unit), pair by pair; `goal` is the least good
    ratio."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    median = statistics.median(ratios)
    label, unit = reference
    return Figure(
        name,
        round(median, 3),
        round(min(ratios), 3),
        round(max(ratios), 3),
        "times the reference",
        Reference.of(label, theirs, unit),
        f"at most {goal:g}" if at_most else f"at least {goal:g}",
        median <= goal if at_most else median >= goal,
        {f"ours, {unit}": round(statistics.median(ours), 3)},
    )


def absolute(
    name: str,
    values: Sequence[float],
    unit: str,
    goal: float,
    reference: Reference | None = None,
    *,
    at_least: bool = False,
) -> Figure:
    """Return the figure of values that are to stay below `goal`, or above it, in their own unit."""
    median = statistics.median(values)
    bounds = (round(min(values), 3), round(max(values), 3))
    side, met = ("least", median >= goal) if at_least else ("most", median <= goal)
    return Figure(name, round(median, 3), *bounds, unit, reference, f"at {side} {goal:g} {unit}", met)


def p99(seconds: Sequence[float]) -> float:
    """Return the 99th percentile, in milliseconds."""
    return 1e3 * statistics.quantiles(seconds, n=100)[98]


def processor_seconds(pid: int) -> float:
    """Return the processor time that all threads of a process have had."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def processor_time(pid: int) -> float:
    """Return the seconds of processor time that a process has had, with those of threads that have ended."""
    return time.clock_gettime(~pid << 3 | _PROCESS_CLOCK)


def resident_kib(pid: int | None = None) -> int:
    """Return the resident memory of a process in KiB; None: of this one."""
    return _status_kib(pid, "VmRSS")


def peak_kib(pid: int) -> int:
    """Return the most resident memory that a process has ever had, in KiB."""
    return _status_kib(pid, "VmHWM")


def _status_kib(pid: int | None, field: str) -> int:
    for line in Path(f"/proc/{'self' if pid is None else pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise AssertionError(f"no {field} in /proc")


def show(result: Result) -> None:
    """Print a figure for people."""
    if isinstance(result, Skipped):
        print(f"{result.name:<26} skipped: {result.why}")
        return
    print(f"{result.name:<26} {_values(result)}  goal: {result.goal}{'' if result.met else '  MISSED'}")
    for label, value in result.detail.items():
        print(f"{'':<26}   {label}: {value}")
    if result.reference is not None:
        print(f"{'':<26}   {result.reference.name}, {result.reference.unit}: {result.reference.median}")
    sys.stdout.flush()


def _values(figure: Figure) -> str:
    return f"{figure.median} {figure.unit} (min {figure.min}, max {figure.max})"
