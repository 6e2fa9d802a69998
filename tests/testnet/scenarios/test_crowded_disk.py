"""The scenario crowded_disk: on many seeds, no package stops another's work on the disk (G23)."""

from __future__ import annotations

import pytest

from testnet.scenarios.crowded_disk import CROWDED_DISK
from testnet.scenarios.scenario import draw_plan
from testnet.sim.programs import Programs
from testnet.sim.run import PASSED, run
from tests.seeds import seeds


@pytest.mark.parametrize("seed", seeds(2, 4))
def test_g23_it_holds_whatever_is_drawn(programs: Programs, seed: int) -> None:
    result = run(draw_plan(CROWDED_DISK, seed), programs)
    assert result.result == PASSED, (seed, result.text)
