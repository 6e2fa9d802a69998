"""A crash at every write while versions of a package come and go: one version or none is there, whole (G26)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kernel.wasm.engine import Engine
from nectar_node.packages.decisions import Decision
from tests.conformance.lab import SimLab, SimProbe
from tests.conformance.steps import TRAP, respond
from tests.nectar_node.core.test_upgrades import PROBES, install, runs, version, versions


def try_failing(lab: SimLab) -> None:
    """A version that fails in its first seconds."""
    install(lab, 2, "a", trial=True)
    lab.rest()
    SimProbe(lab, lab.our, "a").begin(TRAP)


def upgrade_and_roll_back(lab: SimLab) -> None:
    install(lab, 2, "a")
    lab.rest()
    core, package = lab.our.core, version(lab, 1, "a")
    core.install(package, None, lab.now, note=lambda: core.installed.go_back(PROBES))
    lab.our.go_on()


def uninstall(lab: SimLab) -> None:
    lab.our.core.decide(PROBES, Decision("somewhere"), lab.now)
    lab.our.core.uninstall(PROBES, lab.now)
    lab.our.go_on()


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "after"),
    [
        (try_failing, {("1.0.0",), ("1.0.0", "2.0.0")}),
        (upgrade_and_roll_back, {("1.0.0",), ("1.0.0", "2.0.0")}),
        (uninstall, {("1.0.0",), ()}),
    ],
)
def test_g26_after_a_crash_at_every_write_what_is_installed_is_what_runs(
    replayable: Engine, tmp_path: Path, change: Callable[[SimLab], None], after: set[tuple[str, ...]]
) -> None:
    seen = set[tuple[str, ...]]()
    for left in range(40):
        folder = tmp_path / str(left)
        folder.mkdir()
        lab = SimLab(replayable, folder, 1)
        install(lab, 1, "a")
        lab.rest()
        files = lab.our.disk.database_files
        before, files.left = files.done, left
        change(lab)
        lab.rest()
        needed = files.done - before
        lab.reboot(power=bool(left % 2))
        found = tuple(versions(lab.our))
        seen.add(found)
        if found:
            assert runs(lab.our) == found[-1], left
        else:
            assert (PROBES in lab.our.core.packages, list(lab.our.core.kernel.processes)) == (False, []), left
        if found == ("1.0.0",):
            assert SimProbe(lab, lab.our, "a").ask(respond("here")).body == "here"
        if needed < left:
            break
    assert seen == after
