"""One testnet for all the tests of this folder that do not break it for good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testnet.real.links.thread import run_loopback_links
from testnet.real.local import LocalTestnet
from tests.end_to_end.lab import Lab


@pytest.fixture(scope="session")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab") / "testnet"
    with run_loopback_links(folder) as links, LocalTestnet(folder, links=links) as nodes:
        yield Lab(nodes, links)


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    """The shared testnet, whole at the start of each test."""
    shared_lab.mend()
    return shared_lab


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """A folder for a testnet of one's own, stopped at the end whatever happens."""
    folder = tmp_path / "testnet"
    yield folder
    LocalTestnet(folder).close()


@pytest.fixture
def fresh_network(fresh: Path) -> LocalTestnet:
    """A testnet of one's own, with a registrar and keys of its own; nothing runs yet."""
    return LocalTestnet(fresh)
