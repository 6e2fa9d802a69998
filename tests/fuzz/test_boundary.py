from __future__ import annotations

import pytest

from tests.fuzz.boundary import BATCHES
from tests.seeds import sample


@pytest.mark.parametrize("seed", sample(range(4)))
def test_g23_whatever_a_guest_passes_nothing_but_that_guest_is_harmed(seed: int) -> None:
    assert BATCHES.run_apart(seed, 60) is None
