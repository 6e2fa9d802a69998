"""Every scenario holds on many seeds, whatever they draw."""

from __future__ import annotations

import pytest

from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import draw_plan
from testnet.sim.programs import Programs
from tests import seeds
from tests.testnet.scenarios.played import passes

SEEDS = {
    "backup": (1, 200),
    "browsers": (0, 20),
    "chains": (0, 10),
    "chat": (0, 12),
    "churn": (0, 10),
    "ciphers": (0, 30),
    "crowded_disk": (0, 4),
    "flood": (0, 3),
    "folders": (0, 30),
    "handoff": (0, 16),
    "impostor": (0, 8),
    "indirect": (0, 10),
    "registrar_outage": (0, 8),
    "releases": (1, 60),
    "restarts": (0, 6),
    "reunions": (0, 6),
    "store": (0, 25),
    "workers": (0, 8),
}
"""How many: in every run of the tests, and in `make soak`. `sim.test_determinism` plays one of each besides."""
_DRAWN = [
    pytest.param(name, seed, marks=() if seed < default else pytest.mark.long)
    for name, (default, soak) in SEEDS.items()
    for seed in range(soak if seeds.long_ones else default)
]


@pytest.mark.parametrize(("name", "seed"), _DRAWN)
def test_it_holds_whatever_is_drawn(programs: Programs, name: str, seed: int) -> None:
    passes(draw_plan(SCENARIOS[name], seed), programs)
