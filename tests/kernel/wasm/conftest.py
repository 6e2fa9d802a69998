from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.wasm.engine import Engine

PREEMPTED_ALIKE = (
    "compiling/test_compiler.py",
    "test_hostile_components.py",
    "test_memory_image.py",
    "test_native.py",
    "test_traps.py",
    "test_versions.py",
    "test_wasi.py",
)
"""Files whose tests do not depend on how guests are pre-empted: the second way is for `make soak`, and all tests in
virtual time have it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    alike = {Path(__file__).parent / name for name in PREEMPTED_ALIKE}
    for item in items:
        if item.path in alike and isinstance(item, pytest.Function) and "fuel" in item.keywords:
            item.add_marker(pytest.mark.long)


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
