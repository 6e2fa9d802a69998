from __future__ import annotations

import pytest

from tests.fuzz.components import BATCHES


@pytest.mark.parametrize("seed", range(2))
def test_g23_whatever_a_component_is_made_of_nothing_but_its_guest_is_harmed(seed: int) -> None:
    assert BATCHES.run_apart(seed, 100) is None
