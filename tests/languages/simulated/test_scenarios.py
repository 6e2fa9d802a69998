"""Scenarios whose packages are written in each language: the same seed comes to the same."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from packages.build import ROOT
from testnet.scenarios.scenario import Scenario, draw_plan, everywhere
from testnet.scenarios.store import STORE
from testnet.scenarios.workers import WORKERS
from testnet.sim.programs import Programs
from testnet.sim.run import PASSED, run
from tests.languages.toolchain import LANGUAGES, Language
from tests.seeds import seeds


@pytest.mark.parametrize("seed", seeds(3, 20))
@pytest.mark.parametrize(("scenario", "package"), [(STORE, "store"), (WORKERS, "pool")], ids=["store", "workers"])
def test_a_scenario_holds_and_comes_to_the_same_in_all_languages(
    engine: Programs, compiled: Callable[[Language, str], Path], scenario: Scenario, package: str, seed: int
) -> None:
    outcomes = {}
    for language in LANGUAGES:
        mine = replace(scenario, topology=everywhere(str(compiled(language, package))))
        result = run(draw_plan(mine, seed), engine, mine)
        assert result.result == PASSED, (language.name, result.text)
        outcomes[language.name] = result.outcomes
    assert all(each == outcomes["zig"] for each in outcomes.values())


def journal_hash(package: str, seed: int) -> str:
    """Play the store scenario with a package and return the hash of its journal; what another process is asked for."""
    mine = replace(STORE, topology=everywhere(package))
    return hashlib.sha256("\n".join(run(draw_plan(mine, seed), Programs(), mine).journal).encode()).hexdigest()


def test_the_same_seed_gives_the_same_journal_also_in_another_process(
    compiled: Callable[[Language, str], Path], language: Language
) -> None:
    package = str(compiled(language, "store"))
    script = f"from {__name__} import journal_hash; print(journal_hash({package!r}, 7))"
    other = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert journal_hash(package, 7) == other.strip()
    assert journal_hash(package, 8) != other.strip()
