"""Shrinks the failure of a test: leaves out faults and requests that it asks for, and lets the other faults hold for
less time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from nectar_node.base.errors import BadInput
from nectar_node.console.progress import display
from testnet.cli.simulating.reruns import HeldFault, TestRerun
from testnet.faults.catalogue import make
from testnet.journal.journal import Header, Journal
from testnet.sweep.shrink import SHORTEST, minimal

MAX_REQUESTS = 1_000
"""The first requests of a test, of which each may be left out."""
_TIMES = ("kind", "at", "until", "event")

T = TypeVar("T")


class _Enough(Exception):
    """As many runs were made as were allowed."""


@dataclass(slots=True)
class ShrunkTest:
    """The result."""

    before: Journal
    faults: tuple[HeldFault, ...]
    """Those that are left."""
    requests: tuple[int, ...]
    """The numbers of the requests that are left."""
    asked: tuple[int, ...]
    """The numbers of those that there were."""
    journal: Path
    """The journal of the run with these alone."""
    again: bool = False
    """Whether it has failed in the same way when it was run once more."""
    after: Journal | None = None
    """That journal; None: run once more, the test did not fail in the same way."""
    runs: int = 0
    complete: bool = False
    interrupted: bool = False


def shrink_test(journal: Journal, origin: str, target: Path | None, most: int, console: Console) -> ShrunkTest:
    """Return the fewest faults and requests with which the test fails in the same way; Ctrl-C ends the search with the
    fewest so far. Raises BadInput for a test that cannot be run here."""
    rerun = TestRerun(journal, origin)
    file = target or _beside(Path(origin))
    asked = min(rerun.again.header.requests, MAX_REQUESTS)
    there = tuple(number for number in range(1, asked + 1) if number not in rerun.again.left_out)
    shrunk = ShrunkTest(journal, rerun.faults, there, there, file)
    try:
        with display(console, "shrinking") as shown:
            _search(shrunk, rerun, most, lambda: shown.show(shrunk.runs, most, _progress(shrunk, most)))
    except KeyboardInterrupt:
        shrunk.interrupted = True
    if not shrunk.again:
        return shrunk
    try:
        shrunk.after = rerun.again.run(rerun.kept(shrunk.faults), file, _without(shrunk, rerun))
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}. Name another file with -o.") from error
    return shrunk


def _search(shrunk: ShrunkTest, rerun: TestRerun, most: int, show: Callable[[], None]) -> None:
    def fails(faults: Sequence[HeldFault], requests: Sequence[int]) -> bool:
        if shrunk.runs >= most:
            raise _Enough
        failed = rerun.fails(faults, _without(shrunk, rerun, requests))
        shrunk.runs += 1
        if failed:
            shrunk.faults, shrunk.requests = tuple(faults), tuple(requests)
        show()
        return failed

    try:
        shrunk.again = fails(shrunk.faults, shrunk.requests)
        if shrunk.again:
            _settle(_smaller(shrunk.faults), lambda faults: fails(faults, shrunk.requests))
            _settle(minimal(shrunk.requests), lambda requests: fails(shrunk.faults, requests))
            shrunk.complete = True
    except _Enough:
        return


def _settle(trial: Generator[Sequence[T], bool, Any], fails: Callable[[Sequence[T]], bool]) -> None:
    with suppress(StopIteration):
        tried = next(trial)
        while True:
            tried = trial.send(fails(tried))


def _without(shrunk: ShrunkTest, rerun: TestRerun, requests: Sequence[int] | None = None) -> frozenset[int]:
    """Return the requests that are left out if these are left; None: those that are left by now."""
    left = shrunk.requests if requests is None else requests
    return rerun.again.left_out | (frozenset(shrunk.asked) - frozenset(left))


def _smaller(faults: Sequence[HeldFault]) -> Generator[Sequence[HeldFault], bool, None]:
    """Yield faults to try; is sent whether the test fails with them."""
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
