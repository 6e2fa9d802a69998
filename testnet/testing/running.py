"""The test that runs now, for networks that it opens without a fixture (`testnet.testing.simulation`)."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from testnet.model.lab import Level
from testnet.testing.evidence import Evidence, part_of
from testnet.testing.examples import is_of_hypothesis, running_example
from testnet.testing.injections import Keeping
from testnet.testing.networks import LabRun
from testnet.testing.origin import TestOrigin
from testnet.testing.package_lab import PackageLab


@dataclass(frozen=True, slots=True)
class Last:
    """The last example that is to be written down; its network has ended."""

    evidence: Evidence
    error: BaseException | None
    """With which it failed."""

    def write(self) -> str:
        """Write its journal, and return the section of the report."""
        self.evidence.conclude(self.error)
        self.evidence.write()
        return self.evidence.section(self.error)


@dataclass(slots=True)
class RunningTest:
    """A test, from its call to its end."""

    origin: TestOrigin
    journal: Callable[[str], Path]
    """Makes a file for the journal whose name ends like that."""
    always: bool
    """Whether journals of examples that pass are kept as well."""
    last: Last | None = None


_running: list[RunningTest] = []


@contextmanager
def test_runs(running: RunningTest) -> Iterator[None]:
    """Make it the test that runs now."""
    _running.append(running)
    try:
        yield
    finally:
        _running.remove(running)


test_runs.__test__ = False  # type: ignore[attr-defined]  # pytest takes functions of this name for tests


def keeping() -> Keeping:
    """Return which faults the present test is to keep."""
    return _running[-1].origin.keeping if _running else None


def left_out() -> frozenset[int]:
    """Return the requests that are left out of the test that runs now."""
    return _running[-1].origin.left_out if _running else frozenset()


@contextmanager
def noted(run: LabRun, lab: PackageLab) -> Iterator[None]:
    """Write the journal of a network if this ends with an error that is the test's."""
    __tracebackhide__ = True
    if not _running:
        yield
        return
    running = _running[-1]
    try:
        yield
    except BaseException as error:
        if not is_of_hypothesis(error) and isinstance(error, Exception):
            _keep(running, run, lab, error)
        raise
    if running.always:
        _keep(running, run, lab, None)


def _keep(running: RunningTest, run: LabRun, lab: PackageLab, error: BaseException | None) -> None:
    """Keep it until the test is over: what is done here, Hypothesis counts as done by the test."""
    journal = running.journal(part_of(Level.SIMULATION, of_an_example=True))
    example, origin = running_example() or "", running.origin
    if example and "--nectar-example" not in origin.repeat:
        origin = replace(origin, repeat=f"{origin.repeat} --nectar-example {shlex.quote(example)}")
    evidence = Evidence(origin, journal, lab.seed, Level.SIMULATION, run, lab, example=example)
    running.last = Last(evidence, error)
