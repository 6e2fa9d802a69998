"""Every conformance test with a probe in each language: `pytest -p tests.languages.conformance tests/conformance`.

A plugin, so that the tests are those of the probe in Zig, from the same files. What cannot go for an interpreter is in
`ZIG_ALONE`, with its reason.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import pytest

from kernel.wasm.engine import Engine
from nectar_node.contract.config import module_cache
from nectar_node.toolchains import javascript, python

PROBES = Path(__file__).parent / "probes"
BUILDS: dict[str, tuple[Path, Callable[[Path, Path], None]]] = {
    "python": (PROBES / "probe.py", python.build),
    "javascript": (PROBES / "probe.ts", javascript.build),
}
ZIG_ALONE: dict[str, str] = {
    "test_main": "of the table of promises; no guest runs",
}
"""Files, and beginnings of tests' names, that are not run with a probe in another language, and why."""


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="nectar-probes-")


@cache
def _build(language: str) -> Path:
    source, build = BUILDS[language]
    output = Path(_folder().name) / language / "probe.wasm"
    build(source, output)
    # A node compiles a process that it does not know while others wait for its start.
    Engine(module_cache(), replayable=False).load(output.read_bytes())
    return output


PARAMETERS = [pytest.param(partial(_build, name), id=name) for name in BUILDS]
"""Of the fixture `probe`; the same objects for all tests, which share what is made for one of them."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each conformance test once for each language."""
    if "tests.conformance." in metafunc.module.__name__:
        metafunc.parametrize("probe", PARAMETERS, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them, and leave out what cannot go for them."""
    alone = tuple(ZIG_ALONE)
    items[:] = [item for item in items if item.path.stem not in alone and not item.name.startswith(alone)]
    for item in items:
        if item.path.parent.name == "conformance":
            item.add_marker(pytest.mark.languages)


@pytest.fixture(autouse=True)
def _free_guests(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect what a test leaves: packages of 18 MB each on simulated disks, in few objects."""
    yield
    if request.module.__name__.startswith("tests.conformance."):
        gc.collect()
