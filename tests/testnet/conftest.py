"""What the tests of the lab share: guests that are compiled once."""

from __future__ import annotations

import pytest

from testnet.sim.programs import Programs


@pytest.fixture(scope="session")
def programs() -> Programs:
    return Programs()
