"""Shrinks a plan that failed, before the eyes of whoever waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from nectar_node.console.progress import display
from testnet.runs.journal_files import journal_file, unless_empty
from testnet.sweep.shrink import Shrinking, shrink
from testnet.sweep.verdict import Verdict
from testnet.sweep.workers import Workers


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be shrunk."""

    failure: Verdict
    least_nodes: int
    max_runs: int
    output: Path | None = None
    """For the journal of what is left; None: a file of our choice."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What came of it."""

    failure: Verdict
    """The one that was shrunk."""
    again: Verdict
    """The same plan, run once more before anything else."""
    journal: Path
    """Of that run."""
    smallest: Verdict | None = None
    """None: it did not fail in the same way when it was run again."""
    smallest_journal: Path | None = None
    runs: int = 0
    complete: bool = False
    """Whether nothing more can be left out."""
    interrupted: bool = False
    """By Ctrl-C; what had been found by then was kept."""


def shrink_plan(workers: Workers, task: Task, console: Console) -> Shrunk:
    """The smallest plan that fails like that of `task`; Ctrl-C ends it with the smallest so far."""
    failure = task.failure
    journal = journal_file(failure.plan)
    shrunk_journal = journal_file(failure.plan, task.output, "-shrunk")
    with unless_empty(journal, shrunk_journal):
        return _shrink_into(workers, task, console, (journal, shrunk_journal))


def _shrink_into(workers: Workers, task: Task, console: Console, files: tuple[Path, Path]) -> Shrunk:
    failure, (journal, shrunk_journal) = task.failure, files
    again = workers.play(failure.plan, journal)
    if again.kind != failure.kind:
        return Shrunk(failure, again, journal)
    shrinking = Shrinking(failure.plan)
    interrupted = False
    try:
        with display(console, "shrinking") as shown:
            shrink(
                shrinking,
                task.least_nodes,
                lambda plan: workers.play(plan).kind == failure.kind,
                task.max_runs,
                lambda: shown.show(*progress(shrinking, task.max_runs)),
            )
    except KeyboardInterrupt:
        interrupted = True
    with Workers(1) as one:  # those given may be in the midst of something
        smallest = one.play(shrinking.best, shrunk_journal)
    return Shrunk(failure, again, journal, smallest, shrunk_journal, shrinking.runs, shrinking.complete, interrupted)


def progress(shrinking: Shrinking, max_runs: int) -> tuple[int, int, str]:
    """For a display: done, in all, in words."""
    faults = len(shrinking.best.schedule)
    left = f"{faults} fault{'' if faults == 1 else 's'} left"
    return shrinking.runs, max_runs, f"{shrinking.runs} of at most {max_runs} runs, {left}"
