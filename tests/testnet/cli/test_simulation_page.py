"""docs/simulation.md says what is so: its commands run, with the schedule and the scenario that it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from nectar_node.cli.main import main
from testnet.runs.plans import expand, with_faults
from testnet.scenarios import SCENARIOS

PAGE = (Path(__file__).resolve().parents[3] / "docs/simulation.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_its_commands_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (scenario,) = blocks("python")
    (tmp_path / "greetings.py").write_text(scenario)
    commands = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]
    assert len(commands) == 9
    for command in commands:
        # A sweep of one seed shows that its words are right; how many hold is shown by `tests/testnet/scenarios`.
        program, *words = shlex.split(re.sub(r"--(seeds|budget) \d+", r"--\1 1", command))
        assert program == "nectar"
        if words[1] in ("sweep", "exhaust") and "--jobs" not in words:
            words += ["--jobs", "1"]  # processes that have nothing to do take half a second each
        assert main(words) == 0, command
    assert (tmp_path / "four.html").is_file()


def test_its_schedule_is_one(tmp_path: Path) -> None:
    (schedule,) = blocks("toml")
    (tmp_path / "faults.toml").write_text(schedule)
    scenario = SCENARIOS["file_transfer"]
    assert with_faults(scenario, expand(scenario, 4), tmp_path / "faults.toml").schedule
