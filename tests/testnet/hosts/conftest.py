"""Hosts for the tests of one file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testnet.hosts.rig import Rig, run_rig


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Two hosts, with the registrar and a node on one of them, and a node on the other."""
    with run_rig(tmp_path_factory.mktemp("hosts")) as rig:
        rig.write({"one": (rig.add("one"), ["a.nec"]), "two": (rig.add("two"), ["b.nec"])})
        yield rig
