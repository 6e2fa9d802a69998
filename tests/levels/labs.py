"""A lab at each level, and how exact times are there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kernel.wasm.engine import Engine
from nectar_node.contract.config import module_cache
from testnet.model.lab import Lab, Level
from testnet.real.socket_lab import open_socket_lab
from testnet.sim.simulation import Simulation
from tests.levels.playing import unavailable

EARLY, LATE = 1.0, 10.0
"""Seconds by which real nodes may be told sooner, or later, on a busy machine; the next time stated is 15 s away."""
QUICK = [
    pytest.param(each, marks=pytest.mark.long if each is Level.NAMESPACES else (), id=each.value) for each in Level
]
"""On hosts of their own nodes wait as long: the default run waits once."""
REAL = [
    pytest.param(
        Level.LOOPBACK, marks=() if unavailable(Level.NAMESPACES) else pytest.mark.long, id=Level.LOOPBACK.value
    ),
    pytest.param(Level.NAMESPACES, id=Level.NAMESPACES.value),
]
"""For what is the same with real nodes at both levels, and has more to do on hosts of their own. By default it is
played on loopback only where there can be no namespaces."""


@contextmanager
def open_lab(level: Level, folder: Path) -> Iterator[Lab]:
    """A lab there; the test is skipped where there can be none."""
    if (why := unavailable(level)) is not None:
        pytest.skip(why)
    if level is Level.SIMULATION:
        yield Simulation(1, Engine(module_cache(), replayable=True))
        return
    with open_socket_lab(folder, 1, level) as lab:
        yield lab
