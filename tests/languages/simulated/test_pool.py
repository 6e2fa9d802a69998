"""A pool of workers, in each language: the tests of packages/pool."""

from __future__ import annotations

import pytest

from tests.languages.simulated.conftest import MakeLab
from tests.packages.lab import Lab
from tests.packages.test_pool import *  # noqa: F403 - the tests are the same
from tests.packages.test_pool import NODES


@pytest.fixture
def lab(make_lab: MakeLab) -> Lab:
    """Nodes of which each has a boss and a worker."""
    return make_lab("pool", NODES)
