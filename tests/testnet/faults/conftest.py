"""What the tests of this folder share."""

from __future__ import annotations

import pytest

from kernel.wasm.engine import Engine


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine(None, replayable=True)
