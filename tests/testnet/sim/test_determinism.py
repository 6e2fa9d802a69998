"""The same seed writes the same journal: twice, after other runs, in another process, whatever hashes Python draws."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from nectar_node.storage.database import Contents
from testnet.model.lab import PACKAGES
from testnet.runs.plans import expand
from testnet.runs.result import PASSED
from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import Plan
from testnet.sim.programs import Programs
from testnet.sim.run import Result, run
from testnet.sim.simulation import Simulation
from tests.seeds import sample

SEED = 20260174
"""With it no scenario plays for long, and those of HASH_SEEDS have faults, but for the largest."""
LARGEST = "greedy"
"""Of the scenarios, by events."""
HASH_SEEDS = {LARGEST: "1", "file_transfer": "random"}
"""What Python's hashes begin with in the other process that plays a scenario."""


def plan(name: str, seed: int = SEED) -> Plan:
    scenario = SCENARIOS[name]
    return expand(scenario, seed, len(scenario.nodes))


@cache
def first(name: str) -> Result:
    """The first run in this process, with an engine of its own."""
    return run(plan(name), Programs())


@pytest.fixture(scope="module")
def used() -> Programs:
    """An engine that has run something else, which has another journal."""
    programs = Programs()
    assert run(plan("chains", SEED + 1), programs).digest != first("chains").digest
    return programs


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_passes(name: str) -> None:
    result = first(name)
    assert (result.result, result.text) == (PASSED, ""), SEED
    assert 250 < len(result.journal) <= len(first(LARGEST).journal)


@pytest.mark.parametrize("name", sample([name for name in SCENARIOS if name not in HASH_SEEDS], 9))
def test_the_same_seed_gives_the_same_journal_twice_whatever_ran_between(used: Programs, name: str) -> None:
    again = run(plan(name), used)
    assert (again.journal, again.fingerprint) == (first(name).journal, first(name).fingerprint), SEED


@pytest.mark.parametrize("name", [name for name in HASH_SEEDS if name != LARGEST])
def test_there_are_faults_in_what_is_compared(name: str) -> None:
    faults = [line for line in first(name).journal if " - fault " in line]
    assert len(faults) >= 2 * len(plan(name).schedule) >= 4


@pytest.mark.parametrize("name", sample(sorted(HASH_SEEDS, key=LARGEST.__eq__)))
def test_another_process_with_other_hashes_gives_the_same_journal(tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-P", "-m", "nectar_node", "sim", "run", name, "--seed", str(SEED), "--json"]
    nodes = ["--nodes", str(len(plan(name).nodes))]
    environment = os.environ | {"PYTHONHASHSEED": HASH_SEEDS[name]}
    done = subprocess.run([*command, *nodes], check=True, stdout=subprocess.PIPE, env=environment, cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert answer["plan"] == plan(name).value(), SEED
    assert (answer["result"], answer["hash"]) == (PASSED, first(name).digest), SEED


def test_what_a_node_keeps_is_the_same_wherever_its_packages_lie(tmp_path: Path) -> None:
    def kept(place: Path) -> Contents:
        """What its store holds; its log has a number that SQLite draws."""
        shutil.copytree(PACKAGES / "hello" / "pkg", place / "hello" / "pkg")
        simulation = Simulation(SEED, Programs())
        node = simulation.add("a.nec", (place / "hello",))
        simulation.wait(lambda: node.ready, 60.0)
        simulation.rest(5.0)
        simulation.crash("a.nec")
        contents = node.disk.open_store("a.nec")
        simulation.close()
        return contents

    here = kept(tmp_path / "clone")
    assert here == kept(tmp_path / "another" / "clone" / "in" / "a" / "folder" / "with" / "a" / "longer" / "path"), SEED
    assert any(b"hello" in value for rows in here.values() for value in rows.values())


def test_packages_of_two_folders_come_from_two_places() -> None:
    simulation = Simulation(SEED, Programs())
    one, other = Path("/one/box"), Path("/other/box")
    assert simulation.origin_of(one) == simulation.origin_of(one) != simulation.origin_of(other)
