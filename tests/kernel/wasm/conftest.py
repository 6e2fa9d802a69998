from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.wasm.engine import Engine


@pytest.fixture(scope="session", params=["epoch", "fuel"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Both ways to pre-empt."""
    engine = Engine(None, replayable=request.param == "fuel")
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def real() -> Iterator[Engine]:
    """That of a real node."""
    engine = Engine(None, replayable=False)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def replayable() -> Iterator[Engine]:
    engine = Engine(None, replayable=True)
    yield engine
    engine.close()
