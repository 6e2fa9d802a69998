"""A store with a replica, in each language: the tests of packages/store."""

from __future__ import annotations

import pytest

from tests.languages.simulated.conftest import MakeLab
from tests.packages.lab import Lab
from tests.packages.test_store import *  # noqa: F403 - the tests are the same
from tests.packages.test_store import PRIMARY, REPLICA


@pytest.fixture  # type: ignore[no-redef]  # in place of the one for the package in Zig
def bare(make_lab: MakeLab) -> Lab:
    """Two nodes whose stores have no roles."""
    return make_lab("store", (PRIMARY, REPLICA))
