"""G27: what processes have saved, after a crash of their node at each write of a run, and on a disk that fails or is
full.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import apsw
import pytest

from kernel.wasm.engine import Engine
from nectar_node.system.state_queues import StateQueues
from tests.conformance.lab import OUR, SimLab, SimProbe
from tests.conformance.steps import respond, set_state
from tests.seeds import seeds

PARTS = 3
"""The default run takes every third write and sync, `make soak` all of them."""
ROUNDS = 2
NAMES = ("a", "b", "c")
LONG = "x" * 5000
"""What makes a state two pages long."""


def state(name: str, number: int) -> str:
    """The state that a process saves at its `number`th time; 0 at the beginning."""
    return f"{name}{number}" + LONG * (number % 2)


class Run:
    """A node whose three processes save their states in turn."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        folder.mkdir()
        self.lab = SimLab(engine, folder, 1)
        self.probes = [self.lab.probe(name) for name in NAMES]
        for probe, name in zip(self.probes, NAMES, strict=True):
            probe.begin(set_state(state(name, 0)))
        self.lab.rest()
        self.files = self.lab.our.disk.database_files

    def play(self) -> None:
        """Let them save all their states."""
        for number in range(1, ROUNDS + 1):
            for probe, name in zip(self.probes, NAMES, strict=True):
                if probe.running:
                    probe.begin(set_state(state(name, number)))
                    self.lab.crank(20)
            self.lab.rest(2)

    def acknowledged(self, probe: SimProbe) -> int:
        """How many of these states a process knows to be durable."""
        return len(probe.seen("saved")) - 1


@pytest.fixture
def make(engine: Engine, tmp_path: Path) -> Callable[[str], Run]:
    return lambda name: Run(engine, tmp_path / name)


def writes(run: Run) -> int:
    """How many writes and syncs of the store the run takes."""
    before = run.files.done
    run.play()
    assert [run.acknowledged(probe) for probe in run.probes] == [ROUNDS] * len(NAMES)
    return run.files.done - before


@pytest.mark.parametrize("part", seeds(1, PARTS))
def test_g27_after_a_crash_at_every_write_no_state_is_older_than_acknowledged_and_none_is_torn(
    make: Callable[[str], Run], part: int
) -> None:
    count = writes(make("whole"))
    assert count > 12
    for power in (False, True):
        for left in range((part + power) % PARTS, count, PARTS):
            run = make(f"{left} {power}")
            run.files.left = left
            run.play()
            known = [run.acknowledged(probe) for probe in run.probes]
            (run.lab.simulation.cut_power if power else run.lab.simulation.crash)(OUR)
            run.lab.simulation.start(OUR)
            for probe, name, least in zip(run.probes, NAMES, known, strict=True):
                found = (probe.kept_state() or b"").decode()
                # One more may be there: what was in the commit that the crash has cut short.
                assert found in (state(name, least), state(name, least + 1)), (left, power)


@pytest.mark.parametrize("part", seeds(1, PARTS))
def test_g27_a_write_that_fails_is_an_error_of_those_who_saved_and_of_nobody_else(
    make: Callable[[str], Run], part: int
) -> None:
    count = writes(make("whole"))
    for broken, error in [*product(range(1, count + 1), (apsw.IOError, apsw.FullError))][part::PARTS]:
        run = make(f"{broken} {error.__name__}")
        at = run.files.done + broken
        run.files.fails = lambda number, at=at, error=error: error if number == at else None  # type: ignore[misc]
        run.play()
        told = [any("its state cannot be used" in line for line in probe.lines()) for probe in run.probes]
        for probe, name, failed in zip(run.probes, NAMES, told, strict=True):
            done = run.acknowledged(probe)
            assert probe.kept_state() == state(name, done).encode(), broken
            assert (done < ROUNDS) == failed == (not probe.running), broken
        again = run.lab.probe("again")
        again.tell(set_state("works"))
        run.lab.reboot(power=True)
        assert again.kept_state() == b"works", broken
        for probe, name in zip(run.probes, NAMES, strict=True):
            assert probe.kept_state() == state(name, run.acknowledged(probe)).encode(), broken


def test_code_of_ours_that_fails_whenever_states_are_written_keeps_no_other_process_waiting(
    lab: SimLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = lab.probe("a"), lab.probe("b")
    lab.simulation.contained = []

    def fail(_: StateQueues) -> None:
        raise ValueError("a bug of ours")

    with monkeypatch.context() as broken:
        broken.setattr(StateQueues, "take", fail)
        a.begin(set_state("kept"))
        lab.rest()
        assert b.ask(respond("well")).body == "well"
        assert a.seen("saved") == []
    b.ask(respond("again"))
    assert (len(a.seen("saved")), a.kept_state()) == (1, b"kept")
