"""One engine for the nodes of this folder's tests, with the cache that nodes have: what was compiled once need not be
compiled again, whichever process did it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.wasm.engine import Engine
from nectar_node.contract.config import REGISTRAR_NAME, module_cache
from nectar_node.launcher.boot_options import BootOptions
from testnet.real.local import LocalTestnet
from tests.nectar_node.cli.real_node import RealNode, real_node


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    engine = Engine(module_cache(), replayable=False)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def replayable() -> Iterator[Engine]:
    """The same for nodes in virtual time."""
    engine = Engine(module_cache(), replayable=True)
    yield engine
    engine.close()


@pytest.fixture
def node(tmp_path: Path, engine: Engine) -> Iterator[RealNode]:
    """The node `a.nec`, which runs the package hello."""
    with real_node(tmp_path / "net", engine, "hello") as node:
        yield node


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTestnet]:
    """A testnet whose registrar runs as a process; each test adds nodes with names of its own."""
    with LocalTestnet(tmp_path_factory.mktemp("network") / "testnet") as network:
        network.add(REGISTRAR_NAME, BootOptions(packages=()))
        yield network
