"""A network in virtual time for one example of a test that runs many, as the fixture `sim` is for one test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testnet.model.lab import Level
from testnet.sim.programs import Programs
from testnet.testing import running
from testnet.testing.networks import open_run
from testnet.testing.package_lab import PackageLab


@contextmanager
def simulation(programs: Programs, seed: int = 0, folders: tuple[Path, ...] = ()) -> Iterator[PackageLab]:
    """Yield a network in which nothing runs yet. `programs` is the fixture `nectar_programs`, so that processes are
    compiled once. Packages are looked for in `folders`; by default where pytest was started. Raises Violation at the
    end if an invariant does not hold. When the test fails, its last example that failed leaves a journal: with
    Hypothesis that is the one that it has shrunk."""
    with open_run(Level.SIMULATION, seed, Path(), programs) as run:
        lab = PackageLab(run, folders or (Path.cwd(),), running.keeping(), running.left_out())
        with running.noted(run, lab):
            yield lab
            run.finish()
