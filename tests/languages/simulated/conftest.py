"""What the tests of a package find in place of the package in Zig: the example of the same name in each language."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testnet.sim.programs import Programs
from tests.languages.toolchain import LANGUAGES, Language
from tests.packages.lab import Lab

MakeLab = Callable[..., Lab]
OTHERS = [each for each in LANGUAGES if each.build is not None]
"""In Zig they have run already, in `tests/packages`."""


@pytest.fixture(scope="session", params=OTHERS, ids=lambda each: each.name)
def language(request: pytest.FixtureRequest) -> Language:
    found: Language = request.param
    return found


@pytest.fixture(scope="session")
def engine() -> Programs:
    return Programs()


@pytest.fixture
def make_lab(engine: Programs, language: Language, compiled: Callable[[Language, str], Path]) -> MakeLab:
    """Boot nodes with an example of the language: make_lab("store", ("one.nec", "two.nec"))."""

    def make(package: str, nodes: tuple[str, ...]) -> Lab:
        return Lab(engine, (compiled(language, package),), nodes)

    return make


@pytest.fixture(autouse=True)
def _free_guests() -> Iterator[None]:
    """Collect what a test leaves: packages of 18 MB each on simulated disks, in few objects."""
    yield
    gc.collect()
