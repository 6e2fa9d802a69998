"""What the tests of this folder share."""

from __future__ import annotations

import pytest

from testnet.sim.programs import Programs


@pytest.fixture(scope="session")
def engine() -> Programs:
    return Programs()
