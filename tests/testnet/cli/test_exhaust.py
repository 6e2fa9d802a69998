"""What `nectar sim exhaust` says: with real runs, of scenarios that fail when one node is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nectar_node.base.errors import BadInput
from nectar_node.cli.main import main
from testnet.cli.simulating import exhausting
from testnet.cli.simulating.exhausting import ExhaustBudget, progress, read_budget
from testnet.journal.journal import read_journal_untrusted
from testnet.sweep.exhaust import ExhaustTally
from testnet.sweep.sweep import SweepTally
from testnet.sweep.verdict import RunVerdict
from tests.testnet.cli.test_sim import FAILING
from tests.testnet.sim.own import HERE

FAILS = f"{HERE}:FAILS"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def exhaust(*words: str) -> int:
    return main(["sim", "exhaust", *words])


def test_each_kind_of_failure_has_a_journal_that_replays_and_the_rest_is_counted(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert exhaust(FAILS, "--fault", "crash", "--seed", FAILING, "--budget", "12", "--jobs", "1") == 1
    lines = capsys.readouterr().out.splitlines()
    (journal,) = [line.split()[1] for line in lines if line.startswith("journal ")]
    assert f"replay      nectar sim replay {journal}" in lines
    assert f"shrink      nectar sim shrink {journal}" in lines
    assert f"explain     nectar sim explain {journal}" in lines
    (step,) = read_journal_untrusted(folder / journal).header.schedule
    assert step["event"].endswith(f" of {step['node']}")
    assert any(line.startswith("crash\tb.nec\t") for line in lines)
    assert lines[-1].startswith("Without any") or " 12 of these were played" in lines[-1]
    assert main(["sim", "replay", journal]) == 0


def test_ctrl_c_prints_what_was_played(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    add, seen = ExhaustTally.add, list[RunVerdict]()

    def pressed(tally: ExhaustTally, verdict: RunVerdict) -> None:
        add(tally, verdict)
        seen.append(verdict)
        if len(seen) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(ExhaustTally, "add", pressed)
    assert exhaust(FAILS, "--fault", "crash", "--seed", FAILING, "--jobs", "1", "--json") == 130
    told = json.loads(capsys.readouterr().out)
    assert told["interrupted"]
    assert sum(each["played"] for each in told["covered"]) == 2


def test_a_mistyped_fault_or_budget_is_told_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert exhaust("store", "--fault", "crahs") == 2
    assert "did you mean crash?" in capsys.readouterr().err.replace("\n", " ")
    assert exhaust("store", "--fault", "crash", "--budget", "ten") == 2
    assert "--budget ten: say a number of runs" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        (None, ExhaustBudget()),
        ("500", ExhaustBudget(runs=500)),
        ("90s", ExhaustBudget(seconds=90)),
        ("10m", ExhaustBudget(seconds=600)),
    ],
)
def test_a_budget_is_a_number_of_runs_or_a_time(text: str | None, budget: ExhaustBudget) -> None:
    assert read_budget(text) == budget


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5m", "10x", "m", "9" * 30])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_budget(text)


def test_the_progress_says_how_much_is_left() -> None:
    tally = ExhaustTally(100)
    SweepTally.add(tally, RunVerdict("", 0, 0.0, "passed", "", plan=None))  # type: ignore[arg-type]  # it is not read
    assert progress(tally, 2.0) == (1, 100, "1 of 100 runs, 0 failed, 0.5/s, 3:18 left")
    assert exhausting.PAIRS == 1000
