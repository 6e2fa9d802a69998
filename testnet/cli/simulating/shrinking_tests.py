"""Shrinks the failure of a test: leaves out faults that it asks for, and lets the others hold for less time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from nectar_node.base.errors import BadInput
from nectar_node.console.progress import display
from testnet.cli.simulating.reruns import HeldFault, TestRerun
from testnet.faults.catalogue import make
from testnet.journal.journal import Header, Journal
from testnet.sweep.shrink import SHORTEST, minimal

_TIMES = ("kind", "at", "until")


@dataclass(slots=True)
class ShrunkTest:
    """The result."""

    before: Journal
    faults: tuple[HeldFault, ...]
    """Those that are left."""
    journal: Path
    """The journal of the run with these alone."""
    after: Journal | None = None
    """That journal; None: run once more, the test did not fail in the same way."""
    runs: int = 0
    complete: bool = False
    interrupted: bool = False


def shrink_test(journal: Journal, origin: str, target: Path | None, most: int, console: Console) -> ShrunkTest:
    """Return the fewest faults with which the test fails in the same way; Ctrl-C ends the search with the fewest so
    far. Raises BadInput for a test that cannot be run here."""
    rerun = TestRerun(journal, origin)
    file = target or _beside(Path(origin))
    shrunk = ShrunkTest(journal, rerun.faults, file)
    try:
        with display(console, "shrinking") as shown:
            _search(shrunk, rerun, most, lambda: shown.show(shrunk.runs, most, _progress(shrunk, most)))
    except KeyboardInterrupt:
        shrunk.interrupted = True
    if shrunk.runs == 1 and not shrunk.complete:
        return shrunk
    try:
        shrunk.after = rerun.again.run(rerun.kept(shrunk.faults), file)
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}. Name another file with -o.") from error
    return shrunk


def _search(shrunk: ShrunkTest, rerun: TestRerun, most: int, show: Callable[[], None]) -> None:
    trial = _smaller(shrunk.faults)
    faults = next(trial)
    while True:
        if shrunk.runs >= most:
            return
        failed = rerun.fails(faults)
        shrunk.runs += 1
        if shrunk.runs == 1 and not failed:
            return
        if failed:
            shrunk.faults = tuple(faults)
        show()
        try:
            faults = trial.send(failed)
        except StopIteration:
            shrunk.complete = True
            return


def _smaller(faults: Sequence[HeldFault]) -> Generator[Sequence[HeldFault], bool, None]:
    """Yield faults to try, the given ones first; is sent whether the test fails with them."""
    if not (yield faults):
        return
    faults = yield from minimal(faults)
    for number in range(len(faults)):
        changed = True
        while changed:
            changed = False
            for fault in _shorter(faults[number]):
                others = [*faults[:number], fault, *faults[number + 1 :]]
                if (yield others):
                    faults, changed = others, True
                    break


def _shorter(fault: HeldFault) -> list[HeldFault]:
    if fault.held is None or fault.held < 4 * SHORTEST:
        return []
    shorter = []
    for part in (0.5, 0.75, 0.875):
        held = round(fault.held * part, 3)
        shorter += [replace(fault, held=held), replace(fault, at=fault.at + fault.held - held, held=held)]
    return shorter


def _progress(shrunk: ShrunkTest, most: int) -> str:
    count = len(shrunk.faults)
    return f"{shrunk.runs} of at most {most} runs, {count} fault{'' if count == 1 else 's'} left"


def _beside(journal: Path) -> Path:
    return journal.with_name(f"{journal.name.removesuffix('.journal')}-shrunk.journal")


def fault_words(header: Header) -> list[str]:
    """Describe each fault in the schedule of a journal, without its times."""
    found = []
    for entry in header.schedule:
        try:
            given = {key: value for key, value in entry.items() if key not in _TIMES}
            found.append(make(str(entry.get("kind")), given).words())
        except BadInput:
            found.append(str(entry.get("kind", "fault")))
    return found
