"""Every conformance test with a probe in each language: `pytest -p tests.languages.conformance tests/conformance`.

A plugin, so that the tests are those of the probe in Zig, from the same files. What cannot go for an interpreter is in
`ZIG_ALONE`, with its reason.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
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
"""Files that are not run with a probe in another language, and why."""
AT_EVERY_WRITE = ("test_crash_at_every_write", "test_saved_states")
"""Files whose tests boot a node for each write of a disk: a quarter of an hour, with interpreters, so `make soak` has
them."""


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
    items[:] = [item for item in items if item.path.stem not in ZIG_ALONE]
    for item in items:
        if item.path.parent.name == "conformance":
            item.add_marker(pytest.mark.languages)
        if item.path.stem in AT_EVERY_WRITE:
            item.add_marker(pytest.mark.long)
