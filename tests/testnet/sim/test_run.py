"""However a run ends, its result says how, and its journal can be read."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from nectar_node.base.errors import BadPackage
from packages.build import PACKAGES
from testnet.journal.journal import read_journal_untrusted
from testnet.runs.plans import expand, find_scenario
from testnet.scenarios.scenario import Scenario
from testnet.sim import timeline
from testnet.sim.programs import Programs, package_in
from testnet.sim.run import Result, run, try_out
from tests.testnet.sim.own import HERE, fails


def own(name: str) -> Scenario:
    return find_scenario(f"{HERE}:{name}")


def quiet(programs: Programs, name: str, seed: int = 0) -> Result:
    """A run of a scenario of ours without faults."""
    plan = dataclasses.replace(expand(own(name), seed), schedule=())
    return run(plan, programs, own(name))


def test_a_scenario_that_never_ends_is_stopped_by_its_virtual_deadline_and_says_what_is_outstanding(
    programs: Programs,
) -> None:
    result = quiet(programs, "STUCK")
    assert (result.result, result.seconds <= 25.0) == ("deadline", True)
    assert result.text.startswith("it was not over at its deadline, 25 s of virtual time. Outstanding: ")
    assert "a.nec@hello:hello:sys still waits for b.nec@hello:hello:sys (request " in result.text


def test_a_scenario_in_which_time_stands_still_is_stopped(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_AT_ONCE", 1000)
    result = quiet(programs, "STILL")
    assert result.result == "deadline"
    assert "1,000 things have happened" in result.text


def test_an_error_in_a_scenario_is_a_result_that_names_the_place(programs: Programs) -> None:
    result = quiet(programs, "BREAKS")
    assert result.result == "broken"
    assert result.text.startswith("KeyError in own.py, line ")
    assert result.journal[-1].endswith(f" - violation {result.text}")


def test_the_journal_that_is_written_is_the_one_that_is_read(programs: Programs, tmp_path: Path) -> None:
    plan = expand(own("FAILS"), 5)
    result = run(plan, programs, own("FAILS"))
    result.write(tmp_path / "journal")
    journal = read_journal_untrusted(tmp_path / "journal")
    assert [event.words() for event in journal.events] == list(result.journal)
    assert journal.end == result.end
    assert journal.header.scenario == plan.scenario
    assert journal.header.options == plan.options
    assert list(journal.header.schedule) == [step.value() for step in plan.schedule]


def test_a_run_without_a_journal_is_the_same_as_the_one_with_it(programs: Programs) -> None:
    plan = expand(find_scenario("restarts"), 1)
    journaled, other = run(plan, programs), run(plan, programs, journal=False)
    assert other.fingerprint == journaled.fingerprint != run(expand(find_scenario("restarts"), 2), programs).fingerprint
    assert (other.result, other.seconds, other.outcomes) == ("passed", journaled.seconds, journaled.outcomes)
    assert (other.journal, other.digest) == ((), "")


def test_what_fails_when_it_is_tried_out_is_played_again_with_a_journal(programs: Programs) -> None:
    plan = next(plan for plan in (expand(own("FAILS"), seed) for seed in range(40)) if fails(plan))
    first, tried = run(plan, programs, own("FAILS"), journal=False), try_out(plan, programs, own("FAILS"))
    assert first.result == "violated"
    assert tried == run(plan, programs, own("FAILS"))
    assert tried.fingerprint == first.fingerprint
    assert tried.journal[-1].endswith(f" - violation {first.text}")


def test_what_fails_otherwise_when_it_is_played_again_is_told(programs: Programs) -> None:
    result = try_out(expand(own("DIFFERS"), 0), programs, own("DIFFERS"))
    assert result.result == "broken"
    assert result.text == "it was played twice, and the two runs differ; the first one violated: run 0 fails"


def test_a_package_of_a_folder_is_read_again_once_a_file_of_it_has_changed(tmp_path: Path) -> None:
    folder = tmp_path / "hello"
    shutil.copytree(PACKAGES / "hello", folder)
    first = package_in(folder, "a.nec")
    assert package_in(folder, "a.nec") is first
    (folder / "pkg" / "more.txt").write_text("more")
    second = package_in(folder, "a.nec")
    assert (second.processes, second.digest != first.digest) == (first.processes, True)
    (folder / "pkg" / "manifest.json").unlink()
    with pytest.raises(BadPackage, match=r"has no manifest\.json"):
        package_in(folder, "a.nec")
