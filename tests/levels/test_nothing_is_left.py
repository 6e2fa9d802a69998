"""Whatever becomes of a run with real nodes: no process, no namespace and no folder of it is left."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from testnet.faults.crash import Crash
from testnet.faults.impostor import Impostor
from testnet.faults.partition import Partition
from testnet.faults.pause import Pause
from testnet.model.invariants import Violation
from testnet.model.lab import Lab, Level, NodePlan
from testnet.model.where import Where
from testnet.real.run import run_real
from testnet.runs.result import BROKEN, INTERRUPTED, VIOLATED
from testnet.scenarios.scenario import Plan, Scenario
from tests.levels.labs import REAL
from tests.levels.playing import unavailable

A, B, C = NODES = ("a.nec", "b.nec", "c.nec")


@dataclass(frozen=True)
class Fails:
    """A story that ends in the midst of faults, where there are nodes enough for some."""

    lab: Lab
    plan: Plan
    end: Callable[[], object]

    def work(self) -> None:
        """A cable is pulled, a node is paused, another one is starting, an impostor too."""
        if self.plan.nodes == NODES:
            for fault in (Partition(Where(A)), Pause(B), Impostor(C)):
                self.lab.inject(fault)
            self.lab.withdraw(self.lab.inject(Crash(C)))
            self.lab.begin(A, f"{B}@hello:hello:sys", {"Greet": "x"}, 60)
        self.end()

    def check(self) -> None:
        """It does not come to this."""
        raise AssertionError


FAILS = Scenario(
    name="fails",
    about="it fails",
    nodes=NODES,
    topology=lambda names: tuple(map(NodePlan, names)),
    options=lambda names, chance: {},
    begin=lambda lab, plan: Fails(lab, plan, raise_violation),
)


PLAN, ALONE = (Plan("fails", 1, nodes, {}) for nodes in (NODES, (A,)))


def raise_violation() -> None:
    raise Violation("it does not hold")


def failing(error: BaseException) -> Scenario:
    """One that raises it."""

    def end() -> None:
        raise error

    return replace(FAILS, begin=lambda lab, plan: Fails(lab, plan, end))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where everything is that a run makes in the file system."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left(folder: Path) -> list[str]:
    """Files, processes and namespaces of runs of this process."""
    found = [str(each) for each in folder.iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:  # it ends just now
            continue
        if os.fsencode(folder) in command:
            found.append(f"process {process.name}: {command!r}")
    if unavailable(Level.NAMESPACES) is None:
        listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
        found += [line for line in listed.splitlines() if line.startswith(f"nectar-{os.getpid()}-")]
    return found


@pytest.mark.parametrize("level", REAL)
def test_of_a_scenario_that_fails_in_the_midst_of_faults(level: Level, folder: Path) -> None:
    if (why := unavailable(level)) is not None:
        pytest.skip(why)
    seen: list[str] = []

    def look_and_fail() -> None:
        seen.extend(left(folder))
        raise_violation()

    result = run_real(PLAN, replace(FAILS, begin=lambda lab, plan: Fails(lab, plan, look_and_fail)), level)
    assert (result.result, result.text) == (VIOLATED, "it does not hold")
    assert len(seen) > len(NODES), "what is looked for is found while it is there"
    assert left(folder) == []
    assert any("a.nec log net: connected to registrar.nec" in line for line in result.journal)


@pytest.mark.parametrize(
    ("error", "ended", "text"),
    [
        (KeyboardInterrupt(), INTERRUPTED, ""),
        (ZeroDivisionError("a mistake"), BROKEN, "ZeroDivisionError in test_nothing_is_left.py, line "),
    ],
)
def test_of_a_scenario_that_is_interrupted_or_has_a_mistake(
    error: BaseException, ended: str, text: str, folder: Path
) -> None:
    result = run_real(ALONE, failing(error), Level.LOOPBACK)
    assert (result.result, result.text[: len(text)]) == (ended, text)
    assert left(folder) == []
    assert any(f" {A} boots" in line for line in result.journal), "what happened until then is told"


def test_of_nodes_that_do_not_start(folder: Path) -> None:
    broken = folder / "broken"
    broken.mkdir()
    scenario = replace(FAILS, topology=lambda names: tuple(NodePlan(name, (broken,)) for name in names))
    result = run_real(PLAN, scenario, Level.LOOPBACK)
    assert result.result == BROKEN
    assert "broken" in result.text
    broken.rmdir()
    assert left(folder) == []
