"""Every scenario holds on many seeds, whatever they draw."""

from __future__ import annotations

import pytest

from testnet.scenarios import SCENARIOS
from testnet.scenarios.scenario import draw_plan
from testnet.sim.programs import Programs
from tests import seeds
from tests.testnet.scenarios.played import passes

SEEDS = {
    "backup": (3, 200),
    "browsers": (1, 20),
    "chains": (1, 10),
    "chat": (1, 12),
    "churn": (1, 10),
    "ciphers": (2, 30),
    "crowded_disk": (1, 4),
    "flood": (1, 3),
    "folders": (1, 30),
    "handoff": (2, 16),
    "impostor": (1, 8),
    "indirect": (1, 10),
    "registrar_outage": (1, 8),
    "releases": (2, 60),
    "restarts": (2, 6),
    "reunions": (1, 6),
    "store": (3, 25),
    "workers": (2, 8),
}
"""How many: in every run of the tests, and in `make soak`. `sim.test_determinism` plays one more of each scenario."""
_DRAWN = [
    pytest.param(name, seed, marks=() if seed < default else pytest.mark.long)
    for name, (default, soak) in SEEDS.items()
    for seed in range(soak if seeds.long_ones else default)
]


@pytest.mark.parametrize(("name", "seed"), _DRAWN)
def test_it_holds_whatever_is_drawn(programs: Programs, name: str, seed: int) -> None:
    passes(draw_plan(SCENARIOS[name], seed), programs)
