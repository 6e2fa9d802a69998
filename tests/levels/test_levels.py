"""One plan for each scenario comes to the same with real nodes, on loopback and on hosts of their own, as simulated.

All wanted runs of this file begin together: they mostly wait. `make levels` plays the long ones too, and shows a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, wait

import pytest

from testnet.model.lab import Level
from testnet.runs.result import PASSED
from testnet.sim.programs import Programs
from tests.levels.plans import PLANS
from tests.levels.playing import Played, differences, play_at, playing, settled, unavailable

Runs = Mapping[tuple[str, Level], Future[Played]]

QUICK_IN_NAMESPACES = ("store", "impostor")
"""On loopback they are played where there can be no namespaces, or for long."""


def _case(name: str, level: Level) -> object:
    there = name in QUICK_IN_NAMESPACES and unavailable(Level.NAMESPACES) is None
    quick = PLANS[name].quick and not there if level is Level.LOOPBACK else name in QUICK_IN_NAMESPACES
    return pytest.param(name, level, id=f"{name}-{level.value}", marks=() if quick else pytest.mark.long)


REAL = [_case(name, level) for level in (Level.LOOPBACK, Level.NAMESPACES) for name in PLANS]


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """Of every test here that was selected."""
    wanted = {(name, Level.SIMULATION): None for name in PLANS}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.path == request.path and "level" in item.callspec.params:
            name, level = item.callspec.params["name"], item.callspec.params["level"]
            assert isinstance(name, str)
            assert isinstance(level, Level)
            key = (name, level)
            if unavailable(key[1]) is None:
                wanted[key] = None
    with playing([(PLANS[name], level) for name, level in wanted], Programs()) as futures:
        yield futures


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_passes_in_a_simulation_and_shows_what_its_faults_are_for(name: str, runs: Runs) -> None:
    result = runs[name, Level.SIMULATION].result().result
    assert (result.result, result.text) == (PASSED, "")
    assert result.outcomes | PLANS[name].shows == result.outcomes


@pytest.mark.parametrize(("name", "level"), REAL)
def test_a_plan_comes_to_the_same_with_real_nodes_as_in_a_simulation(name: str, level: Level, runs: Runs) -> None:
    if (why := unavailable(level)) is not None:
        pytest.skip(why)
    simulated = runs[name, Level.SIMULATION].result().result

    def again() -> Played:
        wait(runs.values())
        return play_at(PLANS[name], level, Programs())

    real = settled(simulated, runs[name, level].result(), again).result
    assert (real.result, real.text) == (PASSED, "")
    assert differences(simulated, real) == []
