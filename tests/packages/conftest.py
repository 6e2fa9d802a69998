"""What the tests of this folder share."""

from __future__ import annotations

import pytest

from testnet.sim.programs import Programs
from tests.packages.lab import Lab


@pytest.fixture(scope="session")
def engine() -> Programs:
    return Programs()


@pytest.fixture
def lab(request: pytest.FixtureRequest, engine: Programs) -> Lab:
    """Nodes that run the package after which a file of tests is called: one, or the file's NODES."""
    package = request.module.__name__.rpartition(".test_")[2]
    return Lab(engine, (package,), getattr(request.module, "NODES", ("one.nec",)))
