"""For all tests of the pure kernel."""

from __future__ import annotations

import pytest

from tests.kernel.rig import Rig


@pytest.fixture
def rig() -> Rig:
    return Rig()
