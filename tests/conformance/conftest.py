"""The labs. A test runs on one node, or where its decorator says (`@spanning`, `@everywhere`: tests.conformance)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from kernel.wasm.engine import Engine
from nectar_node.contract.config import module_cache
from net.base.ciphers import Cipher
from testnet.real.local import LocalTestnet
from tests.conformance import lab as labs
from tests.conformance.lab import OUR, THEIR, Lab, SimLab, SocketLab


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    engine = Engine(module_cache(), replayable=True)
    yield engine
    engine.close()


@pytest.fixture(scope="session", autouse=True)
def probe(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the labs run: the probe in Zig, or what `tests.languages.conformance` puts in its place."""
    other: Callable[[], Path] | None = getattr(request, "param", None)
    with pytest.MonkeyPatch.context() as patch:
        if other is not None:
            patch.setattr(labs, "PROBE", other())
        yield


@pytest.fixture(scope="session")
def sockets(probe: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SocketLab]:
    """Two real nodes, for all tests that want them."""
    folder = tmp_path_factory.mktemp("conformance")
    with LocalTestnet(folder / "testnet", SocketLab.options(folder)) as nodes:
        nodes.start((OUR, THEIR))
        yield SocketLab(nodes)


@pytest.fixture
def lab(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> Iterator[Lab]:
    """What the test's decorator names; see tests.conformance."""
    where = getattr(request, "param", "one node")
    if where == "sockets":
        sockets: SocketLab = request.getfixturevalue("sockets")
        sockets.forget()
        yield sockets
        return
    # Half of the tests run with each cipher, always the same ones.
    cipher = Random(request.node.name).choice(list(Cipher))
    lab = SimLab(engine, tmp_path, 2 if where == "two nodes" else 1, cipher=cipher)
    yield lab
    lab.close()
