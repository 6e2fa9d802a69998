"""One engine for the nodes of this folder's tests: what it has compiled once it need not compile again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.wasm.engine import Engine
from tests.nectar_node.cli.real_node import RealNode, real_node


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("modules"), replayable=False)
    yield engine
    engine.close()


@pytest.fixture
def node(tmp_path: Path, engine: Engine) -> Iterator[RealNode]:
    """The node `a.nec`, which runs the package hello."""
    with real_node(tmp_path / "net", engine, "hello") as node:
        yield node
