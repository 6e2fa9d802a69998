"""Shrinks a plan that failed, and shows the progress."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from nectar_node.console.progress import display
from testnet.cli.simulating.reruns import Player
from testnet.runs.journal_files import journal_file, unless_empty
from testnet.sweep.players import Players
from testnet.sweep.shrink import Shrinking, shrink
from testnet.sweep.verdict import RunVerdict, of_own_python
from testnet.sweep.workers import Workers


@dataclass(frozen=True, slots=True)
class Task:
    """The plan to shrink, and how."""

    failure: RunVerdict
    least_nodes: int
    max_runs: int
    output: Path | None = None
    """The file for the journal of the smallest plan; None: we choose one."""
    ending: str = ""
    """What tells the names of its journals from those of other plans with the same seed."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The result of shrinking."""

    failure: RunVerdict
    """The failure that was shrunk."""
    again: RunVerdict
    """The verdict of the same plan, run once more before anything else."""
    journal: Path
    """The journal of the smallest plan's run."""
    smallest: RunVerdict | None = None
    """The smallest plan; None: the plan did not fail in the same way when it was run again, or by a mistake in
    the scenario's own Python, of which there is nothing to shrink."""
    smallest_journal: Path | None = None
    runs: int = 0
    complete: bool = False
    """Whether nothing more can be left out."""
    interrupted: bool = False
    """Whether Ctrl-C ended the search; what had been found by then was kept."""


def shrink_plan(players: Players | Player, task: Task, console: Console, here: Player | None = None) -> Shrunk:
    """Return the smallest plan that fails like that of `task`; Ctrl-C ends the search with the smallest so far.

    The first and the last run have a journal, and are played by `here`; None: in a process of this machine, since those
    of `players` may be busy, or far away.
    """
    failure = task.failure
    journal = journal_file(failure.plan, ending=task.ending)
    shrunk_journal = journal_file(failure.plan, task.output, f"{task.ending}-shrunk")
    with unless_empty(journal, shrunk_journal), ExitStack() as stack:
        writer = here or stack.enter_context(Workers(1))
        return _shrink_into(players, writer, task, console, (journal, shrunk_journal))


def _shrink_into(
    players: Players | Player, here: Player, task: Task, console: Console, files: tuple[Path, Path]
) -> Shrunk:
    failure, (journal, shrunk_journal) = task.failure, files
    again = here.play(failure.plan, journal)
    if again.kind != failure.kind:
        return Shrunk(failure, again, journal)
    if of_own_python(failure, failure.plan.scenario):
        return Shrunk(failure, again, journal, complete=True)
    shrinking = Shrinking(failure.plan)
    interrupted = False
    try:
        with display(console, "shrinking") as shown:
            shrink(
                shrinking,
                task.least_nodes,
                lambda plan: players.play(plan).kind == failure.kind,
                task.max_runs,
                lambda: shown.show(*progress(shrinking, task.max_runs)),
            )
    except KeyboardInterrupt:
        interrupted = True
    smallest = here.play(shrinking.best, shrunk_journal)
    return Shrunk(failure, again, journal, smallest, shrunk_journal, shrinking.runs, shrinking.complete, interrupted)


def progress(shrinking: Shrinking, max_runs: int) -> tuple[int, int, str]:
    """Return the progress for a display: done, in all, in words."""
    faults = len(shrinking.best.schedule)
    left = f"{faults} fault{'' if faults == 1 else 's'} left"
    return shrinking.runs, max_runs, f"{shrinking.runs} of at most {max_runs} runs, {left}"
