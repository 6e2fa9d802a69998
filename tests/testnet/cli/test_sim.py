"""What `nectar sim` says, with real runs: of scenarios that pass, and of those in `own` that do not."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from nectar_node.cli.main import main
from nectar_node.console import output
from testnet.cli.simulating.shrinking import Task, shrink_plan
from testnet.cli.simulating.sim_text import print_plan
from testnet.cli.simulating.sweeping import progress
from testnet.faults import FAULTS
from testnet.journal.journal import read_journal_untrusted
from testnet.runs.plans import expand, find_scenario
from testnet.runs.result import INTERRUPTED, PASSED, Result
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from testnet.sim.run import run
from testnet.sweep.sweep import SweepTally
from testnet.sweep.verdict import RunVerdict
from testnet.sweep.workers import Workers
from tests.nectar_node.cli.terminal import read_until
from tests.testnet.sim.own import FAILS, HERE, fails
from tests.waiting import until


def _failing() -> Iterator[str]:
    for seed in count():
        plan = expand(FAILS, seed)
        if fails(plan) and len(plan.schedule) > 1 and len(plan.options["numbers"]) > 1:
            yield str(seed)


FAILING = next(_failing())
"""A seed with which FAILS does, for one of several faults and numbers."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Journals go below the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sim(*words: str) -> int:
    return main(["sim", *words])


def own(name: str) -> str:
    return f"{HERE}:{name}"


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


# --- list -----------------------------------------------------------------------------------------------------------


def test_the_list_has_each_scenario_and_each_fault_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert sim("list") == 0
    text = capsys.readouterr().out
    assert all(f"{each.name}\t" in text and each.about in text for each in SCENARIOS.values())
    assert all(f"{kind}\t" in text for kind in FAULTS)
    assert sim("list", "--json") == 0
    listed = answer(capsys)
    assert [each["name"] for each in listed["scenarios"]] == list(SCENARIOS)
    assert [each["kind"] for each in listed["faults"]] == list(FAULTS)


def test_the_commands_load_no_wasmtime() -> None:
    code = "import sys, testnet.cli.sim; print([name for name in ('wasmtime', 'trio') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


# --- run ------------------------------------------------------------------------------------------------------------


def test_a_run_prints_its_plan_and_its_result_and_writes_its_journal(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    faults = folder / "faults.toml"
    faults.write_text('[[fault]]\nkind = "crash"\nnode = "recv.nec"\nat = 3\nuntil = 4.5\n')
    assert sim("run", "file_transfer", "--nodes", "3", "--seed", "7", "--faults", str(faults)) == 0
    lines = capsys.readouterr().out.splitlines()
    journal = read_journal_untrusted(folder / ".nectar/sim/file_transfer-3-nodes-seed-7.journal")
    assert "seed        7" in lines
    assert "nodes       send.nec, recv.nec, node3.nec" in lines
    assert "faults      t=3 s: kill recv.nec until t=4.5 s" in lines
    assert "result      passed" in lines
    assert f"hash        {journal.end.digest}" in lines
    assert f"events      {journal.end.events:,}" in lines
    assert "journal     .nectar/sim/file_transfer-3-nodes-seed-7.journal" in lines
    assert sum(json.dumps(file) in " ".join(lines) for file in journal.header.options["files"]) > 0


def test_of_a_long_list_the_beginning_is_printed_and_how_much_more_there_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = expand(SCENARIOS["chat"], 7, 22)
    print_plan(plan, "a chat")
    lines = capsys.readouterr().out.splitlines()
    said = plan.options["lines"]
    begins = next(number for number, line in enumerate(lines) if line.startswith("lines "))
    printed = [line[12:] for line in lines[begins : begins + 11]]
    more = f"and {len(said) - 10} more, which are in the journal"
    assert printed == [*(json.dumps(each) for each in said[:10]), more]
    assert any(line.startswith("nodes ") and line.endswith("node20.nec and 2 more") for line in lines)


def test_a_run_that_fails_has_exit_code_1_and_says_what_was_violated(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """Without a seed a random one is printed, which gives the same run."""
    assert sim("run", own("BREAKS"), "-o", "x.journal", "--json") == 1
    result = answer(capsys)
    assert (result["result"], result["journal"]) == ("broken", "x.journal")
    assert result["text"].startswith("KeyError in own.py, line ")
    assert read_journal_untrusted(folder / "x.journal").end.text == result["text"]
    scenario = find_scenario(own("BREAKS"))
    assert run(expand(scenario, result["plan"]["seed"]), Programs(), scenario).digest == result["hash"]


def test_a_mistake_in_the_scenarios_own_python_is_told_as_such_by_every_command_and_not_shrunk(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """No command is offered that would refuse the journal."""
    for words in (("run", own("BREAKS"), "--seed", "3"), ("sweep", own("BREAKS"), "--first", "3", "--seeds", "1")):
        assert sim(*words) == 1
        shown = capsys.readouterr().out
        assert "\nmend        This is an error of the scenario's own Python: there is nothing to shrink" in shown
        assert "nectar sim explain" not in shown
        assert "nectar sim shrink" not in shown
    replayed = next(line.split()[4] for line in shown.splitlines() if line.startswith("replay "))
    assert sim("replay", replayed) == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "file_transfre"], "did you mean file_transfer?"),
        (["run", "file_transfer", "--seed", "many"], "Invalid value for '--seed'"),
        (["run", "file_transfer", "--seed", "-1"], "Invalid value for '--seed'"),
        (["run", "file_transfer", "--seed", str(1 << 63)], "Invalid value for '--seed'"),
        (["run", "file_transfer", "--nodes", "1"], "file_transfer runs with 2 to 200 nodes, and not with 1."),
        (["run", "file_transfer", "--faults", "none.toml"], "none.toml cannot be read: No such file or directory."),
        (
            ["run", "file_transfer", "-o", "none/x"],
            "none/x cannot be written: No such file or directory. Name another file with -o.",
        ),
        (["sweep", "file_transfer", "--seeds", "0"], "Invalid value for '--seeds'"),
        (["sweep", "file_transfer", "--seeds", "9" * 20], "Invalid value for '--seeds'"),
        (["sweep", "file_transfer", "--first", "9" * 20], "Invalid value for '--first'"),
        (["sweep", "file_transfer", "--nodes", "300"], "and not with 300."),
        (["replay", "none.journal"], "none.journal cannot be read: No such file or directory."),
        (["shrink", "none.journal"], "none.journal cannot be read: No such file or directory."),
        (["report", "none.journal", "-o", "x.html"], "none.journal cannot be read: No such file or directory."),
    ],
)
def test_what_is_mistyped_is_one_sentence(capsys: pytest.CaptureFixture[str], words: list[str], sentence: str) -> None:
    assert sim(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line


def test_ctrl_c_leaves_no_empty_journal_of_a_run(folder: Path) -> None:
    words = ["sim", "run", "chat", "--seed", "3", "--nodes", "32"]  # which takes long enough
    command, pipe = [sys.executable, "-P", "-m", "nectar_node", *words], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=folder) as process:
        assert process.stderr is not None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        until(lambda: children.read_text() != "")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read() == ""
    assert list((folder / ".nectar" / "sim").iterdir()) == []


# --- sweep ----------------------------------------------------------------------------------------------------------


def test_a_failing_sweep_prints_the_shrunk_schedule_in_words_and_the_command_that_replays_it(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert sim("sweep", own("FAILS"), "--first", FAILING, "--seeds", "1", "--jobs", "1") == 1
    text = capsys.readouterr().out
    shrunk = folder / f".nectar/sim/own.py-FAILS-2-nodes-seed-{FAILING}-shrunk.journal"
    header = read_journal_untrusted(shrunk).header
    (step,) = header.schedule
    (number,) = header.options["numbers"]
    assert f"\nfaults      t={step['at']:g} s: kill b.nec until t={step['until']:g} s\n" in text
    assert f"\nnumbers     {number}\n" in text
    assert "\nviolated    b.nec was killed, and " in text
    command = text.partition("\nreplay      nectar ")[2].partition("\n")[0]
    assert main(command.split()) == 0
    assert capsys.readouterr().out.startswith("The same, ")


def test_a_sweep_keeps_going_if_it_is_told_to_and_a_dead_process_is_one_of_its_findings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("--first", "3", "--seeds", "2", "--jobs", "1", "--keep-going", "--runs", "1", "--json")
    assert sim("sweep", own("DIES"), *words) == 1
    found = answer(capsys)
    assert (found["passed"], found["interrupted"]) == (1, False)
    ((text, seed),) = [(each["text"], each["plan"]["seed"]) for each in found["failed"]]
    assert (text, seed) == ("the process that ran it ended with exit code 7", 3)


def test_a_plan_that_kills_its_process_can_be_played_again_from_its_journal(capsys: pytest.CaptureFixture[str]) -> None:
    assert sim("run", own("DIES"), "--seed", "3", "-o", "x.journal") == 1
    assert "\n            the process that ran it ended with exit code 7\n" in capsys.readouterr().out
    assert sim("replay", "x.journal") == 1
    assert capsys.readouterr().err == "The process that ran it ended with exit code 7.\n"


def test_a_failure_of_a_guided_sweep_has_a_journal_with_its_whole_plan(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert sim("sweep", own("FAILS"), "--guided", "--first", FAILING, "--seeds", "1", "--jobs", "1", "--runs", "1") == 1
    command = capsys.readouterr().out.partition("\nreplay      nectar ")[2].partition("\n")[0]
    assert command.endswith(f"own.py-FAILS-2-nodes-seed-{FAILING}-plan-1-shrunk.journal")
    assert main(command.split()) == 0


@pytest.mark.parametrize(
    ("guided", "shown"),
    [((), "\nrun         nectar sim run "), pytest.param(("--guided",), " played, ", marks=pytest.mark.long)],
)
def test_ctrl_c_keeps_what_was_found_and_leaves_no_process_behind(
    folder: Path, guided: tuple[str, ...], shown: str
) -> None:
    words = ("sim", "sweep", own("FAILS"), "--first", FAILING, "--seeds", "100000", "--keep-going", *guided)
    ours, theirs = pty.openpty()  # where failures are told of as they come
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "nectar_node", *words],
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "200"},
    ) as process:
        os.close(theirs)
        read_until(ours, re.compile(rb" [1-9]\d* failed"))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGINT)
        rest = read_until(ours, None).decode()
    os.close(ours)
    assert process.returncode == 130
    assert "Stopped by Ctrl-C: " in rest
    assert shown in rest
    assert len(children) == 2
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert "Traceback" not in rest


def test_how_far_a_sweep_is_is_told_with_seeds_per_second_and_failures() -> None:
    tally = SweepTally(1000)
    assert progress(tally, 0.0) == (0, 1000, "0 of 1,000 seeds, 0 failed, 0.0/s")
    tally.passed = 20
    assert progress(tally, 2.0) == (20, 1000, "20 of 1,000 seeds, 0 failed, 10.0/s, 1:38 left")
    tally.passed = 1000
    assert progress(tally, 80.0) == (1000, 1000, "1,000 of 1,000 seeds, 0 failed, 12.5/s")


# --- replay and shrink ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The journal of a run that failed."""
    path = tmp_path_factory.mktemp("failed") / "x.journal"
    assert sim("run", own("FAILS"), "--seed", FAILING, "-o", str(path), "--json") == 1
    return path.read_text()


def test_a_replay_of_an_altered_journal_shows_the_first_difference(
    capsys: pytest.CaptureFixture[str], failed: str
) -> None:
    lines = failed.splitlines()
    lines[40] += " more"
    Path("y.journal").write_text("\n".join([*lines, ""]))
    capsys.readouterr()
    assert sim("replay", "y.journal") == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("Not the same: they part at event 40 of ")
    assert f"- {lines[40]}"[:400] in out[4]
    assert f"+ {lines[40].removesuffix(' more')}"[:400] in out[7]


def test_a_journal_of_another_version_or_of_a_scenario_that_is_gone_is_one_sentence(
    capsys: pytest.CaptureFixture[str], failed: str
) -> None:
    for name, other in (
        ("version", failed.replace("nectar-journal 1 ", "nectar-journal 2 ", 1)),
        ("gone", failed.replace(":FAILS", ":GONE", 1)),
    ):
        Path(name).write_text(other)
        capsys.readouterr()
        assert sim("replay", name) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.long
def test_shrinking_writes_the_journal_of_what_matters(capsys: pytest.CaptureFixture[str], failed: str) -> None:
    Path("x.journal").write_text(failed)
    assert sim("shrink", "x.journal", "-o", "small.journal", "--json") == 0
    shrunk = answer(capsys)
    assert shrunk["complete"]
    small = read_journal_untrusted(Path("small.journal"))
    assert small.end.result == "violated"
    assert [step["kind"] for step in small.header.schedule] == ["crash"]
    assert len(small.header.options["numbers"]) == 1


class InterruptedAfter(Workers):
    """In which somebody presses Ctrl-C during a run."""

    def __init__(self, runs: int) -> None:
        super().__init__(1)
        self._left = runs

    def play(self, plan: Plan, journal: Path | None = None, points: Path | None = None) -> RunVerdict:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return super().play(plan, journal, points)


def test_ctrl_c_while_shrinking_keeps_the_smallest_so_far() -> None:
    scenario = find_scenario(own("FAILS"))
    plan = expand(scenario, int(FAILING))
    with InterruptedAfter(6) as workers:
        task = Task(workers.play(plan), scenario.least_nodes, 100, Path("small.journal"))
        shrunk = shrink_plan(workers, task, output.console())
    assert (shrunk.interrupted, shrunk.complete, shrunk.runs) == (True, False, 5)
    assert shrunk.smallest is not None
    assert fails(shrunk.smallest.plan)
    small = read_journal_untrusted(Path("small.journal"))
    assert list(small.header.schedule) == [step.value() for step in shrunk.smallest.plan.schedule]
    assert len(small.header.schedule) < len(plan.schedule)


def test_what_passed_or_was_ended_by_ctrl_c_cannot_be_shrunk(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan("file_transfer", 1, ("send.nec", "recv.nec"), {"files": []})
    Result(plan, (), "", 0.0, PASSED).write(Path("x.journal"))
    assert sim("shrink", "x.journal") == 2
    assert capsys.readouterr().err == "x.journal is of a run that passed: there is nothing to shrink.\n"
    plan = Plan("file_transfer", 1, ("send.nec", "recv.nec"), {"files": []})
    Result(plan, (), "", 0.0, INTERRUPTED).write(Path("x.journal"))
    assert sim("shrink", "x.journal") == 2
    assert "is of a run that Ctrl-C ended" in capsys.readouterr().err


def test_what_no_longer_fails_in_the_same_way_is_not_shrunk(capsys: pytest.CaptureFixture[str], failed: str) -> None:
    Path("y.journal").write_text(failed.replace("b.nec was killed, and", "b.nec was lost, and"))
    assert sim("shrink", "y.journal") == 1
    assert "it did not go wrong in the same way" in capsys.readouterr().out


def test_a_report_shows_a_journal(folder: Path, failed: str) -> None:
    Path("x.journal").write_text(failed)
    assert sim("report", "x.journal", "-o", "x.html") == 0
    assert "b.nec" in (folder / "x.html").read_text()
