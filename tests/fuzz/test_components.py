from __future__ import annotations

import pytest

from tests.fuzz.components import BATCHES
from tests.seeds import sample


@pytest.mark.parametrize("seed", sample(range(2)))
def test_g23_whatever_a_component_is_made_of_nothing_but_its_guest_is_harmed(seed: int) -> None:
    assert BATCHES.run_apart(seed, 100) is None
