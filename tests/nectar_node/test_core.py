"""A whole node without I/O: what it keeps, what it grants, and what no process can make it do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.address import Address, ProcessId
from kernel.kernel import Kernel
from kernel.limits import MAX_DEAD_LETTER_BODY
from kernel.message import LazyLoadBlob, Request
from kernel.wasm.engine import Engine
from nectar_node.package import Package, read_package
from testnet.sim.simulation import SimNode, Simulation

OUR = "one.nec"
ECHO = Path(__file__).resolve().parents[2] / "packages" / "echo" / "pkg" / "echo.wasm"
SEED = 7


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(None, replayable=True)
    yield engine
    engine.close()


def write_package(folder: Path, *entries: dict[str, object]) -> Path:
    """A package whose processes all run the echo."""
    folder.mkdir()
    shutil.copy(ECHO, folder / "echo.wasm")
    (folder / "manifest.json").write_text(json.dumps([{"process_wasm_path": "/echo.wasm", **each} for each in entries]))
    return folder


def install(node: SimNode, simulation: Simulation, package: Package) -> None:
    node.core.install(package, None, simulation.now)
    node.go_on()
    simulation.settle()


def may_message(kernel: Kernel, holder: str, target: str) -> bool:
    return kernel.grants.may_message(ProcessId.parse(holder), Address(OUR, ProcessId.parse(target)))


def test_g21_a_package_that_is_installed_again_has_granted_what_its_manifest_says(
    engine: Engine, tmp_path: Path
) -> None:
    entries: tuple[dict[str, object], ...] = (
        {"process_name": "a", "grant_capabilities": ["b:app:sys"]},
        {"process_name": "b"},
    )
    folder = write_package(tmp_path / "app", *entries)
    simulation = Simulation(SEED, engine)
    node = simulation.add(OUR, (folder,))
    simulation.settle()
    for _ in range(2):
        assert may_message(node.core.kernel, "b:app:sys", "a:app:sys")
        assert not may_message(node.core.kernel, "a:app:sys", "b:app:sys")
        install(node, simulation, read_package(folder, OUR))
    assert may_message(node.core.kernel, "b:app:sys", "a:app:sys")


def test_g21_a_package_that_names_itself_like_the_system_starts_nothing(engine: Engine, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "distro", {"process_name": "vfs"})
    simulation = Simulation(SEED, engine)
    node = simulation.add(OUR, (folder,))
    simulation.settle()
    assert node.core.kernel.processes == {}
    assert [line for line in node.log if "a system process's" in line]


def test_g16_a_dead_letter_is_kept_without_its_blob_and_with_the_beginning_of_its_body(engine: Engine) -> None:
    simulation = Simulation(SEED, engine)
    node = simulation.add(OUR)
    request = Request(False, None, b"x" * 10 * MAX_DEAD_LETTER_BODY)
    nobody = Address(OUR, ProcessId("no", "body", "sys"))
    node.core.inject(nobody, request, LazyLoadBlob(None, bytes(1 << 20)), None, simulation.now)
    (letter,) = node.core.dead_letters
    assert (letter.envelope.message.body, letter.envelope.blob) == (b"x" * MAX_DEAD_LETTER_BODY, None)
